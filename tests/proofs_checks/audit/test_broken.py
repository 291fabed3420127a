"""What the audit is for: sound samplers pass, and a fault put into one is found, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
import samplers as s

from proofs_checks.audit import CHECKS, Severity, audit
from proofs_checks.audit.protocol import call
from proofs_checks.audit.subject import Subject
from proofs_checks.audit.targets import find_target

SOUND = {
    s.euler: "ode=1",
    s.heun: "ode=2",
    s.two_m: "ode=2",
    s.three_m: "ode=3",
    s.adams_moulton: "ode=3",
    s.three_s: "ode=3",
    s.euler_ancestral: "weak=1,strong=1",
    s.euler_maruyama: "weak=1,strong=1",
    s.two_s_ancestral: "weak=2,strong=1",
    s.two_m_sde: "weak=2,strong=1",
    s.three_m_sde: "weak=2,strong=1",
    s.two_noises: "weak=2,strong=1",
    s.dpmpp_sde: "weak=2,strong=1",
    s.er_sde_2: "weak=2,strong=1",
}
"""Each sound sampler, and the orders that its formula has."""

ANCESTRAL = (s.euler_ancestral, SOUND[s.euler_ancestral])
MULTISTEP = (s.two_m, SOUND[s.two_m])


def name_of(value: object) -> str:
    return getattr(value, "__name__", str(value))


# ---------------------------------------------------------------------------------------------- sound


QUICK = (s.euler, s.two_m)


def slow_but(quick: Collection[Any], all_of: Iterable[Any]) -> list[Any]:
    """All, of which only some are for every run of the tests."""
    return [f if f in quick else pytest.param(f, marks=pytest.mark.slow) for f in all_of]


@pytest.mark.parametrize("sampler", slow_but(QUICK, SOUND), ids=name_of)
def test_a_sound_sampler_has_no_error_and_no_warning(sampler: Callable, findings_of) -> None:
    found = [finding for check in CHECKS for finding in findings_of(sampler, check, SOUND[sampler])]
    if sampler is s.dpmpp_sde:  # it is sound on one path only, and the audit says so
        (source,) = found
        assert (source.id, source.severity) == ("noise-source", Severity.warning)
        assert "by default they are joint" in source.found
    else:
        loud = [finding for finding in found if finding.id != "marginals"]  # a fact to know
        assert not loud, "\n".join(map(str, loud))


@pytest.mark.slow
@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize("sampler", [s.two_m_sde, s.two_noises, s.euler_ancestral], ids=name_of)
def test_a_sound_sampler_is_sound_at_any_eta(sampler: Callable, eta: float, findings_of) -> None:
    expect = SOUND[sampler] if eta else ""
    for check in ("weak-order", "strong-order", "limit", "noise-source", "eta-zero"):
        assert not findings_of(sampler, check, expect, eta=eta)


@pytest.mark.slow
def test_an_order_above_the_declared_one_is_not_expected_on_uneven_steps() -> None:
    subject = Subject(find_target("seeds-2m"), check="uneven-steps")
    even = subject.measurement.weak_curve
    assert min(even.slopes[:3]) > 2.5  # its leading errors nearly cancel on equal steps
    assert not list(CHECKS["uneven-steps"](subject))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [s.euler_ancestral, s.three_m, s.two_noises], ids=name_of)
def test_a_whole_audit_of_a_sound_sampler_has_no_finding(sampler: Callable) -> None:
    report = audit(sampler)
    assert not report.findings
    assert report.weak is not None
    assert len(report.weak.studies) == 4


# ---------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True)
class Fault:
    """A fault, the finding that must appear with it, and the sound sampler that must not have it."""

    name: str
    broken: Callable
    finding: str
    severity: Severity
    sound: Callable
    expect: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    says: str = ""


def of_formula(
    name: str,
    sound: Callable,
    finding: str,
    severity: str = "error",
    *,
    says: str = "",
    **change: Any,
) -> Fault:
    """A sampler with one keyword off."""
    broken = functools.partial(sound, **change)
    functools.update_wrapper(broken, sound)
    expect = SOUND.get(sound, "")
    return Fault(name, broken, finding, Severity(severity), sound, expect, says=says)


def around(
    name: str,
    fault: Callable,
    finding: str,
    severity: str = "error",
    of: tuple[Callable, str] = ANCESTRAL,
    *,
    says: str = "",
    **options: Any,
) -> Fault:
    """Something wrong around a sound formula."""
    sound, expect = of
    broken = fault(sound)
    return Fault(name, broken, finding, Severity(severity), sound, expect, options, says)


ORDERS = [
    of_formula("2M, slope of the wrong sign", s.two_m, "weak-order", slope=-1.0, says="order 1.00"),
    of_formula("2M, no slope", s.two_m, "weak-order", slope=0.0, says="order 1.00"),
    of_formula("2M SDE, slope of the wrong sign", s.two_m_sde, "weak-order", slope=-1.0),
    of_formula("3M, curvature of the wrong sign", s.three_m, "weak-order", curvature=-1.0),
    of_formula("3M, half the curvature", s.three_m, "weak-order", curvature=0.5),
    Fault(
        "3M SDE, curvature of the wrong sign, as an ODE",
        functools.update_wrapper(functools.partial(s.three_m_sde, curvature=-1.0), s.three_m_sde),
        "weak-order",
        Severity.error,
        s.three_m_sde,
        "ode=3",
        {"eta": 0.0},
        "order 2.0",
    ),
    of_formula("3M SDE, -1/2 for 1/2 in the weight of D''", s.three_m_sde, "limit", half=-0.5),
    of_formula("Adams-Moulton, 0.9 of the correction", s.adams_moulton, "weak-order", weight=0.9),
    of_formula("Heun, 0.4 and 0.6 for the mean", s.heun, "weak-order", average=0.6),
    of_formula("Runge-Kutta 3, weights of another node", s.three_s, "weak-order", node=0.5),
    of_formula("two noises that are not joint", s.two_noises, "weak-order", joint=False),
    of_formula("two noises that are not joint", s.two_noises, "strong-order", joint=False),
    of_formula(
        "two noises that are not joint", s.two_noises, "limit", "warning", joint=False, says="path"
    ),
    of_formula("noise of the step before", s.euler_maruyama, "strong-order", late=True),
    of_formula(
        "integral by 200 values in single precision",
        s.er_sde_2,
        "sagging-order",
        "warning",
        integral=s.riemann_sum,
    ),
    around("2M, model told the next level", s.told_the_next_level, "weak-order", of=MULTISTEP),
]

UNEVEN = [
    of_formula("2M, equal steps assumed", s.two_m, "uneven-steps", "warning", ratio=0.0),
]
# The ratio upside down is no fault of the order: the errors of h_1^2 for h^2 telescope on any grid.

LIMITS = [
    of_formula("1.01 times the noise", s.euler_ancestral, "limit", spread=1.01),
    of_formula("1.003 times the noise", s.euler_ancestral, "limit", spread=1.003),
    of_formula("1.01 times the noise", s.two_s_ancestral, "limit", spread=1.01),
    of_formula("each noise used twice", s.euler_ancestral, "limit", every=2),
    of_formula("noise of rate 1, not 2", s.two_m_sde, "limit", rate=1.0),
    around("the same seed at every step", s.with_noise(s.reseeded_noise, always=True), "limit"),
    around("the states come back", s.returns_the_start, "limit"),
    around("zeros", s.returns_zeros, "limit", of=MULTISTEP),
    around("eta ignored, always 1", s.at_eta(lambda eta: 1.0), "limit", eta=0.5),
    around("eta ignored, always 1", s.at_eta(lambda eta: 1.0), "eta-zero"),
    around("eta ignored, always 0", s.at_eta(lambda eta: 0.0), "limit", says="ODE"),
    around("eta of at least 0.1", s.at_eta(lambda eta: max(eta, 0.1)), "eta-zero"),
]

NOISE = [
    around("one noise for the batch", s.with_noise(s.shared_noise, always=True), "batch"),
    around("one noise for the batch by default", s.with_noise(s.shared_noise, False), "batch"),
    around(
        "the same seed at every step by default",
        s.with_noise(s.reseeded_noise, False),
        "noise-source",
    ),
    around(
        "1.01 times the noise by default", s.with_noise(s.too_wide_noise, False), "noise-source"
    ),
    around("noise beside the noise sampler", s.with_noise(s.too_wide_noise, True), "noise-source"),
    around("numpy's noise", s.with_noise(s.numpy_noise, True), "hidden-randomness"),
    around("numpy's noise by default", s.with_noise(s.numpy_noise, False), "hidden-randomness"),
    around("uniform noise", s.with_noise(s.uniform_noise, True), "hidden-randomness"),
    around("uniform noise by default", s.with_noise(s.uniform_noise, False), "hidden-randomness"),
    around("noise of signs", s.with_noise(s.sign_noise, True), "weak-order", says="affine"),
    around(
        "noise of signs by default",
        s.with_noise(s.sign_noise, False),
        "noise-source",
        says="affine",
    ),
    around(
        "seeded as the initial states", s.with_noise(s.initial_seed_noise, False), "initial-noise"
    ),
    around("seeded by a constant", s.with_noise(s.constant_seed_noise, False), "repeated-noise"),
    of_formula("a noise of its own for the second", s.dpmpp_sde, "noise-source", beside=True),
    Fault(
        "overlapping stretches, independent by default",
        s.dpmpp_sde_independent,
        "noise-source",
        Severity.error,
        s.dpmpp_sde,
        SOUND[s.dpmpp_sde],
        says="by default they are independent",
    ),
]

GRIDS = [
    around("one step short", s.one_step_short, "last-level"),
    around("the step to 0 forgotten", s.stops_before_zero, "grid-to-zero"),
    around("model told the next level", s.told_the_next_level, "first-call", "warning"),
    around("NaN at 0", s.nan_at_zero, "short-grids", says="NaN"),
    around("fails on one step", s.fails_on_one_step, "short-grids", says="IndexError"),
]

CALLS = [
    around("states changed", s.changes_states, "inputs", says="x"),
    around("grid changed", s.changes_sigmas, "inputs", says="sigmas"),
    around("extra_args changed", s.changes_extra_args, "inputs", says="extra_args"),
    around("extra_args not handed on", s.without_extra_args, "model-calls", says="extra_args"),
    around("sigma without a batch", s.told_a_number, "model-calls", "warning", says="()"),
    around("callback never called", s.calling_back(None), "callback", "warning", says="0 calls"),
    around(
        "callback counts from 1",
        s.calling_back(lambda c: c | {"i": c["i"] + 1}),
        "callback",
        "warning",
    ),
    around(
        "callback without estimates",
        s.calling_back(lambda c: {key: c[key] for key in ("x", "i", "sigma")}),
        "callback",
        "warning",
        says="no sigma_hat, denoised",
    ),
    around(
        "callback with half the level",
        s.calling_back(lambda c: c | {"sigma": c["sigma"] / 2}),
        "callback",
        "warning",
        says="other levels",
    ),
    around("callback given a number", s.calling_back(lambda c: c["i"]), "callback", "warning"),
    around(
        "callback given the estimate of another state",
        s.calling_back(lambda c: c | {"denoised": 2 * c["denoised"]}),
        "callback",
        "warning",
        says="denoised",
    ),
]

RESULTS = [
    around("samples meet", s.rows_meet, "batch"),
    around("steps adapted to each sample", s.adaptive, "weak-order", says="affine"),
    around("steps adapted to each sample", s.adaptive, "weak-order", of=MULTISTEP, says="affine"),
    around("steps adapted to the whole batch", s.adaptive_together, "batch"),
    around("clipped estimates", s.thresholded, "weak-order", says="affine"),
    around("float32 result", s.single_result, "runs", "warning", says="float32"),
    around("float64 result of float32 states", s.double_result, "single-precision", "warning"),
    around("half precision inside", s.half_inside, "single-precision"),
    around("single precision inside", s.single_inside, "single-precision", "note"),
    around("another shape", s.drops_dimensions, "runs", says="(3, 5) for states (3, 5, 1, 1)"),
    around("None", s.returns_none, "runs", says="NoneType"),
]

FAULTS = [*ORDERS, *UNEVEN, *LIMITS, *NOISE, *GRIDS, *CALLS, *RESULTS]
QUICK_FAULTS = [*ORDERS[:2], *UNEVEN, *LIMITS[:1], *NOISE[:2], *GRIDS, *CALLS, *RESULTS]


@pytest.mark.parametrize(
    "fault",
    slow_but(QUICK_FAULTS, FAULTS),
    ids=lambda f: f"{f.name}: {f.finding}".replace(" ", "-"),
)
def test_a_fault_is_found_and_its_sound_twin_has_none(fault: Fault, findings_of) -> None:
    arguments, options = (fault.finding, fault.expect), fault.options
    found = findings_of(fault.broken, *arguments, **options)
    assert fault.severity in [finding.severity for finding in found], found
    assert any(fault.says in finding.found for finding in found), found
    of_twin = findings_of(fault.sound, *arguments, **options)
    assert fault.severity not in [finding.severity for finding in of_twin], of_twin


@pytest.mark.slow
def test_a_sampler_that_hangs_is_found(findings_of, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call.__kwdefaults__
    monkeypatch.setitem(call.__kwdefaults__, "seconds", 0.5)
    (found,) = findings_of(s.hangs(s.euler_ancestral), "runs")
    assert found.severity is Severity.error
    assert "does not return within" in found.found


def test_every_check_is_shown_to_find_something() -> None:
    """Those of `test_verdicts` have their faults there; `seeds` is a note."""
    elsewhere = {"accident", "convergence", "correlated-noise", "empty-stretch"}
    elsewhere |= {"marginals", "mixture", "shapes"}
    assert {fault.finding for fault in FAULTS} == set(CHECKS) - elsewhere - {"seeds"}


def test_a_sampler_that_cannot_be_run_is_told_once_and_no_more() -> None:
    report = audit(s.returns_none(s.euler))
    (finding,) = report.findings
    assert (finding.id, finding.severity, report.weak) == ("runs", Severity.error, None)


@pytest.mark.slow
def test_a_sampler_without_a_noise_sampler_cannot_be_given_seeds(findings_of) -> None:
    def own_noise(model, x, sigmas):
        return s.euler_ancestral(model, x, sigmas)

    (found,) = findings_of(own_noise, "seeds")
    assert found.severity is Severity.note
    assert not findings_of(s.euler_ancestral, "seeds")
    assert not findings_of(s.euler, "seeds")
    assert not findings_of(own_noise, "weak-order", "weak=1")
    assert not findings_of(own_noise, "limit", "weak=1")
