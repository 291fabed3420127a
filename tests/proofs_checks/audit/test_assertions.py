"""`assert_order`, `audit` and `check`, as another project's tests call them."""

from __future__ import annotations

import pytest
import samplers as s

from proofs_checks.audit import Expectation, assert_order, audit, check
from seeds_theory.errors import ParameterError, UnknownNameError

pytestmark = pytest.mark.usefixtures("fewer_steps")


@pytest.mark.parametrize(
    ("sampler", "orders"),
    [
        (s.euler_ancestral, {"weak": 1, "strong": 1}),
        (s.two_m, {"ode": 2}),
        (s.two_m, {"weak": 2}),
        pytest.param("seeds-2", {"weak": 2, "strong": 1}, marks=pytest.mark.slow),
    ],
)
def test_a_sampler_that_has_its_orders_passes(sampler, orders: dict[str, float]) -> None:
    assert_order(sampler, **orders)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "orders"),
    [
        ("sample_seeds_2?solver_type=phi_2", {"weak": 2, "strong": 1}),
        ("sample_seeds_3", {"weak": 2, "strong": 1}),
        ("sample_seeds_2m", {"weak": 2}),  # no noise sampler gives averages: no strong order
    ],
)
def test_the_functions_of_k_diffusions_signature_pass(name: str, orders: dict[str, float]) -> None:
    """The other functions are the methods of their names, to the bit, which are measured elsewhere."""
    severity = "note" if "strong" in orders else "warning"
    assert_order(f"seeds_theory.kdiffusion:{name}", **orders, fail_on=severity)


def message(sampler, **arguments) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_order(sampler, **arguments)
    return str(caught.value)


def test_a_lost_order_fails_with_what_was_found_and_expected() -> None:
    lines = message(s.two_m, ode=2, slope=-1.0).splitlines()
    assert lines[0] == "samplers:two_m?slope=-1.0:"
    assert len(lines) == 2
    assert lines[1].startswith("  error weak-order: order 1.0")
    assert lines[1].endswith("expected order 2")


@pytest.mark.slow
def test_a_lost_strong_order_fails() -> None:
    assert "expected strong order 1" in message(s.euler_maruyama, strong=1, late=True)


@pytest.mark.slow
def test_options_reach_the_sampler() -> None:
    assert_order(s.three_m_sde, ode=3, eta=0.0)
    assert "expected order 3" in message(s.three_m_sde, ode=3, eta=0.0, curvature=-1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "orders"),
    [
        (s.adaptive(s.euler_ancestral), {"weak": 1}),  # cannot be measured
        (s.two_m_sde, {"ode": 2}),  # is stochastic at its default eta
        (s.two_m, {"strong": 1}),  # has no noise
        (lambda model, x, sigmas: s.two_noises(model, x, sigmas), {"strong": 1}),  # has no path
    ],
    ids=["nonlinear", "ode of an sde", "strong of an ode", "strong without a path"],
)
def test_an_order_that_cannot_be_confirmed_fails(sampler, orders: dict[str, float]) -> None:
    assert message(sampler, **orders)


@pytest.mark.slow
def test_the_severity_that_fails_can_be_chosen() -> None:
    def own(model, x, sigmas):
        return s.euler_ancestral(model, x, sigmas)

    assert_order(own, weak=1)
    assert_order(own, weak=1, fail_on="warning")
    assert "note seeds" in message(own, weak=1, fail_on="note")
    with pytest.raises(ValueError, match="fatal"):
        assert_order(own, fail_on="fatal")


def test_a_check_alone_finds_what_the_audit_finds() -> None:
    broken = s.changes_sigmas(s.euler)
    (found,) = check(broken, "inputs")
    assert found in audit(broken).findings
    assert check(s.euler, "inputs") == []
    (order,) = check(s.two_m, "weak-order", expect=Expectation(ode=2), slope=-1.0)
    assert order.figure == pytest.approx(1, abs=0.05)


def test_wrong_calls_are_typed() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown check 'speed' .*; known: runs, "):
        check(s.euler, "speed")
    with pytest.raises(ParameterError, match="a sampler is a function; got 3"):
        audit(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="sampler\\(model, x, sigmas"):
        audit(lambda x: x)
    with pytest.raises(ParameterError, match="rho"):
        audit(s.euler, rho=7)


def test_a_failure_on_the_way_leaves_the_other_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler that fails on 128 steps is still examined on 12."""

    def fails(model, x, sigmas, extra_args=None, callback=None, disable=None):
        if len(sigmas) > 100:
            raise MemoryError("128 steps are too many")
        return s.changes_sigmas(s.euler)(model, x, sigmas, extra_args=extra_args, callback=callback)

    found = {finding.id: finding for finding in audit(fails).findings}
    assert "raises MemoryError: 128 steps are too many" in found["weak-order"].found
    assert "inputs" in found
    assert [f.found for f in audit(fails).findings].count(found["weak-order"].found) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weak",
        "weak=",
        "weak=two",
        "order=2",
        "weak=2;strong=1",
        "weak=2,",
        "weak=nan",
        "weak=-1",
        "zero=1",
        "one_step",
        "zero,zero",
    ],
)
def test_expectations_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ParameterError, match=r"weak=2,strong=1 or ode=3, .* got"):
        Expectation.parse(text)


def test_expectations_that_can() -> None:
    assert Expectation.parse("weak=2, strong=1") == Expectation(weak=2.0, strong=1.0)
    assert Expectation.parse("ode=3") == Expectation(ode=3.0)
    both = Expectation.parse("zero, ode=3, one-step")
    assert both == Expectation(ode=3.0, zero=True, one_step=True)
    assert both.said == {"ode": 3.0, "zero": True, "one_step": True}
    assert both.has_orders and not Expectation(zero=True).has_orders


@pytest.mark.slow
def test_a_finding_says_how_to_see_it_again(capsys) -> None:
    """Its two lines run, and show it."""
    expectation = Expectation(weak=3)
    (found,) = check("seeds-2?eta=0.5", "weak-order", expect=expectation)
    exec(found.reproduction("seeds-2?eta=0.5", expectation), {})
    assert capsys.readouterr().out == f"{found}\n"


def test_what_was_measured_is_kept_if_another_measurement_fails() -> None:
    """Such as that on curved data."""

    def only_on_gaussians(model, x, sigmas):
        if x.shape[1] != 5:
            raise RuntimeError("five numbers, please")
        return s.euler(model, x, sigmas)

    report = audit(only_on_gaussians)
    errors = [f for f in report.findings if f.severity == "error"]
    assert [f.id for f in errors] == ["shapes"]  # a failure is told once
    assert all("five numbers, please" in f.found for f in errors)
    assert report.weak is None
    assert str(report.limit) == "ODE"


def test_a_function_is_named_as_the_command_takes_it() -> None:
    assert audit(s.returns_none(s.euler)).target == "samplers:euler"
