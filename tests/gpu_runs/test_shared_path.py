import numpy as np
import pytest
from tiny_networks import tiny_network

from gpu_runs.generation.sampler import Generation, ImageSampler
from gpu_runs.generation.shared_path import PARTS, SharedPath, levels_of
from seeds_theory.grids import rho_grid
from seeds_theory.solver import SOLVERS, Solver

GRID = rho_grid(80.0, 0.002, 9, rho=7, to_zero=True)
LEVELS = levels_of(Solver("seeds-3", {"eta": 1.0}), GRID)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_sampler_of_the_sde_but_restart_follows_the_path(name):
    solver = Solver(name)
    path = SharedPath.of(LEVELS, solver, rho_grid(80.0, 0.002, 5, rho=7, to_zero=True))
    follows = solver.eta == 1 and name not in ("restart", "edm-heun")
    assert (path is not None) == follows


def test_what_does_not_fit_the_levels_draws_its_own_noise():
    assert SharedPath.of(LEVELS, Solver("seeds-1", {"eta": 0.0}), GRID) is None
    assert SharedPath.of((), Solver("seeds-1"), GRID) is None
    assert SharedPath.of(LEVELS, Solver("seeds-1", {"eta": "1:0.3-5"}), GRID) is None
    assert SharedPath.of(LEVELS, Solver("seeds-1", {"eta": "1"}), GRID) is not None
    assert SharedPath.of(LEVELS[1:], Solver("seeds-1"), GRID) is None
    assert SharedPath.of(LEVELS, Solver("edm-heun", {"churn": 9.0}), GRID) is None
    assert levels_of(Solver("seeds-3", {"eta": 0.0}), GRID) == ()


@pytest.mark.parametrize("name", ["seeds-1", "seeds-3"])
def test_the_levels_are_those_of_the_run_and_equal_parts_between_them(name):
    levels = np.array(levels_of(Solver(name, {"eta": 1.0}), GRID))
    own = levels[::PARTS]
    assert len(own) == (9 if name == "seeds-1" else 25)
    assert all(np.abs(own / level - 1).min() < 1e-12 for level in GRID[:-1])
    widths = np.log(levels[:-1] / levels[1:]).reshape(-1, PARTS)
    np.testing.assert_allclose(widths, widths[:, :1] * np.ones(PARTS), rtol=1e-9)


@pytest.mark.slow
def test_images_approach_those_of_the_fine_solution_on_one_path_only():
    network = tiny_network()
    seeds = range(6)

    def images(levels, method="seeds-2", steps=30):
        sampler = ImageSampler(network, Generation(method, steps, {"eta": 1.0}), levels)
        return sampler(seeds).double().numpy()

    fine = Generation("seeds-3", 60, {"eta": 1.0})
    made = ImageSampler(network, fine)
    levels = levels_of(made.solver, made.sigmas)
    reference = images(levels, "seeds-3", 60)

    def rms(other):
        return float(np.sqrt(np.square(other - reference).mean()))

    assert rms(images(levels)) < 0.5 * rms(images(()))
    assert rms(images(levels)) < rms(images(levels, steps=8))
