"""Checks of what a sampler converges to: orders, noise, limit.

A check takes a `Subject` and yields findings; its name in the registry is the id of what it finds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from proofs_checks.audit.affine import Source
from proofs_checks.audit.evidence import EVEN, LOST, UNEVEN, Evidence
from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.floors import cause_of_floor
from proofs_checks.audit.guess import guess
from proofs_checks.audit.measure import SHIPPED_STEPS, extrapolated, vanishes
from proofs_checks.audit.orders import Order, Verdict
from proofs_checks.audit.subject import Subject
from proofs_checks.audit.triangular import exact

_ODD = 3.0
"""The error of one step more is at most this many times as large; methods in blocks have more than 1."""

_WITHIN = 0.05
"""An exactly measured order lower than expected by more than this, and its uncertainty, is lower."""

_ETA_WITHIN = 0.02

_SAME_LAW = 1e-3
"""Relative difference of two variances; a Brownian tree resolves its time to a finite depth."""

_OTHER_CLOCK = 0.1
"""Relative difference of variances on the finest of few steps, of one path in two clocks."""

_CURVED_LAW = 1e-3
"""Of expectations of order 1: less is not told apart from an eta that is known to four digits."""


def _falls_short(order: Order, expected: float) -> bool:
    return order.least < expected - _WITHIN - (order.uncertainty or 0.0)


def _kind(subject: Subject) -> str:
    return "order" if subject.measurement.deterministic else "weak order"


def _found(kind: str, evidence: Evidence) -> str:
    return f"{kind} {evidence.order}, on {evidence.least}"


def weak_order(subject: Subject) -> Iterator[Finding]:
    """The weak order (of a deterministic sampler: the order), the least on all data and steps."""
    measured, kind = subject.measurement, _kind(subject)
    evidence, expected = subject.weak, subject.expected_weak
    order = evidence.order
    if subject.expectation.ode and not measured.deterministic:
        yield subject.finding(
            Severity.error,
            "a deterministic sampler, for the order of its ODE",
            "noise in its results: for a sampler with eta, give eta=0",
        )
    if order.verdict is Verdict.standing:
        return  # another check says so
    if order.verdict is Verdict.rounding:
        if expected is not None and (subject.expectation.weak or subject.expectation.ode):
            yield subject.finding(subject.grave, f"{kind} {expected:g}", f"{kind} {order}")
        return
    if expected is not None:
        if _falls_short(order, expected):
            yield subject.finding(
                Severity.error, f"{kind} {expected:g}", _found(kind, evidence), order.least
            )
        return
    calls = round(measured.nfe_per_step)
    possible = min(calls, 4 if measured.deterministic else 2)
    if order.undecided:
        yield subject.finding(
            Severity.warning,
            f"errors that follow one {kind}",
            _found(kind, evidence),
            order.least,
        )
    elif _falls_short(order, possible):
        yield subject.finding(
            Severity.warning,
            f"{kind} {possible}, which {calls} calls a step can give",
            _found(kind, evidence),
            order.least,
        )


def convergence(subject: Subject) -> Iterator[Finding]:
    """Finer steps bring it nearer to its limit, on every data and steps."""
    standing = [
        study for study in subject.weak.studies if study.curve.order.verdict is Verdict.standing
    ]
    if standing:
        study = standing[0]
        shown = ", ".join(f"{error:.2g}" for error in study.curve.errors[-4:])
        few, many = study.curve.steps[-4:][0], study.curve.steps[-1]
        yield subject.finding(
            Severity.error,
            "errors that vanish with finer steps",
            f"errors {shown} on {few} to {many} steps, on {study}: it does not converge",
            study.curve.errors[-1],
        )
    if not subject.target.levels:
        yield from _odd_steps(subject)


def _odd_steps(subject: Subject) -> Iterator[Finding]:
    """A loop over pairs of steps may leave out the last of an odd number."""
    measured = subject.measurement
    few = measured.steps[1]
    even, odd = (float(measured.law_errors(measured.map(n)).norm()) for n in (few, few + 1))
    if odd > _ODD * even + measured.rounding and not measured.explains_law(few + 1, odd):
        yield subject.finding(
            Severity.error,
            f"on {few + 1} steps an error about that on {few}, {even:.2g}",
            f"{odd:.2g}: odd numbers of steps are not made whole",
            odd,
        )


def accident(subject: Subject) -> Iterator[Finding]:
    """An order that only some data or some steps show: leading errors that cancel there."""
    pairs = [(_kind(subject), subject.weak)]
    if subject.strong and not subject.measurement.deterministic:
        pairs.append(("strong order", subject.strong))
    for kind, evidence in pairs:
        if evidence.order.verdict is not Verdict.settled:
            continue
        if not subject.target.levels and _ratio_is_wrong(subject):
            continue
        for study in evidence.accidents()[:1]:
            on_same = evidence.on(study.data, UNEVEN if study.steps == EVEN else EVEN)
            steps = on_same is not None and on_same.least < study.curve.order.least - LOST
            equal = steps and study.steps == EVEN
            where = "over equal steps" if equal else "there" if steps else f"on {study.data} data"
            yield subject.finding(
                Severity.note,
                f"{kind} {evidence.order}, as on {evidence.least}",
                f"{kind} {study.curve.order} on {study}, which is an accident: leading errors cancel "
                f"{where}",
                study.curve.order.value,
            )


def marginals(subject: Subject) -> Iterator[Finding]:
    """The weak order from any one state, and of a model that is no posterior mean, is that of the law."""
    law, from_a_state = subject.weak, subject.weak_from_a_state
    if law is not from_a_state:
        yield subject.finding(
            Severity.note,
            f"weak order {law.order} from any state and of any model, as of the law",
            f"weak order {from_a_state.order} there: its steps keep the marginals of the data, and do so for "
            "the exact model only",
            from_a_state.order.value,
        )


def sagging_order(subject: Subject) -> Iterator[Finding]:
    """A local order that keeps falling as the steps shrink: an error that does not shrink with them."""
    curve = subject.measurement.weak_curve
    *_, before, last = curve.slopes
    earlier = curve.slopes[-3]
    faster = before - last > max(0.1, earlier - before)
    # On to the finest grids, and no slower than at first: no order is in sight.
    steadily = curve.order.undecided and min(before - last, earlier - before) > 0.1
    if (
        curve.order.verdict is Verdict.standing
        or curve.order.tends_to is not None
        or curve.errors[-1] < 1e-5
        or not (faster or steadily)
        or subject.measurement.explains_law(curve.steps[-1], curve.errors[-1])
    ):
        return
    cause = cause_of_floor(subject.target, curve.errors[-1])
    yield subject.finding(
        Severity.warning,
        f"errors that shrink at one order, {earlier:.2f} on {curve.steps[-3]} steps",
        f"order {before:.2f}, then {last:.2f}: part of the error does not shrink with the step"
        + (f": {cause}" if cause else ""),
        last,
    )


def _ratio_is_wrong(subject: Subject) -> bool:
    """Whether order is lost on steps of two lengths, and not on steps that grow smoothly.

    Only a method that uses estimates of earlier steps can have a wrong ratio of steps.
    """
    even, uneven = (found.weak_curve.order for found in (subject.measurement, subject.uneven))
    expected = min(even.least, subject.expected_weak or math.inf)
    if even.value is None or uneven.least > expected - LOST:
        return False
    if subject.curved_even.estimates_a_step <= round(subject.measurement.nfe_per_step):
        return False
    smooth = subject.stretched.weak_curve.order
    return smooth.least > expected - LOST


def uneven_steps(subject: Subject) -> Iterator[Finding]:
    """The order on steps of two lengths in turn: equal ones hide a wrong ratio of steps."""
    if _ratio_is_wrong(subject):
        even, uneven = subject.measurement.weak_curve.order, subject.uneven.weak_curve.order
        yield subject.finding(
            Severity.warning,
            f"order {min(even.least, subject.expected_weak or math.inf):.2f} on steps of two lengths, "
            "as on equal ones and on steps that grow smoothly",
            f"order {uneven}: a ratio of steps is wrong",
            uneven.value,
        )


def strong_order(subject: Subject) -> Iterator[Finding]:
    """The order of the distance between consecutive grids on one path, the least on all data and steps."""
    measured, expected = subject.measurement, subject.expected_strong
    if expected is None or (measured.deterministic and not subject.expectation.strong):
        return
    evidence = subject.strong
    if measured.deterministic or evidence is None:
        if subject.expectation.strong:
            reason = "deterministic" if measured.deterministic else "noise that no path can carry"
            yield subject.finding(
                Severity.error, f"strong order {expected:g}", f"no strong order: {reason}"
            )
    elif _falls_short(evidence.order, expected):
        yield subject.finding(
            Severity.error,
            f"strong order {expected:g}",
            _found("strong order", evidence),
            evidence.order.least,
        )


def empty_stretch(subject: Subject) -> Iterator[Finding]:
    """Noise is asked for over stretches that have a length."""
    measured = subject.measurement
    found = measured.map(measured.steps[0])
    if found.empty and measured.target.takes_noise_sampler:
        share = float(found.empty_weight.max())
        yield subject.finding(
            Severity.error if share > 1e-6 else Severity.note,
            "noise over stretches that have a length",
            f"asks {found.empty} times for noise over an empty one, with a weight of {share:.2g}: a "
            "Brownian tree answers NaN",
            share,
        )


def noise_source(subject: Subject) -> Iterator[Finding]:
    """Whether the result depends on who draws the noise, and which law the sampler itself draws."""
    measured = subject.measurement
    if not measured.target.takes_noise_sampler:
        return
    if measured.map(measured.steps[0]).draws:
        yield subject.finding(
            Severity.error,
            "all noise from the noise_sampler it is given",
            "draws noise of its own beside it: no seed per sample, no path shared by step sizes",
        )
    if measured.deterministic:
        return
    shipped = _shipped_law(subject)
    joint, independent = measured.weak_curve.order, measured.independent_curve.order
    if shipped == "neither":
        yield subject.finding(
            Severity.error,
            "its own noise to have the law of one Brownian path, or of independent draws",
            "its own noise has neither law",
        )
    elif joint.value is None or independent.verdict is Verdict.rounding:
        return
    elif independent.least < joint.value - 0.5:
        worse = shipped == "independent"
        yield subject.finding(
            Severity.error if worse else Severity.warning,
            f"weak order {joint} with any noise_sampler",
            f"weak order {independent} if it draws independently at each call: its noises are "
            f"of overlapping stretches and must be of one path; by default they are {shipped}",
            independent.value,
        )


def _shipped_law(subject: Subject) -> str:
    """What the sampler draws when no noise sampler is given: the law of its final states tells.

    A path in another clock than sigma has the joint law as the steps shrink.
    """
    differences = {
        name: [_off(subject, source, steps) for steps in SHIPPED_STEPS[-2:]]
        for name, source in (("joint", Source.BROWNIAN), ("independent", Source.INDEPENDENT))
    }
    for name, (_, last) in differences.items():
        if last < _SAME_LAW:
            return name
    coarse, fine = differences["joint"]
    return "joint" if fine < _OTHER_CLOCK and fine < 0.7 * coarse else "neither"


def _off(subject: Subject, source: Source, steps: int) -> float:
    """The relative difference of the variances that its own noise and that of a source make."""
    measured = subject.measurement
    own, given = (measured.map(steps, s).noise_variance for s in (Source.OWN, source))
    return float((own / given - 1).abs().max())


def _near(eta: float | None, value: float) -> bool:
    return eta is not None and abs(eta - value) < _ETA_WITHIN


def limit(subject: Subject) -> Iterator[Finding]:
    """Whether the limit is the law of the data's diffusion, at the eta asked for, and on its path."""
    measured, found = subject.measurement, subject.measurement.limit
    if not found.law:
        other = guess(measured.target)
        hint = f"; {other}" if other else ""
        yield subject.finding(
            Severity.error if found.law_error > 1e-3 else Severity.warning,
            "the exact law as the steps shrink",
            f"a final law that stays off by {found.law_error:.2g} of its deviations" + hint,
            found.law_error,
        )
        return
    if found.eta is not None and not subject.target.levels:  # these are known on given grids
        yield from _limit_on_curved_data(subject)
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


def _limit_on_curved_data(subject: Subject) -> Iterator[Finding]:
    """The expectations on the curved problem tend to those of the SDE, at the eta that it has there.

    Churn's, for one, depends on the length of the grid.
    """
    etas = [torch.tensor(eta, dtype=torch.float64) for eta in subject.curved_even.etas()[-4:]]
    limit, doubt = extrapolated(etas)
    if not float(doubt) < _ETA_WITHIN:
        return
    eta = max(float(limit), 0.0)
    found = subject.curved_even.expectations()[-4:]
    off = [torch.from_numpy(expectations - exact(eta)) for expectations in found]
    error, right = vanishes(off, share=0.02)
    if not right and error > _CURVED_LAW:
        yield subject.finding(
            Severity.error,
            "the exact expectations on curved data as the steps shrink",
            f"others, off by {error:.2g}",
            error,
        )
