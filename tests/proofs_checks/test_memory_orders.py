import inspect
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from sympy import QQ, field

from proofs_checks import laurent, trees
from proofs_checks.laurent import Laurent, PrecisionError, constant, monomial
from proofs_checks.memory import (
    at_step,
    first_mean_defect,
    first_ode_defect,
    first_strong_defect,
    ode_order_of_run,
    strong_order_of_run,
    weak_defects,
    weak_order_of_run,
)
from proofs_checks.memory_trace import record
from proofs_checks.order_conditions import strong_order_by
from proofs_checks.order_conditions import weak_defects as weak_defects_of_tableau
from proofs_checks.taylor import rates
from proofs_checks.weak_three import CORRELATIONS, WEAK_THREE, moving_average, weak_three
from seeds_theory import method
from seeds_theory.baselines import BASELINES, seeds_multistep
from seeds_theory.exact import DATA, eta

RATIOS = (QQ(1), QQ(2, 3), QQ(5, 7), QQ(3, 2))
"""Of steps, in no proportion."""

ETA = QQ(3, 5)


def algorithm(name):
    return BASELINES[name].algorithm


def changed(old, new):
    """SEEDS-2M with a line of its code changed."""
    source = inspect.getsource(seeds_multistep.seeds_2m)
    assert source.count(old) == 1
    names = dict(vars(seeds_multistep))
    exec(compile(source.replace(old, new), "changed", "exec"), names)
    return names["seeds_2m"]


# ------------------------------------------------------------------------------------------- series


def test_series_are_those_of_sympy():
    h, a = sp.symbols("h a")
    _, b = field("a", QQ)
    u = monomial(b, 1) - 3 * monomial(1, 2)
    v = a * h - 3 * h**2
    for ours, expression in (
        (laurent.exp(u), sp.exp(v)),
        (laurent.log1p(u), sp.log(1 + v)),
        (laurent.phi(2, u), (sp.exp(v) - 1 - v) / v**2),
        (laurent.root(laurent.exp(u) * u * u), v * sp.exp(v / 2)),
        ((2 + u) ** 3 / u, (2 + v) ** 3 / v),
        ((1 + u) ** constant(b), (1 + v) ** a),
    ):
        expected = sp.series(expression.subs(a, 2), h, 0, 3).removeO().expand()
        for power in range(-1, 3):
            found = ours.coefficient(power)
            value = found.as_expr().subs(a, 2) if hasattr(found, "as_expr") else found
            assert sp.simplify(expected.coeff(h, power) - value) == 0


def test_a_coefficient_that_is_not_known_is_refused():
    with laurent.known_terms(3):
        u = monomial(1, 1)
        assert laurent.expm1(u).coefficient(3) == QQ(1, 6)
        with pytest.raises(PrecisionError, match=r"h\^4"):
            laurent.expm1(u).coefficient(4)
        assert (u - u).start == 4


def test_a_number_without_an_exact_root_has_none():
    with pytest.raises(ValueError, match="no series is the root"):
        laurent.root(Laurent(0, [QQ(2)]))


# ------------------------------------------------------------------------------------------- engine


@pytest.mark.parametrize(("ours", "tableau"), [("er-sde-1", "seeds-1"), ("seeds-2m", "seeds-2s")])
def test_a_first_step_is_judged_as_its_tableau_is(ours, tableau):
    first = at_step(record(algorithm(ours), RATIOS[:1], ETA))
    at = sp.Rational(3, 5)
    for power in (1, 2, 3):
        found = {d.forest: d.value for d in weak_defects(first, power)}
        known = weak_defects_of_tableau(method(tableau), rates(DATA), power)
        values = {d.forest: d.value.subs(eta, at) for d in known}
        assert found == {forest: value for forest, value in values.items() if value != 0}


@pytest.mark.parametrize(
    ("name", "count", "orders", "term", "options"),
    [
        ("seeds-2m", 3, (Fraction(3, 2), 2), r"\varphi'(f)", {}),
        ("sde-dpm-solver++-2m", 3, (1, 2), r"\varphi'(f)", {}),
        ("sde-dpm-solver++-3m", 4, (1, 2), r"\varphi''(f'(e_a), f'(e_a))", {}),
        ("sde-dpm-solver++-3m", 4, (1, 2), r"\varphi'(f)", {"as_published": True}),
        ("er-sde-1", 2, (1, 1), r"\varphi'(f)", {}),
        ("er-sde-3", 4, (1, 2), r"\varphi'(f)", {}),
    ],
)
def test_orders_of_runs_with_noise(name, count, orders, term, options):
    run = record(algorithm(name), RATIOS[:count], ETA, terms=6, **options)
    assert (strong_order_of_run(run), weak_order_of_run(run)) == orders
    assert first_mean_defect(at_step(run)).differential == term
    declared = BASELINES[name].declared
    assert orders == (declared.strong, declared.weak)


@pytest.mark.parametrize(
    ("name", "options", "order", "regular"),
    [
        ("dpm-solver++-2m", {}, 2, 2),
        ("dpm-solver++-3m", {}, 3, 3),
        ("sa-solver", {"corrector_steps": 0}, 2, 3),
        ("deis-tab2", {}, 3, 3),
        ("unipc-2", {"corrects": True}, 3, 3),
        ("ipndm-4", {}, 1, 1),
        ("seeds-2m", {}, 2, 2),
    ],
)
def test_orders_of_runs_without_noise(name, options, order, regular):
    run = record(algorithm(name), (*RATIOS, QQ(4, 5)), 0, **options)
    assert ode_order_of_run(run) == order
    assert first_ode_defect(at_step(run)).power - 1 == regular


def test_a_step_that_draws_for_parts_of_itself_is_refused():
    with pytest.raises(ValueError, match="whole steps"):
        record(algorithm("sde-dpm-solver++-2s"), RATIOS[:1], ETA)


# ---------------------------------------------------------------------------- what a mistake would cost

MISTAKES = {
    "another node": ("c = best_node(d)", "c = 0.7", r"\varphi'(f''(e_a, e_a))"),
    "weights of the step": ("b_1 * D_1 + N", "b_1 * D_2 + N", r"\varphi'(f)"),
    "weights of the stage": ("a_1 * D_1 + a_2 * D_2", "a_1 * D_1", r"\varphi'(f'(f))"),
    "no recursion": ("(M - b_1 * beta)", "M", r"\varphi''(f'(e_a), e_a)"),
    "another sign in it": ("(M - b_1 * beta)", "(M + b_1 * beta)", r"\varphi''(f'(e_a), e_a)"),
    "another deviation": ("zeta - N", "zeta", r"\varphi''(f'(e_a), e_a)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_seeds_2m_costs_an_order(mistake):
    old, new, term = MISTAKES[mistake]
    run = record(changed(old, new), RATIOS[:3], ETA, terms=4)
    last = at_step(run)
    assert first_mean_defect(last).power == 2
    assert first_mean_defect(last).differential == term
    assert strong_order_by(first_strong_defect(last)) == 1


# ------------------------------------------------------------------------------------ weak order 3


def test_other_noises_of_the_stages_are_not_of_weak_order_3():
    """On the path itself they are independent of each other; 3/5 and 4/5 have a correlation of 12/25."""
    for theta, wrong in (
        ((1, 0, 0), {QQ(1, 12)}),
        ((QQ(3, 5), QQ(4, 5), 0), {QQ(97, 300), QQ(23, 100)}),
    ):
        run = record(weak_three, (QQ(1),) * 7, QQ(1), terms=5, theta=[QQ(t) for t in theta])
        step = at_step(run)
        calls = ((1,), (1,)), trees.canonical(((((1,), 1)),))
        found = {step.mean_defect(forest, 3) for forest in calls}
        assert found - {0} == wrong


def test_the_moving_average_has_the_correlations_that_it_should():
    theta = np.array(moving_average())
    found = [theta @ theta, theta[:2] @ theta[1:], theta[0] * theta[2]]
    assert found == pytest.approx([1, *map(float, CORRELATIONS)], abs=1e-15)


def test_weak_three_calls_the_model_once_a_step_and_once_more():
    assert WEAK_THREE.nfe([4.0, 2.0, 1.0, 0.5]) == 4
