"""The multistep baselines together: orders, exactness, the SEEDS methods they contain, the run's contract."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.deis import DEIS_TAB2, DEIS_TAB3
from seeds_theory.baselines.dpm_multistep import (
    DPM_SOLVER_PP_2M,
    DPM_SOLVER_PP_3M,
    SDE_DPM_SOLVER_PP_2M,
    SDE_DPM_SOLVER_PP_3M,
)
from seeds_theory.baselines.er_sde import ER_SDE_1, ER_SDE_2, ER_SDE_3
from seeds_theory.baselines.run import Baseline
from seeds_theory.baselines.sa_solver import SA_SOLVER
from seeds_theory.baselines.unipc import UNIPC_2, UNIPC_3
from seeds_theory.errors import ParameterError
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.loop import StepInfo, follow
from seeds_theory.plan import Interval, make_plan
from seeds_theory.sources import InjectedNoise, SeededNoise
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture
from toy_models.response import probe, strong_errors, weak_errors

ODE = [DPM_SOLVER_PP_2M, DPM_SOLVER_PP_3M, DEIS_TAB2, DEIS_TAB3, UNIPC_2, UNIPC_3]
SDE = [SDE_DPM_SOLVER_PP_2M, SDE_DPM_SOLVER_PP_3M, SA_SOLVER, ER_SDE_1, ER_SDE_2, ER_SDE_3]
ALL = ODE + SDE
CASES = [(b, 0.0) for b in ODE] + [(b, eta) for b in SDE for eta in (0.0, 0.5, 1.0)]

GRID = [20.0, 9.0, 5.0, 2.1, 1.2, 0.5, 0.3]


def named(value: object) -> str:
    return getattr(value, "__name__", str(value))  # of a function its name, without its address


every = pytest.mark.parametrize("baseline", ALL, ids=named)
every_case = pytest.mark.parametrize(("baseline", "eta"), CASES, ids=named)


def curved(x: Tensor, sigma: float) -> Tensor:
    """A denoiser that is not linear: data at -1 and 1."""
    return torch.tanh(x / sigma**2)


def start(batch: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (20 * torch.randn(batch, 2, dtype=torch.float64, generator=generator)).to(dtype)


def rows(count: int, like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, *like.shape, dtype=torch.float64, generator=generator)


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


# ------------------------------------------------------------------------------------------- orders

# The widest variance is there for the methods that only their first step, at sigma = 20, limits.
DATA = Gaussian(
    torch.tensor([-2.0, -1.0, 0.5, 1.0, 2.0]), torch.tensor([0.01, 0.1, 1.0, 10.0, 400.0])
)
ENDS = (20.0, 0.5)


def uneven(sigma_max: float, sigma_min: float, steps: int) -> np.ndarray:
    """Steps h, 2h, h, 2h, ... in log-SNR: their ratio does not tend to 1 as they get shorter."""
    lengths = np.where(np.arange(steps) % 2 == 0, 1.0, 2.0)
    u = np.append(0.0, np.cumsum(lengths)) / lengths.sum()
    return sigma_max * (sigma_min / sigma_max) ** u


def measured_orders(
    baseline: Baseline,
    eta: float,
    grid: Callable[..., np.ndarray],
    steps: Sequence[int] = (64, 128, 256),
    gaussian: Gaussian = DATA,
) -> tuple[float | None, float | None]:
    """Strong and weak order on Gaussian data, errors relative to the marginal's deviation.

    At eta = 0 they are one, and the weak one is cheaper.
    """
    deviation = (gaussian.variances + ENDS[1] ** 2).sqrt()
    strong, weak = [], []
    for n in steps:
        levels = grid(*ENDS, n)
        response = probe(
            lambda D, x, z, levels=levels: baseline(D, x, levels, z, eta=eta), gaussian
        )
        weak.append(float((weak_errors(response, gaussian, *ENDS) / deviation).norm()))
        if eta > 0:
            errors = strong_errors(response, gaussian, *ENDS, eta)
            strong.append(float((errors / deviation).norm()))
    order = fit_exact(steps, weak).order
    return (fit_exact(steps, strong).order if strong else order), order


@pytest.mark.parametrize("baseline", [*ODE, SA_SOLVER, ER_SDE_1, ER_SDE_2, ER_SDE_3], ids=named)
@pytest.mark.parametrize("grid", [uneven, rho_grid])
def test_the_declared_order_of_the_ode_is_the_measured_one(
    baseline: Baseline, grid: Callable[..., np.ndarray]
) -> None:
    found = measured_orders(baseline, 0.0, grid)[1]
    assert found == pytest.approx(baseline.declared.ode, abs=0.05)


@pytest.mark.parametrize("baseline", SDE, ids=named)
@pytest.mark.parametrize(("eta", "grid"), [(0.5, uniform_log_snr), (1.0, uneven), (1.0, rho_grid)])
def test_the_declared_orders_of_the_sde_are_the_measured_ones(
    baseline: Baseline, eta: float, grid: Callable[..., np.ndarray]
) -> None:
    late = baseline is SA_SOLVER and grid is rho_grid
    steps = (128, 256, 512) if late else (64, 128, 256)
    declared = baseline.declared.strong, baseline.declared.weak
    assert measured_orders(baseline, eta, grid, steps) == pytest.approx(declared, abs=0.05)


@pytest.mark.parametrize("baseline", [UNIPC_3, SA_SOLVER], ids=named)
@pytest.mark.parametrize("grid", [uniform_log_snr, uneven])
def test_where_the_first_step_is_harmless_the_correctors_have_order_4(
    baseline: Baseline, grid: Callable[..., np.ndarray]
) -> None:
    narrow = Gaussian(torch.tensor([1.0]), torch.tensor([0.01]))
    found = measured_orders(baseline, 0.0, grid, (32, 64, 128), narrow)[1]
    assert found == pytest.approx(4, abs=0.05)


MIXTURE = GaussianMixture.scalar([0.3, 0.5, 0.2], [-1.5, 0.4, 2.0], [0.3, 0.5, 0.2])


@pytest.mark.parametrize("baseline", [*ODE, SA_SOLVER, ER_SDE_1, ER_SDE_2, ER_SDE_3], ids=named)
def test_curved_data_lose_no_order(baseline: Baseline) -> None:
    first, last = MIXTURE.marginal(5.0), MIXTURE.marginal(0.5)
    ranks = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)[:, None]
    x, exact = first.quantile(ranks), last.quantile(ranks)  # the flow is monotone: it keeps ranks
    errors, steps = [], (64, 128, 256)
    for n in steps:
        end = baseline(MIXTURE, x, uneven(5.0, 0.5, n), eta=0.0)
        errors.append(float((end - exact).square().mean().sqrt()))
    order = fit_exact(steps, errors).order
    assert order is not None
    assert order >= baseline.declared.ode - 0.05
    if baseline not in (UNIPC_3, SA_SOLVER):  # there the first step is not yet the largest error
        assert order <= baseline.declared.ode + 0.05


# ---------------------------------------------------------------------------------------- exactness


def transition(D: Callable[[np.ndarray], np.ndarray], s: float, t: float, eta: float) -> float:
    """The exact integral of an estimate that depends on sigma alone, over a step."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    h, kappa = math.log(s / t), 1 + eta
    distance = h * (1 - nodes) / 2
    kernel = kappa * np.exp(-kappa * distance)
    return float((weights * kernel * D(t * np.exp(distance))).sum() * h / 2)


def powers_of_log_snr(degree: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda sigma: 1 + (1 - 0.3 * np.log(sigma)) ** degree


def powers_of_sigma(degree: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda sigma: 1 + (sigma - 0.7) ** degree


def eps_powers_of_sigma(degree: int) -> Callable[[np.ndarray], np.ndarray]:
    """The part of D = x - sigma eps that eps adds; x itself is the rest, see the test."""
    return lambda sigma: (sigma - 0.7) ** degree


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("baseline", "family", "degree", "options"),
    [
        (SDE_DPM_SOLVER_PP_3M, powers_of_log_snr, 2, {}),
        (SA_SOLVER, powers_of_log_snr, 2, {}),
        (SA_SOLVER, powers_of_log_snr, 0, {"predictor_steps": 1, "corrector_steps": 0}),
        (SA_SOLVER, powers_of_log_snr, 1, {"predictor_steps": 2, "corrector_steps": 0}),
        (SA_SOLVER, powers_of_log_snr, 3, {"predictor_steps": 4, "corrector_steps": 4}),
        (ER_SDE_1, powers_of_sigma, 0, {}),
        (ER_SDE_2, powers_of_sigma, 1, {}),
        (ER_SDE_3, powers_of_sigma, 1, {}),
    ],
    ids=named,
)
def test_a_step_with_full_memory_is_exact_for_polynomials_and_for_no_higher_ones(
    baseline: Baseline, family: Callable, degree: int, options: dict[str, int], eta: float
) -> None:
    assert _worst_transition(baseline, family(degree), eta, options) <= 1e-13
    assert _worst_transition(baseline, family(degree + 1), eta, options) >= 1e-6


def test_unipc_3_is_exact_for_quadratic_estimates() -> None:
    assert _worst_transition(UNIPC_3, powers_of_log_snr(2), 0.0, {}) <= 1e-13
    assert _worst_transition(UNIPC_3, powers_of_log_snr(3), 0.0, {}) >= 1e-6


def _worst_transition(
    baseline: Baseline, D: Callable[[np.ndarray], np.ndarray], eta: float, options: dict[str, int]
) -> float:
    states: list[StepInfo] = []
    x = start()
    baseline(
        lambda x, sigma: torch.full_like(x, float(D(np.array(sigma)))),
        x,
        GRID,
        InjectedNoise(torch.zeros(len(GRID), *x.shape)),
        eta=eta,
        callback=states.append,
        **options,
    )
    worst = 0.0
    for before, after in list(itertools.pairwise(states))[4:]:
        s, t = after.sigma, after.sigma_next
        exact = (t / s) ** (1 + eta) * before.x + transition(D, s, t, eta)
        worst = max(worst, far(after.x, exact))
    return worst


@pytest.mark.parametrize(("baseline", "degree"), [(DEIS_TAB2, 2), (DEIS_TAB3, 3)], ids=named)
def test_deis_is_exact_for_polynomial_eps(baseline: Baseline, degree: int) -> None:
    # Memory and start-up included: Heun's rule is exact to degree 1 only, Kutta's to 3.
    def run(power: int) -> float:
        states: list[StepInfo] = []
        eps = eps_powers_of_sigma(power)
        baseline(lambda x, sigma: x - sigma * eps(sigma), start(), GRID, callback=states.append)
        worst = 0.0
        for before, after in list(itertools.pairwise(states))[2:]:
            s, t = after.sigma - 0.7, after.sigma_next - 0.7
            exact = before.x + (t ** (power + 1) - s ** (power + 1)) / (power + 1)
            worst = max(worst, far(after.x, exact))
        return worst

    assert run(degree) <= 1e-13
    assert run(degree + 1) >= 1e-6


# ----------------------------------------------------------------------- what they have of each other


@every_case
def test_the_first_step_is_that_of_seeds(baseline: Baseline, eta: float) -> None:
    if baseline in (DEIS_TAB2, DEIS_TAB3):
        pytest.skip("starts by a Runge-Kutta method in sigma: see test_deis")
    two_stages = eta == 0 and baseline in (DPM_SOLVER_PP_3M, SDE_DPM_SOLVER_PP_3M)
    grid, x = [20.0, 9.0], start()
    plan = make_plan("seeds-2" if two_stages else "seeds-1", grid, eta=eta)
    z = rows(1, x)
    expected = follow(curved, x, plan, InjectedNoise(z))
    assert far(baseline(curved, x, grid, InjectedNoise(z), eta=eta), expected) <= 1e-13


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("baseline", "options"),
    [(ER_SDE_1, {}), (SA_SOLVER, {"predictor_steps": 1, "corrector_steps": 0})],
    ids=named,
)
@pytest.mark.parametrize("grid", [GRID, [*GRID, 0.0]], ids=["", "to zero"])
def test_the_one_step_members_are_seeds_1(
    baseline: Baseline, options: dict[str, int], eta: float, grid: list[float]
) -> None:
    x = start()
    z = rows(len(grid), x)
    expected = follow(curved, x, make_plan("seeds-1", grid, eta=eta), InjectedNoise(z))
    assert far(baseline(curved, x, grid, InjectedNoise(z), eta=eta, **options), expected) <= 1e-13


# ----------------------------------------------------------------------------------- the run's contract


class Forbidden:
    """A source that must not be asked."""

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        raise AssertionError("eta = 0 draws no noise")


@every
def test_the_ode_draws_no_noise(baseline: Baseline) -> None:
    assert baseline(curved, start(), GRID, Forbidden(), eta=0.0).isfinite().all()


@pytest.mark.parametrize("baseline", SDE, ids=named)
def test_the_sde_draws_one_noise_a_step(baseline: Baseline) -> None:
    asked: list[tuple[float, float]] = []

    def source(intervals: Sequence[Interval], like: Tensor) -> Tensor:
        asked.extend((i.sigma, i.sigma_next) for i in intervals)
        return torch.zeros(len(intervals), *like.shape, dtype=like.dtype)

    baseline(curved, start(), [*GRID, 0.0], source, eta=1.0)
    assert asked == list(itertools.pairwise(GRID))


@every_case
@pytest.mark.parametrize("grid", [GRID, [*GRID, 0.0], GRID[:2], GRID[:3], [9.0, 2.0, 0.0]])
def test_the_callback_sees_every_step_once(
    baseline: Baseline, eta: float, grid: list[float]
) -> None:
    seen: list[StepInfo] = []
    x = start()
    noise = InjectedNoise(rows(len(grid), x))
    end = baseline(curved, x, grid, noise, eta=eta, callback=seen.append)
    assert [info.index for info in seen] == list(range(len(grid) - 1))
    assert [(info.sigma, info.sigma_next) for info in seen] == list(itertools.pairwise(grid))
    # What a step's model call is given is what the callback saw last.
    for before, info in zip([x, *(info.x for info in seen)], seen, strict=False):
        assert torch.equal(info.denoised, curved(before, info.sigma))
    assert torch.equal(seen[-1].x, end)
    if grid[-1] == 0:
        assert torch.equal(end, seen[-1].denoised)


EXTRA_CALLS = {"deis-tab2": 1, "deis-tab3": 4, "dpm-solver++-3m": 1, "sde-dpm-solver++-3m": 1}


@every_case
@pytest.mark.parametrize("grid", [GRID, [*GRID, 0.0]], ids=["", "to zero"])
def test_a_step_costs_one_model_call(baseline: Baseline, eta: float, grid: list[float]) -> None:
    extra = EXTRA_CALLS.get(baseline.name, 0) if eta == 0 else 0
    calls: list[float] = []

    def counted(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return curved(x, sigma)

    baseline(counted, start(), grid, InjectedNoise(rows(len(grid), start())), eta=eta)
    assert len(calls) == len(grid) - 1 + extra == baseline.nfe(grid, eta=eta)


@every_case
def test_nothing_that_is_given_is_changed(baseline: Baseline, eta: float) -> None:
    x = start()
    z, given = rows(len(GRID), x), x.clone()
    kept: list[tuple[Tensor, Tensor]] = []

    def remembered(state: Tensor, sigma: float) -> Tensor:
        estimate = curved(state, sigma)
        kept.extend([(state, state.clone()), (estimate, estimate.clone())])
        return estimate

    copy = z.clone()
    baseline(remembered, x, GRID, InjectedNoise(z), eta=eta)
    assert torch.equal(x, given)
    assert torch.equal(z, copy)
    assert all(torch.equal(now, then) for now, then in kept)


@every_case
def test_a_sample_does_not_depend_on_its_batch(baseline: Baseline, eta: float) -> None:
    x = start()
    whole = baseline(curved, x, [*GRID, 0.0], SeededNoise([3, 1, 4, 5]), eta=eta)
    one = baseline(curved, x[2:3], [*GRID, 0.0], SeededNoise([4]), eta=eta)
    assert torch.equal(whole[2:3], one)


@every_case
def test_float32_stays_float32(baseline: Baseline, eta: float) -> None:
    x = start()
    z = rows(len(GRID), x)
    double = baseline(curved, x, GRID, InjectedNoise(z), eta=eta)
    single = baseline(curved, x.float(), GRID, InjectedNoise(z), eta=eta)
    assert single.dtype == torch.float32
    assert far(single.double(), double) <= 1e-4


@every
@pytest.mark.parametrize("option", ["k", "p", "r", "run", "order", "tau"])
def test_unknown_options_are_refused(baseline: Baseline, option: str) -> None:
    with pytest.raises(ParameterError, match=f"no option '{option}'"):
        baseline(curved, start(), GRID, **{option: 2})


@pytest.mark.parametrize("baseline", ODE, ids=named)
def test_the_odes_refuse_noise(baseline: Baseline) -> None:
    assert baseline.eta == 0
    with pytest.raises(ParameterError, match="has eta = 0 only"):
        baseline(curved, start(), GRID, eta=1.0)
