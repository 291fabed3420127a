"""SA-Solver: predictor and corrector by hand, what its options contain, what it refuses."""

import math

import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.sa_solver import SA_SOLVER
from seeds_theory.errors import ParameterError
from seeds_theory.grids import uniform_log_snr
from seeds_theory.loop import StepInfo
from seeds_theory.sources import InjectedNoise
from toy_models.convergence import fit_exact
from toy_models.gaussian import Gaussian
from toy_models.response import probe, strong_errors, weak_errors

GENERATOR = torch.Generator().manual_seed(1)
X = 20 * torch.randn(4, 2, dtype=torch.float64, generator=GENERATOR)
Z = torch.randn(8, 4, 2, dtype=torch.float64, generator=GENERATOR)


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / sigma**2)


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_predictor_and_corrector_of_one_step_by_hand(eta: float) -> None:
    """Exponential Euler, then the exponential trapezoidal rule with the same noise."""
    s, m, t = 9.0, 5.0, 2.0
    kappa = 1 + eta

    def noise(s: float, t: float, z: Tensor) -> Tensor:
        return t * math.sqrt(1 - (t / s) ** (2 * eta)) * z

    D_s = curved(X, s)
    decay = (m / s) ** kappa
    predicted = decay * X + (1 - decay) * D_s + noise(s, m, Z[0])
    D_m = curved(predicted, m)
    h = math.log(s / m)
    late = 1 - (1 - decay) / (kappa * h)  # of the weight of a line that is 0 at s and 1 at m
    x_m = decay * X + (1 - decay - late) * D_s + late * D_m + noise(s, m, Z[0])
    decay = (t / m) ** kappa
    expected = decay * x_m + (1 - decay) * D_m + noise(m, t, Z[1])

    options = {"predictor_steps": 1, "corrector_steps": 1}
    found = SA_SOLVER(curved, X, [s, m, t], InjectedNoise(Z), eta=eta, **options)
    assert far(found, expected) <= 1e-13


def test_the_last_step_is_not_corrected() -> None:
    options = {"predictor_steps": 2, "corrector_steps": 0}
    grids = [9.0, 5.0], [9.0, 5.0, 2.0]
    for grid, same in zip(grids, (True, False), strict=True):
        plain = SA_SOLVER(curved, X, grid, InjectedNoise(Z), **options)
        corrected = SA_SOLVER(curved, X, grid, InjectedNoise(Z), predictor_steps=2)
        assert torch.equal(plain, corrected) is same


def test_the_corrector_remembers_more_than_a_short_predictor_does() -> None:
    """An estimate that depends on sigma alone is the same wherever the predictor goes."""

    def cubic(x: Tensor, sigma: float) -> Tensor:
        return torch.full_like(x, 1 + (1 - 0.3 * math.log(sigma)) ** 3)

    grid = [20.0, 9.0, 5.0, 2.1, 1.2]
    states: list[Tensor] = []
    for steps in (1, 2):  # of predictors that differ, before the same correction
        seen: list[StepInfo] = []
        SA_SOLVER(
            cubic, X, grid, eta=0.0, predictor_steps=steps, corrector_steps=3, callback=seen.append
        )
        h, step = math.log(2.1 / 1.2), seen[-1]
        assert step.sigma == 2.1
        integral = -math.expm1(-h) * cubic(X, 2.1)
        if steps == 2:
            slope = (cubic(X, 2.1) - cubic(X, 5.0)) / math.log(5.0 / 2.1)
            integral = integral + (h + math.expm1(-h)) * slope
        states.append((step.x - integral) / (1.2 / 2.1))  # as it was corrected, at 2.1
    assert far(states[0], states[1]) <= 1e-13


STEPS = (64, 128, 256)


def orders(eta: float, predictor: int, corrector: int) -> tuple[float | None, float | None]:
    data = Gaussian(torch.tensor([-1.0, 0.5, 2.0]), torch.tensor([0.1, 1.0, 400.0]))
    strong, weak = [], []
    for n in STEPS:
        grid = uniform_log_snr(20.0, 0.5, n)
        response = probe(
            lambda D, x, z, grid=grid: SA_SOLVER(
                D, x, grid, z, eta=eta, predictor_steps=predictor, corrector_steps=corrector
            ),
            data,
        )
        strong.append(float(strong_errors(response, data, 20.0, 0.5, eta).norm()))
        weak.append(float(weak_errors(response, data, 20.0, 0.5).norm()))
    return fit_exact(STEPS, strong).order, fit_exact(STEPS, weak).order


@pytest.mark.parametrize(
    ("predictor", "corrector", "ode"),
    # A one-step start without corrector has an error of h^2, with corrector of h^3.
    [(1, 0, 1), (2, 0, 2), (3, 0, 2), (1, 1, 2), (2, 1, 2), (2, 2, 3), (4, 4, 3)],
)
def test_orders_of_its_members(predictor: int, corrector: int, ode: int) -> None:
    assert orders(0.0, predictor, corrector)[0] == pytest.approx(ode, abs=0.05)


@pytest.mark.parametrize(
    ("predictor", "corrector", "weak"), [(1, 0, 1), (1, 1, 2), (2, 0, 2), (2, 2, 2)]
)
def test_orders_of_its_members_with_noise(predictor: int, corrector: int, weak: int) -> None:
    assert orders(1.0, predictor, corrector) == pytest.approx((1, weak), abs=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {"predictor_steps": 0},
        {"predictor_steps": 5},
        {"predictor_steps": 2.0},
        {"predictor_steps": "3"},
        {"corrector_steps": -1},
        {"corrector_steps": 5},
        {"corrector_steps": None},
    ],
)
def test_other_numbers_of_steps_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match="steps; got"):
        SA_SOLVER(curved, X, [9.0, 5.0], **options)
