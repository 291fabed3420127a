"""Checks of what a sampler converges to: orders, noise, limit, curved data.

A check takes a `Subject` and yields findings; its name in the registry is the id of what it finds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from proofs_checks.audit.affine import Source
from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.measure import (
    SHIPPED_STEPS,
    UNEVEN_STEPS,
    Curve,
    Measurement,
    uneven_grid,
)
from proofs_checks.audit.subject import Subject
from toy_models.convergence import ROUNDING_FLOOR

_WITHIN = 0.05
"""An exactly measured order lower than expected by more than this, and its uncertainty, is lower."""

_ETA_WITHIN = 0.02

_SAME_LAW = 1e-3
"""Relative difference of two variances; a Brownian tree resolves its time to a finite depth."""


def _falls_short(curve: Curve, expected: float) -> bool:
    if curve.fit.order is None:
        return False
    # Errors a h^p + b h^q of two signs have a fit below p, and slopes that come up to it.
    order = max(curve.fit.order, min(curve.slopes[-2:]))
    return order < expected - _WITHIN - (curve.fit.uncertainty or 0.0)


def weak_order(subject: Subject) -> Iterator[Finding]:
    """The weak order (of a deterministic sampler: the order) against what is expected of it."""
    measured, curve = subject.measurement, subject.measurement.weak_curve
    kind = "order" if measured.deterministic else "weak order"
    expected = subject.expected_weak
    if subject.expectation.ode and not measured.deterministic:
        yield subject.finding(
            Severity.error,
            "a deterministic sampler, for the order of its ODE",
            "noise in its results: for a sampler with eta, give eta=0",
        )
    if curve.fit.order is None and curve.errors[-1] > ROUNDING_FLOOR:
        yield subject.finding(
            subject.grave,
            f"errors that follow {kind} {expected:g}"
            if expected
            else "errors that follow an order",
            f"errors {', '.join(f'{error:.1e}' for error in curve.errors)}",
        )
    elif expected is not None:
        if _falls_short(curve, expected):
            yield subject.finding(
                Severity.error, f"{kind} {expected:g}", f"{kind} {curve.fit}", curve.fit.order
            )
    else:
        calls = round(measured.nfe_per_step)
        possible = min(calls, 4 if measured.deterministic else 2)
        if _falls_short(curve, possible):
            yield subject.finding(
                Severity.warning,
                f"{kind} {possible}, which {calls} calls a step can give",
                f"{kind} {curve.fit}",
                curve.fit.order,
            )


def sagging_order(subject: Subject) -> Iterator[Finding]:
    """A local order that keeps falling as the steps shrink: an error that does not shrink with them."""
    curve = subject.measurement.weak_curve
    *_, before, last = curve.slopes
    earlier = curve.slopes[-3]
    if curve.errors[-1] > 1e-5 and before - last > max(0.1, earlier - before):
        yield subject.finding(
            Severity.warning,
            f"errors that shrink at one order, {earlier:.2f} on {curve.steps[-3]} steps",
            f"order {before:.2f}, then {last:.2f}: part of the error does not shrink with the step, "
            "as from coefficients by a quadrature too coarse",
            last,
        )


def uneven_steps(subject: Subject) -> Iterator[Finding]:
    """The order on steps h, 2h, h, 2h, ... in log-SNR: equal ones hide a wrong ratio of steps."""
    even = subject.measurement.weak_curve.fit
    uneven = Measurement(subject.target, UNEVEN_STEPS, uneven_grid).weak_curve.fit
    if even.order is None or uneven.order is None:
        return
    # An order above the expected one is luck, of leading errors that cancel on equal steps.
    order = min(even.order, subject.expected_weak or math.inf)
    if uneven.order + (uneven.uncertainty or 0.0) < order - 0.3:
        yield subject.finding(
            Severity.warning,
            f"order {order:.2f} on steps of two lengths, as on equal ones",
            f"order {uneven.order:.2f}: a ratio of steps is wrong",
            uneven.order,
        )


def strong_order(subject: Subject) -> Iterator[Finding]:
    """The order of the distance between consecutive grids on one path."""
    measured, expected = subject.measurement, subject.expected_strong
    if expected is None or (measured.deterministic and not subject.expectation.strong):
        return
    curve = measured.strong_curve
    if measured.deterministic or curve is None or curve.fit.order is None:
        if subject.expectation.strong:
            reason = "deterministic" if measured.deterministic else "noise that no path can carry"
            erratic = "distances that follow no order"
            yield subject.finding(
                Severity.error,
                f"strong order {expected:g}",
                f"no strong order: {erratic if curve and not measured.deterministic else reason}",
            )
    elif _falls_short(curve, expected):
        yield subject.finding(
            Severity.error,
            f"strong order {expected:g}",
            f"strong order {curve.fit}",
            curve.fit.order,
        )


def noise_source(subject: Subject) -> Iterator[Finding]:
    """Whether the result depends on who draws the noise, and which law the sampler itself draws."""
    measured = subject.measurement
    if not measured.target.takes_noise_sampler:
        return
    if len(measured.map(measured.steps[0]).other):
        yield subject.finding(
            Severity.error,
            "all noise from the noise_sampler it is given",
            "draws noise of its own beside it: no seed per sample, no path shared by step sizes",
        )
    if measured.deterministic:
        return
    shipped = _shipped_law(subject)
    joint, independent = measured.weak_curve.fit, measured.independent_curve.fit
    if shipped == "neither":
        yield subject.finding(
            Severity.error,
            "its own noise to have the law of one Brownian path, or of independent draws",
            "its own noise has neither law",
        )
    elif joint.order is None or independent.order is None:
        return
    elif independent.order < joint.order - 0.5:
        worse = shipped == "independent"
        yield subject.finding(
            Severity.error if worse else Severity.warning,
            f"weak order {joint.order:.2f} with any noise_sampler",
            f"weak order {independent.order:.2f} if it draws independently at each call: its noises are "
            f"of overlapping stretches and must be of one path; by default they are {shipped}",
            independent.order,
        )


def _shipped_law(subject: Subject) -> str:
    """What the sampler draws when no noise sampler is given: the law of its final states tells."""
    measured, steps = subject.measurement, SHIPPED_STEPS[-1]
    own, joint, independent = (
        measured.map(steps, source).noise_variance
        for source in (Source.OWN, Source.BROWNIAN, Source.INDEPENDENT)
    )
    for name, law in (("joint", joint), ("independent", independent)):
        if ((own / law - 1).abs() < _SAME_LAW).all():
            return name
    return "neither"


def _near(eta: float | None, value: float) -> bool:
    return eta is not None and abs(eta - value) < _ETA_WITHIN


def limit(subject: Subject) -> Iterator[Finding]:
    """Whether the limit is the law of the data's diffusion, at the eta asked for, and on its path."""
    measured, found = subject.measurement, subject.measurement.limit
    if not found.law:
        yield subject.finding(
            Severity.error if found.law_error > 1e-3 else Severity.warning,
            "the exact law as the steps shrink",
            f"a final law that stays off by {found.law_error:.2g} of its deviations",
            found.law_error,
        )
        return
    declared = measured.target.declared
    follows_sde = declared is None or declared.strong is not None
    eta = measured.target.eta if follows_sde else None
    # An ancestral step's eta is the root of the SDE's.
    if eta is not None and not any(_near(found.eta, value) for value in (eta, eta**2)):
        values = " or ".join(dict.fromkeys((f"{eta:g}", f"{eta**2:g}")))
        yield subject.finding(Severity.error, f"the SDE of eta {values}", str(found), found.eta)
    if found.path is False:
        yield subject.finding(
            Severity.warning,
            "the solution of the SDE on the path that the noise is of",
            f"another one, at a distance of {found.path_error:.2g} deviations: its noises do not have "
            "the joint law of one path",
            found.path_error,
        )


def curved(subject: Subject) -> Iterator[Finding]:
    """The orders on a mixture, on coupled paths, against those on Gaussians."""
    study = subject.curved
    if study is None:
        return
    measured = subject.measurement
    pairs = [("weak", study.weak, measured.weak_curve.fit.order)]
    if measured.strong_curve is not None:
        pairs.append(("strong", study.strong, measured.strong_curve.fit.order))
    for kind, fit, linear in pairs:
        if fit.order is None or fit.uncertainty is None or linear is None or len(fit.steps) < 4:
            continue
        if fit.order + fit.uncertainty < linear - 0.3:
            yield subject.finding(
                Severity.warning,
                f"{kind} order {linear:.2f} on curved data, as on Gaussians",
                f"{kind} order {fit} on a mixture",
                fit.order,
            )
