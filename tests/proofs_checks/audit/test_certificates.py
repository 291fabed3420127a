"""Orders that must not be certified, whatever a sampler does to look as if it had them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samplers as s
import torch
from torch import Tensor

from proofs_checks.audit import Expectation, KnownFindings, Severity, audit, judge
from proofs_checks.audit.checks import audit_all
from proofs_checks.audit.findings import Finding
from proofs_checks.audit.orders import Verdict, curve
from proofs_checks.audit.protocol import Target
from proofs_checks.audit.rounding import rounds_inside
from seeds_theory.errors import ParameterError

Model = Callable[..., Tensor]


def clamped_noise(model: Model, x: Tensor, sigmas: Tensor, noise_sampler: Any = None) -> Tensor:
    """Normals are kept in [-1.5, 1.5]."""
    given = noise_sampler or (lambda a, b: torch.randn_like(x))
    return s.euler_ancestral(
        model, x, sigmas, noise_sampler=lambda a, b: given(a, b).clamp(-1.5, 1.5)
    )


def clamped_states(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
    """The model sees states in [-15, 15]."""
    return s.euler(lambda y, level, **_: model(y.clamp(-15, 15), level), x, sigmas)


def clamped_estimates(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
    """Estimates are kept in [-15, 15], which is beyond one standard deviation of the widest data."""
    return s.euler(lambda y, level, **_: model(y, level).clamp(-15, 15), x, sigmas)


def nearly_fourth(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
    """Runge-Kutta of order 4 and a little of a method of order 1."""
    for a, b in itertools.pairwise(sigmas.tolist()):
        h, at = math.log(a / b), -math.log(a)

        def drift(y: Tensor, position: float) -> Tensor:
            return model(y, y.new_full((len(y),), math.exp(-position))) - y

        k1 = drift(x, at)
        k2 = drift(x + h / 2 * k1, at + h / 2)
        k3 = drift(x + h / 2 * k2, at + h / 2)
        k4 = drift(x + h * k3, at + h)
        bend = drift(x, at) + drift(x + h * k1, at) - 2 * drift(x + h / 2 * k1, at)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4) + 2e-5 * h * bend
    return x


def pairs_of_steps(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
    """Two steps at a time; the last of an odd number is left out."""
    for i in range(0, len(sigmas) - 2, 2):
        a, middle, b = sigmas[i : i + 3].tolist()
        first = model(x, x.new_full((len(x),), a))
        y = s.frozen(x, first, a, middle)
        slope = (model(y, x.new_full((len(x),), middle)) - first) / math.log(a / middle)
        h = math.log(a / b)
        x = s.frozen(x, first, a, b) + slope * (h + math.expm1(-h))
    return x


def turned_noise(model: Model, x: Tensor, sigmas: Tensor, noise_sampler: Any = None) -> Tensor:
    """The noise changes its sign where a step is longer than the one before."""
    given = noise_sampler or (lambda a, b: torch.randn_like(x))
    lengths: list[float] = []

    def noise(a: Any, b: Any) -> Tensor:
        lengths.append(math.log(float(a) / float(b)))
        longer = len(lengths) > 1 and lengths[-1] > 1.3 * lengths[-2]
        return -given(a, b) if longer else given(a, b)

    return s.euler_ancestral(model, x, sigmas, noise_sampler=noise)


def bent(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
    """Euler on a model that is another one on curved data, and the same on Gaussian data."""

    def other(y: Tensor, level: Tensor, **_: object) -> Tensor:
        D = model(y, level)
        return D + 2 * (model(1.5 * y, level) + model(0.5 * y, level) - 2 * D)

    return s.euler(other, x, sigmas)


@pytest.mark.parametrize(
    ("sampler", "expect", "check"),
    [
        (clamped_noise, "weak=1", "weak-order"),
        (clamped_states, "ode=1", "weak-order"),
        (clamped_estimates, "ode=1", "weak-order"),
        pytest.param(nearly_fourth, "ode=4", "weak-order", marks=pytest.mark.slow),
        (pairs_of_steps, "ode=2", "last-level"),
        (turned_noise, "strong=1", "strong-order"),
        (bent, "ode=1", "limit"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_it_does_not_pass(sampler: Callable, expect: str, check: str, findings_of) -> None:
    found = findings_of(sampler, check, expect)
    assert Severity.error in [finding.severity for finding in found], found


@pytest.mark.parametrize(
    "slopes", [(2.9, 2.7, 2.4, 2.0), (3.4, 3.0, 2.6, 2.2, 1.97), (1.0, 1.5, 1.2, 0.9)]
)
def test_local_orders_that_fall_may_fall_on(slopes: tuple[float, ...]) -> None:
    errors = [0.1]
    for slope in slopes:
        errors.append(errors[-1] / 2**slope)
    found = curve([16 * 2**i for i in range(len(errors))], errors).order
    assert found.verdict is Verdict.moving
    assert found.least < slopes[-1] - 0.1


def test_local_orders_that_come_to_rest_fall_no_more() -> None:
    errors = [0.1]
    for slope in (3.05, 2.74, 2.22, 1.99):
        errors.append(errors[-1] / 2**slope)
    found = curve([16, 32, 64, 128, 256], errors).order
    assert found.least == pytest.approx(1.99)


def test_only_a_sampler_that_rounds_has_errors_of_rounding() -> None:
    for sampler in (s.two_m, s.three_s, s.euler_ancestral, s.two_m_sde):
        assert not rounds_inside(Target("sampler", sampler))
        assert rounds_inside(Target("sampler", s.single_inside(sampler)))
        assert rounds_inside(Target("sampler", s.half_levels(sampler)))

    def single_coefficients(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
        return s.two_m(model, x, sigmas.float())

    assert rounds_inside(Target("sampler", single_coefficients))


@pytest.mark.slow
def test_an_accepted_batch_does_not_hide_a_lost_order(tmp_path: Path) -> None:
    sampler = s.estimates_meet(s.euler)
    batch = Finding("batch", Severity.error, "x", "y")
    report = audit(sampler, expect=Expectation(ode=3))
    known = next(f for f in report.findings if f.id == "batch")
    verdict = judge(report, Severity.error, KnownFindings({report.target: (known, batch)}))
    assert [finding.id for finding in verdict.failing] == ["weak-order"]
    assert "order 1.0" in verdict.failing[0].found


@pytest.mark.parametrize("order", [float("nan"), 0, -1, math.inf])
def test_an_expected_order_is_a_number_above_0(order: float) -> None:
    with pytest.raises(ParameterError, match="above 0"):
        Expectation(ode=order)


@pytest.mark.parametrize("check", ["limit", "convergence", "noise-source"])
def test_what_decides_an_order_is_not_left_out(check: str) -> None:
    with pytest.raises(ParameterError, match="leave out"):
        audit(s.euler, expect=Expectation(weak=1), skip=[check])


def test_a_state_kept_between_runs_is_not_the_batch(findings_of) -> None:
    kept: list[Tensor] = []

    def remembers(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
        kept.append(x.mean())
        return s.euler(model, x, sigmas) + 1e-3 * len(kept)

    assert not findings_of(remembers, "batch")
    (found,) = findings_of(remembers, "hidden-randomness")
    assert "from one run to the next" in found.found


@pytest.mark.slow
def test_noise_drawn_sample_by_sample_is_no_fault(findings_of) -> None:
    def by_sample(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
        def noise(a: Any, b: Any) -> Tensor:
            return torch.stack([torch.randn(x.shape[1:], dtype=x.dtype) for _ in x])

        return s.euler_ancestral(model, x, sigmas, noise_sampler=noise)

    # Of the strong order too few grids are run, one sample at a time, for its local orders to settle.
    report = audit(by_sample, expect=Expectation(weak=1))
    assert not report.above(Severity.warning)
    assert report.alone is not None
    assert str(report.alone.limit) == "SDE, eta 1"
    shared = lambda model, x, sigmas: s.euler_ancestral(
        model, x, sigmas, noise_sampler=lambda a, b: torch.randn_like(x[:1])
    )
    (error,) = findings_of(shared, "batch")
    assert error.severity is Severity.error


def test_what_reproduces_a_finding_is_code_for_any_name() -> None:
    found = Finding("weak-order", Severity.error, "x", "y")
    for name in ('pipe:sh -c "exec ./s"', "a'b\"c\\", "m:f?n=[1, 2]"):
        code = found.reproduction(name, Expectation(weak=2))
        compile(code, "code", "exec")
        assert repr(name) in code
        assert "Expectation(weak=2" in code


def test_options_are_in_the_name_of_a_function() -> None:
    def takes(model: Model, x: Tensor, sigmas: Tensor, order: int, kind: str) -> Tensor:
        raise ValueError("never")

    report = audit(takes, order=3, kind="a&b")
    assert report.target.endswith("?kind=a%26b&order=3")


@pytest.mark.slow
def test_files_have_helpers_of_their_own(tmp_path: Path) -> None:
    for name, factor in (("a", 1.0), ("b", 2.0)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "helper.py").write_text(f"FACTOR = {factor}\n")
        (folder / "steps.py").write_text(
            "from helper import FACTOR\n\n\n"
            "def sample(model, x, sigmas):\n"
            "    import helper\n\n"
            "    raise ValueError(f'{FACTOR} {helper.FACTOR}')\n"
        )
    names = [f"{tmp_path}/{name}/steps.py:sample" for name in "ab"]
    reports = audit_all(names, [None, None])
    told = [report.findings[0].found for report in reports]
    assert ["1.0 1.0" in told[0], "2.0 2.0" in told[1]] == [True, True], told


@pytest.mark.slow
def test_the_law_of_a_sampler_that_does_not_converge_is_not_preferred(findings_of) -> None:
    def churned(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
        def bends(y: Tensor, level: Tensor, **_: object) -> Tensor:
            D = model(y, level)
            return D + 0.3 * (model(1.5 * y, level) + model(0.5 * y, level) - 2 * D)

        for a, b in itertools.pairwise(sigmas.tolist()):
            up = a * (1.1 if 0.3 < a < 3 else 1.0)
            y = x + math.sqrt(up**2 - a**2) * torch.randn_like(x)
            x = s.frozen(y, bends(y, y.new_full((len(y),), up)), up, b)
        return x

    assert not findings_of(churned, "marginals")
