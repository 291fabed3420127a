"""Verdicts that cannot be had by accident: samplers that once looked better, or worse, than they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import samplers as s
import torch

from proofs_checks.audit import Severity, assert_order, audit
from proofs_checks.audit.correlations import RUNS, correlated, innovations, largest_correlation
from proofs_checks.audit.floors import cause_of_floor
from proofs_checks.audit.mixture import INSIDE, law_error
from proofs_checks.audit.protocol import Target


def ids(value: object) -> str:
    return getattr(value, "__name__", str(value))


# ------------------------------------------------------------------------- orders that a method lacks


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [s.flow_midpoint, s.inner_heun(0.5)], ids=["flow", "edm"])
def test_an_order_of_gaussian_data_is_not_certified(sampler: Callable, findings_of) -> None:
    """Two calls: the leading errors cancel at every variance, on equal steps."""
    (found,) = findings_of(sampler, "weak-order", "ode=3")
    assert found.severity is Severity.error
    assert found.figure == pytest.approx(2, abs=0.05)
    assert not findings_of(sampler, "weak-order", "ode=2")
    (told,) = findings_of(sampler, "accident", "ode=2")
    assert told.severity is Severity.note
    assert told.figure == pytest.approx(3, abs=0.1)
    assert "on Gaussian data" in told.found


@pytest.mark.slow
def test_assert_order_fails_on_an_accident() -> None:
    with pytest.raises(AssertionError, match=r"order 2\.00, on curved data"):
        assert_order(s.flow_midpoint, ode=3)
    assert_order(s.flow_midpoint, ode=2)
    report = audit(s.flow_midpoint)
    assert report.to_json()["weak_order"] == pytest.approx(2, abs=0.05)


@pytest.mark.slow
def test_a_sound_sampler_has_no_accident(findings_of) -> None:
    for sampler in (s.heun, s.two_m, s.three_s, s.euler_ancestral):
        assert not findings_of(sampler, "accident")


@pytest.mark.slow
def test_steps_assumed_equal_cost_the_order_that_is_reported(findings_of) -> None:
    def assumes(model, x, sigmas):
        return s.two_m(model, x, sigmas, ratio=0.0)

    (found,) = findings_of(assumes, "weak-order", "ode=2")
    assert "uneven steps" in found.found
    (told,) = findings_of(assumes, "uneven-steps", "ode=2")
    assert "a ratio of steps is wrong" in told.found
    assert not findings_of(assumes, "accident", "ode=2")


# ------------------------------------------------------------------------------------------- batches


@pytest.mark.slow
@pytest.mark.parametrize("fault", [s.estimates_meet, s.rows_meet, s.adaptive_together], ids=ids)
def test_a_batch_that_samples_depend_on_shows_no_figure(fault: Callable) -> None:
    report = audit(fault(s.euler))
    (batch,) = [f for f in report.findings if f.id == "batch"]
    assert batch.severity is Severity.error
    record = report.to_json()
    for key in ("nfe_per_step", "weak_order", "strong_order", "weak", "strong", "limit", "errors"):
        assert record[key] is None
    assert not {"weak-order", "limit", "convergence"} & {f.id for f in report.findings}
    with pytest.raises(AssertionError, match="batch"):
        assert_order(fault(s.euler), ode=1)


@pytest.mark.slow
def test_one_sample_at_a_time_has_figures_of_its_own() -> None:
    report = audit(s.estimates_meet(s.euler))
    assert report.alone is not None
    assert report.alone.weak is not None
    assert report.alone.weak.order.value == pytest.approx(1, abs=0.05)
    assert str(report.alone.limit) == "ODE"


def test_a_dependence_that_a_probe_meets_is_one_of_the_batch(findings_of) -> None:
    def many_meet(model, x, sigmas):
        return s.euler(model, x, sigmas) + (0.1 * x.mean(0) if len(x) > 12 else 0.0)

    (found,) = findings_of(many_meet, "weak-order")
    assert (found.id, found.severity) == ("batch", Severity.error)


# --------------------------------------------------------------------------------------------- noise

SHARED = {
    "pixels": lambda z: z[..., :1, :1].expand_as(z),
    "channels": lambda z: z[:, :1].expand_as(z),
    "samples": lambda z: torch.cat([z[: len(z) // 2], -z[: len(z) - len(z) // 2]]),
    "mirrored pixels": lambda z: (z + z.flip(-1)) / 2**0.5,
    "blurred pixels": lambda z: (z + 0.3 * z.roll(1, -1)) / 1.09**0.5,
    "a little of one number": lambda z: 0.99**0.5 * z + 0.1 * z[..., :1, :1],
    "rows of another image": lambda z: torch.cat([z[:1], z[:1].flip(-2), z[2:]]),
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("always", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_correlated_noise_is_an_error_with_its_correlation(
    name: str, always: bool, findings_of
) -> None:
    broken = s.with_noise(s.noise_of(SHARED[name]), always)(s.euler_ancestral)
    (found,) = findings_of(broken, "correlated-noise")
    assert found.severity is Severity.error
    assert found.figure is not None
    expected = {"samples": -1.0, "blurred pixels": 0.275, "a little of one number": 0.11}
    assert found.figure == pytest.approx(expected.get(name, 1.0), abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pixels", "rows of another image"])
def test_memory_of_estimates_hides_no_correlation(name: str, findings_of) -> None:
    broken = s.with_noise(s.noise_of(SHARED[name]), True)(s.adams_bashforth_sde)
    (found,) = findings_of(broken, "correlated-noise")
    assert found.figure == pytest.approx(1.0, abs=0.06)
    assert "steps" not in found.found.partition("correlation of")[2]


def test_noise_of_one_step_in_the_next_is_an_error(findings_of) -> None:
    broken = s.with_noise(s.repeating_noise, True)(s.euler_ancestral)
    (found,) = findings_of(broken, "correlated-noise")
    assert "between steps" in found.found
    assert found.figure == pytest.approx(0.48, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler",
    [
        s.euler,
        s.euler_ancestral,
        s.two_m_sde,
        s.adams_bashforth_sde,  # its memory is of estimates of the noise
        s.euler_restart,
        s.dpmpp_sde,
        s.two_noises,
        s.er_sde_2,
    ],
    ids=ids,
)
def test_independent_noise_is_not_accused(sampler: Callable) -> None:
    for injects in (True, False):
        assert largest_correlation(Target("sampler", sampler), injects=injects) is None


def test_the_noise_of_a_step_is_seen_wherever_the_model_is_called() -> None:
    """SEEDS-2M calls it between the levels; its steps' noises are independent."""
    from proofs_checks.audit.targets import find_target

    assert largest_correlation(find_target("seeds-2m"), injects=False) is None


def test_innovations_are_the_noise_itself() -> None:
    target = Target("sampler", s.euler_ancestral)
    noise = innovations(target, torch.zeros_like, injects=True, runs=range(RUNS))
    assert noise.shape == (RUNS, 4, 4, 3, 64)
    assert noise.var() == pytest.approx(1.0, abs=4 * (2 / noise.size) ** 0.5)
    assert not correlated(noise)


@pytest.mark.slow
def test_an_empty_stretch_is_a_note_and_an_error_if_its_noise_counts(findings_of) -> None:
    (note,) = findings_of(s.asks_for_an_empty_stretch, "empty-stretch")
    assert note.severity is Severity.note
    assert not findings_of(s.asks_for_an_empty_stretch, "weak-order", "weak=1")
    (error,) = findings_of(s.asks_for_an_empty_stretch, "empty-stretch", weight=0.1)
    assert error.severity is Severity.error
    assert error.figure is not None
    assert not findings_of(s.euler_ancestral, "empty-stretch")


def test_eta_0_may_be_refused(findings_of) -> None:
    def refuses(model, x, sigmas, noise_sampler=None, eta=1.0):
        if not eta:
            raise ValueError("eta is above 0")
        return s.euler_ancestral(model, x, sigmas, noise_sampler=noise_sampler, eta=eta)

    (note,) = findings_of(refuses, "eta-zero")
    assert note.severity is Severity.note
    assert "eta is above 0" in note.found


@pytest.mark.slow
def test_rounding_is_no_noise(findings_of) -> None:
    for check in ("repeated-noise", "seeds", "correlated-noise", "eta-zero"):
        assert not findings_of(s.rounding_noise, check)
    assert not findings_of(s.rounding_noise, "weak-order", "ode=1")


# --------------------------------------------------------------------------------- what is not affine


def test_a_clamp_is_told_by_its_law_on_data_inside_and_outside(findings_of) -> None:
    (found,) = findings_of(s.clamped(s.two_m), "mixture")
    assert found.severity is Severity.warning
    assert "as by a clamp" in found.found
    assert found.figure is not None
    assert found.figure > 0.4
    assert not findings_of(s.two_m, "mixture")


@pytest.mark.slow
def test_the_error_of_a_law_has_its_standard_error() -> None:
    """Euler's, on twelve times the paths, within four of them."""
    found = law_error(Target("sampler", s.euler), INSIDE)
    others = [law_error(Target("sampler", s.euler), INSIDE, seed).value for seed in range(1, 9)]
    mean = sum(others) / len(others)
    assert abs(found.value - mean) < 4 * found.error * (1 + 1 / len(others)) ** 0.5
    assert found.error < 0.1 * found.value


# ---------------------------------------------------------------------------------- causes and limits


def test_the_cause_of_a_floor_is_told_only_where_a_test_finds_it() -> None:
    def cause(sampler: Callable) -> str | None:
        return cause_of_floor(Target("sampler", sampler), 1e-4)

    assert "levels rounded to float16" in str(cause(s.half_levels(s.two_m)))

    def halved(model, x, sigmas):
        return s.two_m(model, x.half().to(x), sigmas)

    assert "states are rounded to float16" in str(cause(halved))
    assert cause(s.two_m) is None
    assert cause(s.euler_ancestral) is None


@pytest.mark.parametrize("share", [1e-6, 1e-3])
def test_a_cause_too_small_for_the_floor_is_not_named(share: float) -> None:
    """Single precision does not make an error of a thousandth."""
    found = cause_of_floor(Target("sampler", s.single_inside(s.two_m)), share)
    assert (found is not None) is (share < 1e-5)


@pytest.mark.slow
def test_a_sampler_that_does_not_converge_is_an_error(findings_of) -> None:
    def stops(model, x, sigmas):
        """On uneven steps its history is off for good."""
        h = (sigmas[:-1] / sigmas[1:]).log()
        even = float(h.std() / h.mean()) < 1e-6
        return s.euler(model, x, sigmas) * (1.0 if even else 1.3)

    (found,) = findings_of(stops, "convergence")
    assert found.severity is Severity.error
    assert "does not converge" in found.found
    assert "uneven" in found.found
    assert not findings_of(s.euler, "convergence")


@pytest.mark.slow
def test_a_call_that_is_left_out_costs_the_order_of_its_memory(findings_of) -> None:
    (found,) = findings_of(s.stale_fifth, "weak-order", "ode=2")
    assert found.severity is Severity.error
    assert not findings_of(s.two_m, "weak-order", "ode=2")


# ------------------------------------------------------------------------------------------- shapes


def test_a_sampler_is_the_same_on_images_sequences_and_vectors(findings_of) -> None:
    assert not findings_of(s.two_m_sde, "shapes")

    def of_the_width(model, x, sigmas):
        return s.euler(model, x, sigmas) * (1 + 1e-3 * (x.ndim == 4 and x.shape[-1] > 1))

    (found,) = findings_of(of_the_width, "shapes")
    assert found.severity is Severity.error
    assert "images" in found.expected

    def images_only(model, x, sigmas):
        x[:, :, 0, 0]
        return s.euler(model, x, sigmas)

    assert [f.severity for f in findings_of(images_only, "shapes")] == [Severity.note] * 2
