"""Samples in one line: the same as by hand, at any batch, and typed refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from seeds_theory import (
    DiscreteSchedule,
    GridError,
    NetworkDenoiser,
    ParameterError,
    RectifiedFlow,
    SeededNoise,
    SeedsError,
    UnknownNameError,
    follow,
    make_plan,
    rho_grid,
    sample,
    time_grid,
)
from seeds_theory.solver import Solver


def curved(x: Tensor, sigma: float) -> Tensor:
    if math.isinf(sigma):
        return torch.zeros_like(x)
    return torch.tanh(x / (1 + sigma**2))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_it_is_the_loop_on_a_plan_from_seeded_noise(eta: float) -> None:
    found = sample(curved, "seeds-2", shape=(2, 3), seeds=range(4), steps=6, eta=eta)
    plan = make_plan("seeds-2", rho_grid(80.0, 0.002, 6, to_zero=True), eta=eta)
    noise = SeededNoise(range(4))
    assert torch.equal(
        found, follow(curved, plan.initial_scale * noise.initial((2, 3)), plan, noise)
    )


@pytest.mark.parametrize("method", ["seeds-3", "seeds-2m", "sa-solver", "dpm-solver++-2m"])
def test_a_seed_gives_the_same_sample_in_any_batch(method: str) -> None:
    whole = sample(curved, method, shape=(2,), seeds=range(5), steps=5)
    for batch in (1, 2, 5, 9):
        assert torch.equal(
            sample(curved, method, shape=(2,), seeds=range(5), steps=5, batch=batch), whole
        )
    assert torch.equal(sample(curved, method, shape=(2,), seeds=[3], steps=5), whole[3:4])
    assert len(torch.unique(whole, dim=0)) == 5


@pytest.mark.parametrize("kind", ["tensor", "list", "dictionary"])
@pytest.mark.parametrize("batch", [None, 2])
def test_a_condition_is_cut_along_with_the_seeds(kind: str, batch: int | None) -> None:
    shifts = torch.tensor([0.0, 1.0, 2.0, -1.0, 5.0])

    def shifted(x: Tensor, sigma: float, condition: Any) -> Tensor:
        if kind == "dictionary":
            assert condition["none"] is None and condition["more"]["names"][0] in "abcde"
            condition = condition["shift"]
        shift = torch.as_tensor(condition)[:, None]
        assert len(shift) == len(x)
        return curved(x, sigma) + shift

    condition: Any = {
        "tensor": shifts,
        "list": shifts.tolist(),
        "dictionary": {"shift": shifts, "more": {"names": list("abcde")}, "none": None},
    }[kind]
    options: dict[str, Any] = {"shape": (2,), "steps": 5}
    found = sample(shifted, seeds=range(5), condition=condition, batch=batch, **options)
    for seed, shift in enumerate(shifts.tolist()):
        alone = sample(
            lambda x, sigma, shift=shift: curved(x, sigma) + shift, seeds=[seed], **options
        )
        torch.testing.assert_close(found[seed : seed + 1], alone)


@pytest.mark.parametrize(
    ("condition", "given"),
    [
        ([1, 2], "2 entries"),
        ({"a": [1, 2, 3], "b": [1]}, "1 entries"),
        (7, "a int"),
        ("abc", "a str"),
    ],
)
def test_a_condition_has_one_entry_for_each_seed(condition: Any, given: str) -> None:
    with pytest.raises(ParameterError, match=f"for each of 3 samples; got {given}"):
        sample(lambda x, s, c: x, shape=(2,), seeds=range(3), condition=condition)


def test_a_solver_brings_its_options_and_a_grid_may_start_at_infinity() -> None:
    solver = Solver("seeds-2@0.7", {"prediction": "noise", "eta": 0.5})
    grid = rho_grid(10.0, 0.1, 4)
    given = sample(curved, solver, shape=(2,), seeds=[1], sigmas=grid, dtype=torch.float64)
    noise = SeededNoise([1])
    start = noise.initial((2,), torch.float64) * float(grid[0])
    assert torch.equal(given, solver(curved, start, grid, noise))
    flow = time_grid(RectifiedFlow(), steps=4, to_zero=True)
    assert sample(curved, shape=(2,), seeds=[1], sigmas=flow).isfinite().all()


def test_the_callback_previews_and_the_bar_shows(capsys: pytest.CaptureFixture) -> None:
    seen = []
    options = {"shape": (2,), "seeds": range(4), "steps": 3, "batch": 2}
    sample(curved, callback=seen.append, **options)
    assert [step.index for step in seen] == [0, 1, 2] * 2
    assert all(step.denoised.shape == (2, 2) for step in seen)
    assert capsys.readouterr().err == ""
    sample(curved, progress=True, **options)
    assert "2/2" in capsys.readouterr().err
    sample(curved, progress=True, **(options | {"batch": None}))
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "seeds-9"}, UnknownNameError, "known: seeds-1, "),
        ({"seeds": []}, ParameterError, "one or more"),
        ({"seeds": 3}, ParameterError, "seeds are"),
        ({"batch": 0}, ParameterError, "a batch has one sample or more.*; got 0"),
        ({"batch": "all"}, ParameterError, "a batch has .* a whole number; got 'all'"),
        ({"method": None}, ParameterError, "a sampler is named, as 'seeds-3'; got NoneType"),
        ({"steps": 1}, GridError, "2 or more"),
        ({"steps": 2.5}, GridError, "whole number"),
        ({"sigma_min": 90.0}, GridError, "sigma_min < sigma_max"),
        ({"sigmas": [1.0, 2.0], "steps": None}, GridError, "descend"),
        ({"sigmas": [2.0, 1.0]}, ParameterError, "whole grid: leave out steps"),
        ({"eta": -1.0}, ParameterError, "eta"),
        ({"shape": 3}, ParameterError, "a shape is"),
        ({"shape": (2, -1)}, ParameterError, "a shape is"),
        ({"dtype": torch.int32}, ParameterError, "floating-point"),
        ({"dtype": "float32"}, ParameterError, "floating-point"),
    ],
)
def test_what_is_refused(options: dict, error: type[SeedsError], message: str) -> None:
    with pytest.raises(error, match=message):
        sample(curved, **({"shape": (2,), "seeds": [0, 1], "steps": 3} | options))


@pytest.mark.parametrize("method", ["seeds-1", "sa-solver"])
def test_a_denoiser_can_be_called(method: str) -> None:
    with pytest.raises(ParameterError, match=r"a denoiser is a function D\(x, sigma\); got int"):
        sample(3, method, shape=(2,), seeds=[0], steps=3)  # type: ignore[arg-type]


def test_a_network_that_knows_no_such_level_says_where_to_start() -> None:
    network = NetworkDenoiser(lambda x, t: x, DiscreteSchedule([0.99, 0.5, 0.01]))
    with pytest.raises(ParameterError, match=r"start the grid at sigma_max=9\.9498744 or below"):
        sample(network, shape=(2,), seeds=[0], steps=3)
    assert sample(network, shape=(2,), seeds=[0], steps=3, sigma_max=9.9498744).isfinite().all()
