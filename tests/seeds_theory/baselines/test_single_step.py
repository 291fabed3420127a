"""The single-step baselines together: declared orders, and the conventions of the sampling loop."""

from __future__ import annotations

import itertools
import math
from functools import cache

import mpmath
import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.ddim import DDIM, DDPM
from seeds_theory.baselines.dpm_solver import (
    DPM_SOLVER_2,
    DPM_SOLVER_3,
    DPM_SOLVER_PP_2S,
    SDE_DPM_SOLVER_PP_1,
    SDE_DPM_SOLVER_PP_2S,
)
from seeds_theory.baselines.edm import EDM_HEUN
from seeds_theory.baselines.euler import EULER, EULER_MARUYAMA
from seeds_theory.baselines.gddim import GDDIM
from seeds_theory.baselines.langevin import PREDICTOR_CORRECTOR
from seeds_theory.baselines.lawson import LAWSON_2, LAWSON_EULER, LAWSON_RK4
from seeds_theory.baselines.restart import RESTART
from seeds_theory.baselines.run import Baseline, log_ratio, require_option
from seeds_theory.baselines.shark import LAWSON_SHARK, SHARK
from seeds_theory.baselines.sra1 import SRA1
from seeds_theory.baselines.stochastic_heun import STOCHASTIC_HEUN
from seeds_theory.errors import ParameterError
from seeds_theory.grids import uniform_log_snr
from seeds_theory.loop import StepInfo
from seeds_theory.plan import Interval, make_plan
from seeds_theory.sources import InjectedNoise, SeededNoise
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture
from toy_models.response import probe, strong_errors, weak_errors

SINGLE_STEP = [
    DDIM,
    DDPM,
    DPM_SOLVER_2,
    DPM_SOLVER_3,
    DPM_SOLVER_PP_2S,
    EDM_HEUN,
    EULER,
    EULER_MARUYAMA,
    GDDIM,
    LAWSON_2,
    LAWSON_EULER,
    LAWSON_RK4,
    LAWSON_SHARK,
    PREDICTOR_CORRECTOR,
    RESTART,
    SDE_DPM_SOLVER_PP_1,
    SDE_DPM_SOLVER_PP_2S,
    SHARK,
    SRA1,
    STOCHASTIC_HEUN,
]
STAGES = {
    "dpm-solver-2": 2,
    "dpm-solver-3": 3,
    "dpm-solver++-2s": 2,
    "edm-heun": 2,
    "lawson-2": 2,
    "lawson-rk4": 4,
    "lawson-shark": 2,
    "restart": 2,
    "sde-dpm-solver++-2s": 2,
    "shark": 2,
    "sra1": 2,
    "stochastic-heun": 2,
}
"""Model calls per step, where it is not 1; with noise, the predictor-corrector has 2."""

# Far down, Lawson's error for a constant D is of size h^p / sigma and hides the noise's; over more
# log-SNR, Euler-Maruyama is at 256 steps not yet in its asymptotic range, and ShARK's leading weak error
# cancels (claim beyond-shark-telescopes).
ENDS = dict.fromkeys(("lawson-2", "lawson-euler", "euler-maruyama", "shark"), (4.0, 0.5))
DATA = Gaussian(
    torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0]), torch.tensor([0.01, 0.1, 1.0, 10.0, 100.0])
)
CURVED = GaussianMixture.scalar([0.3, 0.7], [-1.0, 1.2], [0.4, 0.6])
GRID = [9.0, 3.0, 1.0, 0.2, 0.1]


def etas(baseline: Baseline) -> list[float]:
    """The etas > 0 to try."""
    if not baseline.stochastic:
        return []
    return {"ddpm": [1.0], "restart": [1.0, 2.0]}.get(baseline.name, [1.0, 0.5])


NOISY = [(baseline, eta) for baseline in SINGLE_STEP for eta in etas(baseline)]
SMOOTH = [baseline for baseline in SINGLE_STEP if baseline.declared.ode is not None]
EVERY = NOISY + [(baseline, 0.0) for baseline in SMOOTH]


def label(value: object) -> str | None:
    return value.name if isinstance(value, Baseline) else None


def start(batch: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (9 * torch.randn(batch, 2, generator=generator, dtype=torch.float64)).to(dtype)


def rows(count: int, like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, *like.shape, generator=generator, dtype=torch.float64)


def curved(x: Tensor, sigma: float) -> Tensor:
    """A denoiser that is not linear: data at -1 and 1."""
    return torch.tanh(x / sigma**2)


# ---------------------------------------------------------------------------------------- orders


@pytest.mark.parametrize(("baseline", "eta"), NOISY, ids=label)
def test_declared_orders_with_noise(baseline: Baseline, eta: float) -> None:
    ends = ENDS.get(baseline.name, (20.0, 0.02))
    deviation = (DATA.variances + ends[1] ** 2).sqrt()
    steps, strong, weak = [64, 128, 256], [], []
    for n in steps:
        grid = uniform_log_snr(*ends, n)
        response = probe(lambda D, x, noise, g=grid: baseline(D, x, g, noise, eta=eta), DATA)
        strong.append(float((strong_errors(response, DATA, *ends, eta) / deviation).norm()))
        weak.append(float((weak_errors(response, DATA, *ends) / deviation).norm()))
    declared = baseline.declared.gaussian
    assert fit_exact(steps, weak).order == pytest.approx(declared.weak, abs=0.05)
    assert fit_exact(steps, strong).order == pytest.approx(declared.strong or 0.0, abs=0.05)


@pytest.mark.parametrize("baseline", SMOOTH, ids=label)
def test_declared_order_of_the_ode(baseline: Baseline) -> None:
    ends = (20.0, 0.02)
    deviation = (DATA.variances + ends[1] ** 2).sqrt()
    steps, errors = [32, 64, 128, 256], []
    for n in steps:
        grid = uniform_log_snr(*ends, n)
        response = probe(lambda D, x, noise, g=grid: baseline(D, x, g, noise, eta=0.0), DATA)
        errors.append(float((strong_errors(response, DATA, *ends, 0.0) / deviation).norm()))
    assert fit_exact(steps, errors).order == pytest.approx(baseline.declared.ode, abs=0.05)


@cache
def curved_reference() -> tuple[Tensor, Tensor]:
    """Initial states at 4 and the solution of the ODE at 0.1."""
    x = torch.linspace(-9, 9, 20, dtype=torch.float64)[:, None]
    return x, LAWSON_RK4(CURVED, x, uniform_log_snr(4.0, 0.1, 512))


@pytest.mark.parametrize(
    ("baseline", "options"), [*((b, {}) for b in SMOOTH), (EDM_HEUN, {"alpha": 0.5})], ids=label
)
def test_the_order_of_the_ode_holds_on_curved_data(baseline: Baseline, options: dict) -> None:
    x, reference = curved_reference()
    steps, errors = [32, 64, 128], []
    for n in steps:
        end = baseline(CURVED, x, uniform_log_snr(4.0, 0.1, n), eta=0.0, **options)
        errors.append(float((end - reference).norm()))
    assert fit_exact(steps, errors).order == pytest.approx(baseline.declared.ode, abs=0.05)


# ----------------------------------------------------------------------------------- conventions


@pytest.mark.parametrize("grid", [GRID, [*GRID, 0.0]], ids=["short", "to zero"])
@pytest.mark.parametrize(("baseline", "eta"), EVERY, ids=label)
def test_the_callback_sees_each_step_once(
    baseline: Baseline, eta: float, grid: list[float]
) -> None:
    seen: list[StepInfo] = []
    x = start()
    kept = x.clone()
    end = baseline(curved, x, grid, SeededNoise([1, 2, 3]), eta=eta, callback=seen.append)
    assert [info.index for info in seen] == list(range(len(grid) - 1))
    assert [(info.sigma, info.sigma_next) for info in seen] == list(itertools.pairwise(grid))
    assert torch.equal(seen[-1].x, end) and torch.equal(x, kept)
    again = baseline(curved, x, grid, SeededNoise([1, 2, 3]), eta=eta)
    assert torch.equal(again, end)
    if grid[-1] == 0:
        assert torch.equal(end, curved(seen[-2].x, grid[-2]))


@pytest.mark.parametrize(("baseline", "eta"), EVERY, ids=label)
def test_one_and_two_steps(baseline: Baseline, eta: float) -> None:
    x, z = start(), rows(9, start())
    for grid in ([9.0, 3.0], [9.0, 0.0], [9.0, 3.0, 1.0]):
        end = baseline(curved, x, grid, InjectedNoise(z), eta=eta)
        assert end.shape == x.shape and bool(end.isfinite().all())
    middle = baseline(curved, x, [9.0, 3.0], InjectedNoise(z), eta=eta)
    used = 0 if eta == 0 else _draws(baseline, eta)
    composed = baseline(curved, middle, [3.0, 1.0], InjectedNoise(z[used:]), eta=eta)
    assert torch.equal(composed, end)  # no memory between steps


def _draws(baseline: Baseline, eta: float) -> int:
    """Normals of one step from 9 to 3."""
    asked: list[Interval] = []

    def source(intervals: list[Interval], like: Tensor) -> Tensor:
        asked.extend(intervals)
        return like.new_zeros((len(intervals), *like.shape))

    baseline(curved, start(), [9.0, 3.0], source, eta=eta)
    assert all(9.0 >= i.sigma > i.sigma_next >= 3.0 and i.eta == eta for i in asked)
    return len(asked)


@pytest.mark.parametrize(("baseline", "eta"), EVERY, ids=label)
def test_a_sample_does_not_depend_on_its_batch(baseline: Baseline, eta: float) -> None:
    x = start()
    together = baseline(curved, x, GRID, SeededNoise([5, 6, 7]), eta=eta)
    alone = baseline(curved, x[1:2], GRID, SeededNoise([6]), eta=eta)
    assert torch.allclose(together[1:2], alone, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("baseline", "eta"), EVERY, ids=label)
def test_float32_stays_float32(baseline: Baseline, eta: float) -> None:
    x, z = start(dtype=torch.float32), rows(12, start())
    single = baseline(DATA_2D, x, [*GRID, 0.0], InjectedNoise(z), eta=eta)
    double = baseline(DATA_2D, x.double(), [*GRID, 0.0], InjectedNoise(z), eta=eta)
    assert single.dtype == torch.float32
    # The explicit methods without an integrating factor grow in steps this long.
    assert float((single - double).abs().max()) <= 1e-4 * (1 + float(double.abs().max()))


DATA_2D = Gaussian(torch.tensor([0.3, -1.0]), torch.tensor([0.25, 2.0]))


@pytest.mark.parametrize("baseline", SMOOTH, ids=label)
def test_at_eta_0_no_noise_is_asked(baseline: Baseline) -> None:
    def source(intervals: list[Interval], like: Tensor) -> Tensor:
        raise AssertionError("asked for noise")

    baseline(curved, start(), [*GRID, 0.0], source, eta=0.0)


@pytest.mark.parametrize(("baseline", "eta"), EVERY, ids=label)
def test_number_of_model_calls(baseline: Baseline, eta: float) -> None:
    per_step = STAGES.get(baseline.name, 1)
    if baseline is PREDICTOR_CORRECTOR and eta > 0:
        per_step = 2
    grid = [9.0, 3.0, 1.0, 0.2, 0.1, 0.05]
    again = 2 * int(eta) if baseline is RESTART else 0  # from 0.2 to 0.1
    assert baseline.nfe(grid, eta=eta) == 5 * per_step + again
    assert baseline.nfe([*grid, 0.0], eta=eta) == 5 * per_step + again + 1


@pytest.mark.parametrize(
    ("baseline", "options"),
    [
        (DPM_SOLVER_2, {"r1": 0}),
        (DPM_SOLVER_3, {"r1": -0.5}),
        (DPM_SOLVER_3, {"r2": 1.5}),
        (SDE_DPM_SOLVER_PP_2S, {"r": math.nan}),
        (EDM_HEUN, {"alpha": 0.0}),
        (EDM_HEUN, {"churn": -1}),
        (EDM_HEUN, {"churn": "40"}),
        (EDM_HEUN, {"s_min": -0.1}),
        (EDM_HEUN, {"s_noise": None}),
        (LAWSON_2, {"c": 0}),
        (PREDICTOR_CORRECTOR, {"corrector": 1.1}),
        (PREDICTOR_CORRECTOR, {"snr": 0}),
        (RESTART, {"t_min": 0}),
        (RESTART, {"t_max": 0.01}),
        (RESTART, {"repeats": -1}),
        (RESTART, {"repeats": 1.5}),
        (RESTART, {"eta": 0.5}),
        (DDPM, {"eta": 0.5}),
        (DDPM, {"eta": 0}),
        (DPM_SOLVER_PP_2S, {"eta": 1.0}),
        (EULER, {"eta": 1.0}),
        (DDIM, {"r": 1}),
    ],
    ids=str,
)
def test_bad_options(baseline: Baseline, options: dict) -> None:
    with pytest.raises(ParameterError, match=next(iter(options))):
        baseline(curved, start(), GRID, **options)


# ----------------------------------------------------------------- what the run gives them for this


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
def test_noises_are_the_exact_joint_noise_of_data_prediction(eta: float) -> None:
    def noise_only(run):  # type: ignore[no-untyped-def]
        for s, t in run.steps:
            first, last = run.noises(s, math.sqrt(s * t), t)
            run.step(first, s, t, first)
            return last

    plan = make_plan("seeds-2", [3.0, 1.0], eta=eta)
    z, firsts = rows(2, start()), []
    found = Baseline("noise", noise_only, DDIM.declared, "")(
        curved, start(), [3.0, 1.0], InjectedNoise(z), eta=eta, callback=firsts.append
    )
    (step,) = plan.steps
    for value, row in zip((firsts[0].x, found), step.rows, strict=True):
        expected = sum(w * normal for w, normal in zip(row.noise, z, strict=False))
        assert torch.allclose(value, expected, rtol=1e-12, atol=1e-14)


def test_small_steps_lose_no_digits() -> None:
    s, t = 0.7, 0.7 * (1 - 1e-6)
    with mpmath.workdps(40):
        h = float(mpmath.log(mpmath.mpf(s) / mpmath.mpf(t)))
    assert log_ratio(s, t) == pytest.approx(h, rel=1e-15, abs=0)
    grid, zero = [s, t], torch.zeros(1, 1, dtype=torch.float64)
    unit = torch.ones(1, 1, 1, dtype=torch.float64)

    def nothing(x: Tensor, sigma: float) -> Tensor:
        return torch.zeros_like(x)

    spread = Interval(s, t, make_plan("seeds-1", grid).form, 0.5).deviation
    for baseline in (GDDIM, SDE_DPM_SOLVER_PP_1, LAWSON_EULER):
        end = baseline(nothing, zero, grid, InjectedNoise(unit), eta=0.5)
        assert float(end) == pytest.approx(spread, rel=1e-12, abs=0)


def test_an_option_states_its_range() -> None:
    require_option("c", 1, 0, 1)
    require_option("c", 0, 0, 1, closed=True)
    with pytest.raises(ParameterError, match=r"0 < c <= 1; got 0"):
        require_option("c", 0, 0, 1)
