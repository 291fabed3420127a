"""Plans: the numbers of every method against its published formula, its noise against the joint law.

The formulas are those of DPM-Solver and SEEDS, written once more here in the frame alpha = 1, in which
sigma_t = e^{-lambda_t}, with 40 digits: so the reference has no cancellation of its own.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch
from mpmath import expm1 as E
from mpmath import mpf
from torch import Tensor

from proofs_checks.published import independent_stages
from seeds_theory.errors import ParameterError, TableauError
from seeds_theory.exact import DATA, NOISE
from seeds_theory.formula import step_formula
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.loop import follow
from seeds_theory.methods import METHODS, method
from seeds_theory.noise import Functional, Moment, h, step_moment
from seeds_theory.plan import Interval, Plan, Step, make_plan
from seeds_theory.row import Row
from seeds_theory.schedule import flow_alpha, preserving_alpha
from seeds_theory.sources import InjectedNoise
from toy_models import Gaussian
from toy_models.convergence import fit_exact

LEVELS = [(1.0, 0.7), (0.1, 0.002)]
NODES = {
    1: [()],
    2: [("1/2",), ("7/10",), ("1/10",), ("1",)],
    3: [("1/3", "2/3"), ("1/10", "9/10"), ("4/5", "3/10"), ("1/2", "1"), ("1", "1/2")],
}
CASES = [
    (f"{name}@{','.join(nodes)}" if nodes else name, name, nodes)
    for name, count in (
        ("seeds-1", 1),
        ("seeds-2", 2),
        ("seeds-2b", 2),
        ("seeds-3", 3),
        ("seeds-3b", 3),
    )
    for nodes in NODES[count]
]

every_case = pytest.mark.parametrize(("full", "base", "nodes"), CASES, ids=[c[0] for c in CASES])
both_predictions = pytest.mark.parametrize("prediction", ["data", "noise"])
every_form = pytest.mark.parametrize(
    ("name", "prediction"), [(name, form) for name in METHODS for form in method(name).predictions]
)


def one_step(name: str, sigma: float, sigma_next: float, **options: object) -> Step:
    (step,) = make_plan(name, [sigma, sigma_next], **options).steps  # type: ignore[arg-type]
    return step


def fraction(text: str) -> mpf:
    top, _, bottom = text.partition("/")
    return mpf(top) / mpf(bottom or 1)


def log_ratio(sigma: float, sigma_next: float) -> mpf:
    return mpmath.log(mpf(sigma) / mpf(sigma_next))


# --------------------------------------------------------------------------- the published formulas


def drift_rows(
    base: str, nodes: tuple[str, ...], prediction: str, factor: int, sigma: float, sigma_next: float
) -> list[list[mpf]]:
    """Weights of D or eps in each row; factor is 1 + eta: 2 for the reverse SDE, 1 for the ODE."""
    h, c = log_ratio(sigma, sigma_next), [fraction(node) for node in nodes]
    if prediction == "noise":
        # - k sigma E(u) eps_s, and corrections - k (c / c2) sigma (E(u)/u - 1)(eps_2 - eps_s).
        def level(node: mpf) -> mpf:
            return mpf(sigma) * mpmath.exp(-node * h)

        def frozen(node: mpf) -> mpf:
            return -factor * level(node) * E(node * h)

        def linear(node: mpf) -> mpf:
            return -factor * level(node) * (E(node * h) / (node * h) - 1)

        def lagrange(poly: object) -> mpf:
            return (
                -factor
                * level(mpf(1))
                * h
                * mpmath.quad(
                    lambda q: mpmath.exp((1 - q) * h) * poly(q),
                    [0, 1],  # type: ignore[operator]
                )
            )

    else:
        # - E(-2u) D_s, and corrections + (c / c2)(E(-2u)/(2u) + 1)(D_2 - D_s), 2 = 1 + eta.
        def frozen(node: mpf) -> mpf:
            return -E(-factor * node * h)

        def linear(node: mpf) -> mpf:
            return E(-factor * node * h) / (factor * node * h) + 1

        def lagrange(poly: object) -> mpf:
            return (
                factor
                * h
                * mpmath.quad(
                    lambda q: mpmath.exp(-(1 - q) * factor * h) * poly(q),
                    [0, 1],  # type: ignore[operator]
                )
            )

    one = mpf(1)
    if base == "seeds-1":
        return [[frozen(one)]]
    stage_2 = [frozen(c[0])]
    if base == "seeds-2":
        corrections = [frozen(one) / (2 * c[0])]
    elif base == "seeds-2b":
        corrections = [linear(one) / c[0]]
    elif base == "seeds-3":
        corrections = [mpf(0), linear(one) / c[1]]
    else:
        corrections = [
            lagrange(lambda q: q * (q - c[1]) / (c[0] * (c[0] - c[1]))),
            lagrange(lambda q: q * (q - c[0]) / (c[1] * (c[1] - c[0]))),
        ]
    rows = [stage_2]
    if len(c) == 2:
        b = c[1] / c[0] * linear(c[1])
        rows.append([frozen(c[1]) - b, b])
    rows.append([frozen(one) - sum(corrections), *corrections])
    return rows


def compare_drift(step: Step, expected: list[list[mpf]], tolerance: float) -> None:
    """Each weight relative to the largest of its row: first columns are differences of the others."""
    for row, weights in zip(step.rows, expected, strict=True):
        size = max(abs(weight) for weight in weights)
        assert len(row.drift) == len(weights)
        for value, weight in zip(row.drift, weights, strict=True):
            assert float(abs(value - weight) / size) <= tolerance


@pytest.mark.parametrize(("sigma", "sigma_next"), LEVELS)
@both_predictions
@pytest.mark.parametrize("eta", [1.0, 0.0])
@every_case
def test_weights_are_those_of_the_published_formulas(
    full: str,
    base: str,
    nodes: tuple[str, ...],
    eta: float,
    prediction: str,
    sigma: float,
    sigma_next: float,
) -> None:
    step = one_step(full, sigma, sigma_next, eta=eta, prediction=prediction)
    with mpmath.workdps(40):
        expected = drift_rows(base, nodes, prediction, 1 + int(eta), sigma, sigma_next)
        compare_drift(step, expected, 1e-13)
        h = log_ratio(sigma, sigma_next)
        ends = [*(fraction(node) for node in nodes), mpf(1)]
        for row, node in zip(step.rows, ends, strict=True):
            state = mpmath.exp(-(1 + eta) * node * h) if prediction == "data" else mpf(1)
            assert float(abs(row.state / state - 1)) <= 1e-13
            assert float(abs(row.sigma / (sigma * mpmath.exp(-node * h)) - 1)) <= 1e-14


@both_predictions
def test_seeds_3b_is_the_official_quadratic_interpolation(prediction: str) -> None:
    """D1 = -1.5 F_3 + 6 F_2 - 4.5 F_s and D2 = 9 (F_3 - 2 F_2 + F_s), with weights phi_2 and phi_3."""
    sigma, sigma_next = 3.0, 0.4
    with mpmath.workdps(40):
        h = log_ratio(sigma, sigma_next)
        x = -2 * h if prediction == "data" else h
        phi_1 = E(x) / x
        phi_2 = (phi_1 - 1) / x
        phi_3 = (phi_2 - mpf(1) / 2) / x
        scale = 2 * h if prediction == "data" else -2 * h * mpf(sigma_next)
        expected = [
            scale * (phi_1 - mpf("4.5") * phi_2 + 9 * phi_3),
            scale * (6 * phi_2 - 18 * phi_3),
            scale * (-mpf("1.5") * phi_2 + 9 * phi_3),
        ]
        step = one_step("seeds-3b", sigma, sigma_next, prediction=prediction)
        size = max(map(abs, expected))
        for value, weight in zip(step.rows[-1].drift, expected, strict=True):
            assert float(abs(value - weight) / size) <= 1e-13


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.5])
@both_predictions
@every_case
def test_a_constant_integrand_is_integrated_exactly(
    full: str, base: str, nodes: tuple[str, ...], prediction: str, eta: float
) -> None:
    """Data: state and weights sum to 1. Noise: the weights sum to -(1 + eta) sigma E(c h)."""
    step = one_step(full, 2.0, 0.3, eta=eta, prediction=prediction)
    for row in step.rows:
        if prediction == "data":
            assert row.state + sum(row.drift) == pytest.approx(1.0, rel=1e-13)
        else:
            assert row.state == 1.0
            # sigma E(c h) = sigma (sigma_s / sigma - 1) = sigma_s - sigma.
            assert sum(row.drift) == pytest.approx(-(1 + eta) * (2.0 - row.sigma), rel=1e-13)


# --------------------------------------------------------------------------------------- the noise


def joint_covariance(prediction: str, eta: float, a: float, b: float, sigma: float) -> float:
    """Of the noises at levels a and b of a step that starts at sigma: one path, two times."""
    early, late = max(a, b), min(a, b)
    if prediction == "data":
        # a b e^{-eta |l_a - l_b|} (1 - e^{-2 eta (l_early - l_s)}).
        return -a * b * (late / early) ** eta * math.expm1(2 * eta * math.log(early / sigma))
    # eta a b (e^{...}): 2 eta a b int e^{l_a - u} e^{l_b - u} du = eta (sigma_s^2 - sigma_early^2).
    return eta * (sigma**2 - early**2)


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.5])
@both_predictions
@every_case
def test_noise_rows_have_the_exact_joint_covariance(
    full: str, base: str, nodes: tuple[str, ...], prediction: str, eta: float
) -> None:
    sigma = 2.0
    step = one_step(full, sigma, 0.3, eta=eta, prediction=prediction)
    width = len(step.intervals)
    rows = np.array([[*row.noise, *[0.0] * (width - len(row.noise))] for row in step.rows])
    expected = [
        [joint_covariance(prediction, eta, a.sigma, b.sigma, sigma) for b in step.rows]
        for a in step.rows
    ]
    assert rows @ rows.T == pytest.approx(np.array(expected), rel=1e-12)


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.5])
@both_predictions
@every_case
def test_a_row_uses_the_intervals_before_its_node_and_no_other(
    full: str, base: str, nodes: tuple[str, ...], prediction: str, eta: float
) -> None:
    step = one_step(full, 2.0, 0.3, eta=eta, prediction=prediction)
    for row in step.rows:
        end = step.intervals[len(row.noise) - 1].sigma_next
        assert end == pytest.approx(row.sigma, rel=1e-14)
        # The normal of the last interval enters with that interval's own deviation.
        assert row.noise[-1] == pytest.approx(
            step.intervals[len(row.noise) - 1].deviation, rel=1e-12
        )


@both_predictions
@every_case
def test_intervals_are_consecutive_and_cover_the_step(
    full: str, base: str, nodes: tuple[str, ...], prediction: str
) -> None:
    plan = make_plan(full, [9.0, 2.0, 0.3], prediction=prediction)
    assert plan.normals == sum(len(step.intervals) for step in plan.steps)
    for step in plan.steps:
        assert len(step.intervals) == len({*nodes, "1"})
        assert step.intervals[0].sigma == step.sigma
        assert step.intervals[-1].sigma_next == step.sigma_next
        for one, two in itertools.pairwise(step.intervals):
            assert one.sigma_next == two.sigma
            assert one.sigma > one.sigma_next
        assert all(interval.form is plan.form for interval in step.intervals)
        assert all(interval.eta == plan.eta for interval in step.intervals)


@every_case
def test_integrand_coefficients_turn_a_denoiser_into_eps(
    full: str, base: str, nodes: tuple[str, ...]
) -> None:
    """(D - skip y) / out is D itself, or (y - D) / sigma, at the levels where the model is called."""
    for prediction in ("data", "noise"):
        step = one_step(full, 2.0, 0.3, prediction=prediction)
        levels = [step.sigma, *(row.sigma for row in step.rows[:-1])]
        wanted = [(0.0, 1.0) if prediction == "data" else (1.0, -level) for level in levels]
        assert list(step.integrands) == wanted


# ------------------------------------------------------------------------------------- eta = 0


@every_form
def test_the_ode_limit_draws_nothing(name: str, prediction: str) -> None:
    plan = make_plan(name, [math.inf, 5.0, 1.0, 0.1, 0.0], eta=0.0, prediction=prediction)
    assert plan.normals == 0
    for step in plan.steps:
        assert step.intervals == ()
        assert all(row.noise == () for row in step.rows)


@every_form
def test_eta_tending_to_zero_tends_to_the_ode(name: str, prediction: str) -> None:
    near = one_step(name, 2.0, 0.3, eta=1e-12, prediction=prediction)
    ode = one_step(name, 2.0, 0.3, eta=0.0, prediction=prediction)
    for a, b in zip(near.rows, ode.rows, strict=True):
        assert a.state == pytest.approx(b.state, rel=1e-11)
        assert a.drift == pytest.approx(b.drift, rel=1e-10)
        assert max(a.noise) < 1e-5  # of size sqrt(eta)


# ------------------------------------------------------------------------------ grids and their ends


@pytest.mark.parametrize(
    ("name", "per_step"), [("seeds-1", 1), ("seeds-2", 2), ("seeds-2b", 2), ("seeds-3", 3)]
)
@pytest.mark.parametrize("steps", [2, 5, 12])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_number_of_model_calls(name: str, per_step: int, steps: int, eta: float) -> None:
    assert make_plan(name, uniform_log_snr(80, 0.002, steps), eta=eta).nfe == per_step * steps
    to_zero = make_plan(name, rho_grid(80, 0.002, steps, to_zero=True), eta=eta)
    assert to_zero.nfe == per_step * steps - (per_step - 1)  # 2N - 1 and 3N - 2
    assert to_zero.normals == (per_step * (steps - 1) if eta else 0)


@both_predictions
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_the_last_step_to_zero_returns_the_denoised_state(prediction: str, eta: float) -> None:
    last = make_plan("seeds-3", [1.0, 0.1, 0.0], prediction=prediction, eta=eta).steps[-1]
    assert (last.sigma, last.sigma_next) == (0.1, 0.0)
    assert last.rows == (Row(0.0, 0.0, (1.0,), ()),)
    assert last.integrands == ((0.0, 1.0),)
    assert last.intervals == ()


@both_predictions
def test_the_first_step_from_infinity(prediction: str) -> None:
    """y = D + sigma z with fresh noise, or with the initial unit noise itself for the ODE."""
    grid = [math.inf, 4.0, 1.0]
    sde = make_plan("seeds-2", grid, prediction=prediction, eta=0.3).steps[0]
    ode = make_plan("seeds-2", grid, prediction=prediction, eta=0.0).steps[0]
    assert sde.rows == (Row(4.0, 0.0, (1.0,), (4.0,)),)
    assert sde.intervals == (Interval(math.inf, 4.0, DATA, 0.3),)
    assert sde.intervals[0].deviation == 4.0
    assert ode.rows == (Row(4.0, 4.0, (1.0,), ()),)
    assert sde.integrands == ode.integrands == ((0.0, 1.0),)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.5])
def test_the_first_step_from_infinity_is_a_limit(eta: float) -> None:
    """SEEDS-1 from sigma -> inf, its state being sigma times unit noise."""
    huge = 1e12
    limit = make_plan("seeds-1", [math.inf, 4.0], eta=eta).steps[0].rows[-1]
    row = one_step("seeds-1", huge, 4.0, eta=eta).rows[-1]
    assert row.drift == pytest.approx(limit.drift, rel=1e-11)
    weights = [row.state * huge, *row.noise]
    # Unit noise and fresh noise add to sigma_t^2 in both; at eta > 0 the first is forgotten.
    total = math.hypot(limit.state, *limit.noise)
    assert math.hypot(*weights) == pytest.approx(total, rel=1e-11)
    assert row.state * huge == pytest.approx(
        limit.state, abs=8 * (4 / huge) ** eta if eta else 1e-10
    )


def test_whole_grid_from_infinity_to_zero() -> None:
    plan = make_plan("seeds-3", [math.inf, 4.0, 1.0, 0.0])
    assert [step.sigma for step in plan.steps] == [math.inf, 4.0, 1.0]
    assert [step.sigma_next for step in plan.steps] == [4.0, 1.0, 0.0]
    assert plan.nfe == 1 + 3 + 1
    assert plan.normals == 1 + 3 + 0
    assert plan.initial_scale == 1.0
    assert make_plan("seeds-3", [math.inf, 4.0, 0.0]).nfe == 2


def test_straight_from_infinity_to_zero() -> None:
    plan = make_plan("seeds-3", [math.inf, 0.0])
    assert plan.steps == (Step(math.inf, (Row(0.0, 0.0, (1.0,), ()),), (), ((0.0, 1.0),)),)
    assert (plan.nfe, plan.normals, plan.initial_scale) == (1, 0, 1.0)
    assert plan.scaled(flow_alpha).steps == plan.steps


@both_predictions
def test_the_last_step_up_to_infinity_is_a_limit(prediction: str) -> None:
    """SEEDS-1 to sigma -> inf at eta = 0, over that sigma."""
    *_, last = make_plan("seeds-3", [0.5, 4.0, math.inf], eta=0.0, prediction=prediction).steps
    assert last == Step(4.0, (Row(math.inf, 0.25, (-0.25,), ()),), (), ((0.0, 1.0),))
    (row,) = one_step("seeds-1", 4.0, 4e6, eta=0.0).rows
    assert row.state / 4e6 == pytest.approx(0.25, rel=1e-9)
    assert row.drift[0] / 4e6 == pytest.approx(-0.25, rel=2e-6)


@pytest.mark.parametrize("name", METHODS)
def test_upwards_a_method_has_the_order_of_its_ode(name: str) -> None:
    data = Gaussian(*torch.tensor([[0.5, -1.0], [0.7, 4.0]], dtype=torch.float64))
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    growth = ((data.variances + 400) / (data.variances + 0.01)) ** 0.5
    errors = []
    for steps in (64, 128, 256, 512):
        grid = uniform_log_snr(20.0, 0.1, steps)[::-1]
        end = follow(data, x, make_plan(name, grid, eta=0.0))
        errors.append(float((end - data.mean - growth * (x - data.mean)).norm()))
    found = fit_exact((64, 128, 256, 512), errors).order
    assert found == pytest.approx(method(name).orders.ode, abs=0.05)


def test_a_plan_records_what_it_was_made_of() -> None:
    grid = uniform_log_snr(80.0, 0.002, 7)
    plan = make_plan("seeds-2@0.7", grid, eta=0.5, prediction="noise")
    assert isinstance(plan, Plan)
    assert (plan.method, plan.orders) == ("seeds-2@0.7", method("seeds-2@0.7").orders)
    assert (plan.form, plan.eta, plan.initial_scale) == (NOISE.numbers, 0.5, 80.0)
    assert plan.sigmas == tuple(grid.tolist())
    # The grid's own numbers, not exponentials of logarithms.
    assert [step.sigma for step in plan.steps] == grid[:-1].tolist()
    assert [step.sigma_next for step in plan.steps] == grid[1:].tolist()


def test_steps_of_one_grid_are_the_steps_taken_alone() -> None:
    grid = [9.0, 2.0, 1.9, 0.3]
    plan = make_plan("seeds-3", grid, eta=0.7)
    for step, (a, b) in zip(plan.steps, itertools.pairwise(grid), strict=True):
        assert step == one_step("seeds-3", a, b, eta=0.7)


def test_tableaux_are_accepted_and_need_numbers_for_nodes() -> None:
    assert make_plan(method("seeds-2"), [2.0, 1.0]) == make_plan("seeds-2", [2.0, 1.0])
    symbolic = METHODS["seeds-2"].build(sp.Symbol("c_2", positive=True))
    with pytest.raises(TableauError, match="c_2"):
        make_plan(symbolic, [2.0, 1.0])


# ------------------------------------------------------------------------------- extreme steps


TINY = 1.0, 1.0 - 1e-8  # 1 - 1e-8 is rounded: the references use the rounded level


@both_predictions
@pytest.mark.parametrize("eta", [1.0, 0.0])
@every_case
def test_weights_of_a_tiny_step_keep_their_digits(
    full: str, base: str, nodes: tuple[str, ...], eta: float, prediction: str
) -> None:
    step = one_step(full, *TINY, eta=eta, prediction=prediction)
    with mpmath.workdps(60):
        compare_drift(step, drift_rows(base, nodes, prediction, 1 + int(eta), *TINY), 1e-13)


@both_predictions
@every_case
def test_noise_of_a_tiny_step_keeps_its_digits(
    full: str, base: str, nodes: tuple[str, ...], prediction: str
) -> None:
    eta = 0.7
    step = one_step(full, *TINY, eta=eta, prediction=prediction)
    with mpmath.workdps(60):
        h = log_ratio(*TINY)
        cuts = sorted({mpf(0), mpf(1), *(fraction(node) for node in nodes)})
        ends = [*(fraction(node) for node in nodes), mpf(1)]
        rate = mpf(eta) if prediction == "data" else mpf(-1)
        for row, end in zip(step.rows, ends, strict=True):
            pairs = [(a, b) for a, b in itertools.pairwise(cuts) if b <= end]
            exact = [
                mpmath.sqrt(2 * mpf(eta) * -E(-2 * rate * (b - a) * h) / (2 * rate))
                * mpmath.exp(-rate * (end - b) * h - end * h)
                for a, b in pairs
            ]
            assert len(row.noise) == len(exact)
            for value, weight in zip(row.noise, exact, strict=True):
                assert float(abs(value / weight - 1)) <= 1e-12


@both_predictions
def test_deviation_of_a_tiny_interval_keeps_its_digits(prediction: str) -> None:
    form = DATA if prediction == "data" else NOISE
    with mpmath.workdps(60):
        h = log_ratio(*TINY)
        if form is DATA:
            exact = mpf(TINY[1]) * mpmath.sqrt(-E(-2 * h))
        else:
            exact = mpf(TINY[1]) * mpmath.sqrt(E(2 * h))
    assert Interval(*TINY, form, 1.0).deviation == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("eta", [1e-30, 100.0, 1e6])
@every_form
def test_extreme_eta_gives_finite_numbers(name: str, prediction: str, eta: float) -> None:
    plan = make_plan(name, uniform_log_snr(80.0, 0.002, 5), eta=eta, prediction=prediction)
    for step in plan.steps:
        numbers = [x for row in step.rows for x in (row.state, *row.drift, *row.noise)]
        assert np.isfinite(numbers).all()
        assert all(math.isfinite(interval.deviation) for interval in step.intervals)
        if prediction == "data":
            for row in step.rows:
                assert row.state + sum(row.drift) == pytest.approx(1.0, rel=1e-13)
                assert math.hypot(*row.noise) <= row.sigma * (1 + 1e-14)


@pytest.mark.parametrize("eta", [0.0, 1.0, 100.0])
@every_form
def test_one_giant_step_gives_finite_numbers(name: str, prediction: str, eta: float) -> None:
    (step,) = make_plan(name, [1e6, 1e-6], eta=eta, prediction=prediction).steps
    numbers = [x for row in step.rows for x in (row.state, *row.drift, *row.noise)]
    assert np.isfinite(numbers).all()


# ------------------------------------------------------------------------------------- the symbols


@every_form
def test_numbers_are_the_symbolic_rows(name: str, prediction: str) -> None:
    """Evaluated by sympy with 30 digits, not by the lambdified code."""
    sigma, sigma_next, eta = 2.0, 0.3, 0.7
    form = {"data": DATA, "noise": NOISE}[prediction]
    numeric = one_step(name, sigma, sigma_next, eta=eta, prediction=prediction)
    values = {"lambda_s": -sp.log(2), "h": sp.log(sp.Float(2, 40) / sp.Float(0.3, 40)), "eta": eta}

    def evaluate(expression: sp.Expr) -> float:
        expression = sp.sympify(expression)
        fixed = expression.subs({s: values[s.name] for s in expression.free_symbols})
        return float(fixed.evalf(30))

    for row, symbols in zip(numeric.rows, step_formula(method(name), form), strict=True):
        assert row.state == pytest.approx(evaluate(symbols.state), rel=1e-13)
        assert row.sigma == pytest.approx(evaluate(symbols.sigma), rel=1e-14)
        assert row.drift == pytest.approx(
            [evaluate(w) for w in symbols.drift], rel=1e-12, abs=1e-14
        )
        assert row.noise == pytest.approx([evaluate(w) for w in symbols.noise], rel=1e-13)


def test_noise_of_another_path_is_asked_for_as_such() -> None:
    """Independent stage noise: the step's own noise on path 0, a stage's on a path of its own."""
    tableau = replace(method("seeds-2"), name="independent", noise=independent_stages)
    step = make_plan(tableau, [2.0, 1.0]).steps[0]
    assert [interval.path for interval in step.intervals] == [0, 0, 1, 1]
    stage, end = step.rows
    assert stage.noise[:2] == (0.0, 0.0)
    assert len(end.noise) == 2
    assert math.hypot(*stage.noise) == pytest.approx(stage.sigma * math.sqrt(1 / 2))  # 1 - e^{-h}


def test_a_plan_refuses_moments_of_another_rate() -> None:
    def noise(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
        return (step_moment(2 * rate, (h,), 0),)

    with pytest.raises(TableauError, match="'odd' asks for another rate"):
        make_plan(replace(method("seeds-1"), name="odd", noise=noise), [2.0, 1.0])


def test_a_plan_refuses_a_prediction_that_the_noise_is_not_for() -> None:
    with pytest.raises(TableauError, match="that of the data prediction; asked for 'noise'"):
        make_plan("seeds-2s", [2.0, 1.0], prediction="noise")


@pytest.mark.parametrize(
    ("sigma", "form", "degree"), [(2.0, NOISE, 0), (2.0, DATA, 2), (math.inf, DATA, 0)]
)
def test_an_area_is_of_data_prediction_from_a_finite_level(sigma, form, degree) -> None:
    with pytest.raises(ParameterError, match="an area is of data prediction, of degree 0"):
        Interval(sigma, 1.0, form, 1.0, degree=degree, area=True)


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("length", [0.05, 0.7, 3.0])
def test_an_area_is_a_standard_normal_beside_the_noise_and_that_of_its_clock(
    eta: float, length: float
) -> None:
    ends = 2.0, 2.0 * math.exp(-length)
    noise, area = (Interval(*ends, DATA, eta, area=area) for area in (False, True))
    points, weights = np.polynomial.legendre.leggauss(60)
    at = -math.log(ends[0]) + length * (1 + points) / 2

    def mean(product: np.ndarray) -> float:
        return float(length / 2 * weights @ product)

    assert mean(area.kernel(at) ** 2) == pytest.approx(1, abs=1e-10)
    assert mean(noise.kernel(at) ** 2) == pytest.approx(1, abs=1e-10)
    assert mean(area.kernel(at) * noise.kernel(at)) == pytest.approx(0, abs=1e-10)
    # In the clock the kernel of an area is a line, which falls from the start on.
    clock = np.exp(2 * eta * at)
    share = (clock - clock.min()) / (clock.max() - clock.min())
    line = area.kernel(at) / noise.kernel(at)
    np.testing.assert_allclose(np.diff(line) / np.diff(share), np.diff(line)[0] / np.diff(share)[0])
    assert line[0] > 0 > line[-1]


def test_seeds_3s_has_no_node_at_which_its_last_weight_vanishes() -> None:
    with pytest.raises(TableauError, match="no node 2/3"):
        make_plan("seeds-3s@2/3", [2.0, 1.0])


def test_coefficients_that_are_not_real_are_refused() -> None:
    def noise(rate, nodes):
        root = sp.sqrt(1 - 2 * h)
        return (Functional({Moment(rate, 0): root}),)

    tableau = replace(method("seeds-1"), name="short", noise=noise, noise_nodes=())
    assert make_plan(tableau, [1.2, 1.0]).nfe == 1
    with pytest.raises(TableauError, match=r"'short' has no coefficients for a step of 0\.693"):
        make_plan(tableau, [2.0, 1.0])


# ------------------------------------------------------------------------------- states alpha y


@pytest.mark.parametrize("alpha", [preserving_alpha, flow_alpha])
@pytest.mark.parametrize("prediction", ["data", "noise"])
@pytest.mark.parametrize("name", ["seeds-1", "seeds-2", "seeds-3@0.3,0.8"])
@pytest.mark.parametrize("first", [20.0, math.inf])
def test_a_scaled_plan_follows_the_same_states_times_alpha(
    alpha: Callable[[float], float], prediction: str, name: str, first: float
) -> None:
    plan = make_plan(name, [first, 4.0, 1.0, 0.2, 0.0], prediction=prediction)
    scaled = plan.scaled(alpha)
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(plan.normals, 3, 2, generator=generator, dtype=torch.float64)
    x = torch.randn(3, 2, generator=generator, dtype=torch.float64)

    def factor(sigma: float) -> float:
        return alpha(sigma) if math.isfinite(sigma) else 1.0

    def model(y: Tensor, sigma: float) -> Tensor:
        return torch.tanh(y) if math.isfinite(sigma) else y / 7

    expected = follow(model, plan.initial_scale * x, plan, InjectedNoise(z))
    found = follow(
        lambda state, sigma: model(state / factor(sigma), sigma),
        scaled.initial_scale * x,
        scaled,
        InjectedNoise(z),
    )
    assert scaled.initial_scale == plan.initial_scale * factor(first)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eta", [10**400, True, None, -1.0, math.nan, math.inf])
def test_an_eta_that_is_no_finite_number_is_refused_in_short(eta: object) -> None:
    with pytest.raises(ParameterError, match="eta is a finite number >= 0; got ") as caught:
        make_plan("seeds-1", [1.0, 0.5], eta=eta)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 100
