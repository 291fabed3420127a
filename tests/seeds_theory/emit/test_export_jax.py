"""The exported function of jax, under jit, gives what `follow` gives, in both of its precisions."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from exported import ETAS, GRIDS, VARIANTS, Run, module

pytestmark = pytest.mark.slow  # jax compiles each run

GRIDS_OF_THREE = [
    GRIDS["even"],
    [80.0, 79.5, 0.3, 0.0],
    GRIDS["from infinity"],
    GRIDS["infinity to zero"],
]


def curved(x: jax.Array, sigma: jax.Array) -> jax.Array:
    """The problem of the other tests."""
    finite = jnp.tanh(3.0 * x / (1 + sigma**2))
    return jnp.where(jnp.isinf(sigma), 0.25 * jnp.tanh(x), finite)


@cache
def compiled(name: str, prediction: str) -> Any:
    return jax.jit(module(name, prediction, "jax").sample, static_argnums=0)


def sampled(name: str, prediction: str, run: Run, eta: float) -> np.ndarray:
    normals = run.per_step if eta > 0 else np.zeros_like(run.per_step)
    found = compiled(name, prediction)(curved, run.x.numpy(), np.array(run.sigmas), normals, eta)
    return np.asarray(found)


@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_it_gives_what_follow_gives(name: str, prediction: str) -> None:
    with jax.enable_x64(True):
        # All grids are of three steps: for them the function is compiled once.
        for grid, eta in itertools.product(GRIDS_OF_THREE, ETAS):
            run = Run(name, prediction, grid, eta)
            assert run.error(sampled(name, prediction, run, eta)) < 1e-13


@pytest.mark.parametrize(("name", "prediction"), [v for v in VARIANTS if "@" not in v[0]])
def test_it_is_accurate_in_single_precision(name: str, prediction: str) -> None:
    for eta in (0.0, 1.0):
        run = Run(name, prediction, GRIDS_OF_THREE[1], eta, torch.float32)
        assert run.error(sampled(name, prediction, run, eta)) < 1e-5


def test_states_keep_their_type_in_either_precision() -> None:
    run = Run("seeds-2b", "data", GRIDS["even"], 1.0, torch.float32)
    with jax.enable_x64(True):
        assert run.error(sampled("seeds-2b", "data", run, 1.0)) < 1e-6


def test_the_run_has_derivatives() -> None:
    run = Run("seeds-2", "data", GRIDS["infinity to zero"], 1.0)
    sample = module("seeds-2", "data", "jax").sample

    def total(x: Any, eta: Any) -> Any:
        return sample(curved, x, jnp.array(run.sigmas), jnp.nan_to_num(run.per_step), eta).sum()

    gradient = jax.jit(jax.grad(total, argnums=(0, 1)))
    by_state, by_eta = gradient(jnp.asarray(run.x.numpy()), 1.0)
    assert jnp.isfinite(by_state).all() and jnp.isfinite(by_eta)
    assert by_eta != 0
    by_state, _ = gradient(jnp.asarray(run.x.numpy()), 0.0)  # by eta there is none at 0
    assert jnp.isfinite(by_state).all()


def test_without_noise_no_normals_are_needed() -> None:
    run = Run("seeds-2", "data", GRIDS["even"], 0.0, torch.float32)
    sample = module("seeds-2", "data", "jax").sample
    assert run.error(sample(curved, run.x.numpy(), run.sigmas, None, 0.0)) < 1e-6


def test_a_grid_has_two_levels() -> None:
    with pytest.raises(ValueError, match="two or more noise levels"):
        module("seeds-1", "data", "jax").sample(curved, jnp.zeros(1), [1.0], None)
