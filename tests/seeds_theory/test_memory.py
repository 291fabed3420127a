"""The memory of a run, counted exactly in state-sized tensors beside the given one and the model's own."""

from collections.abc import Callable
from typing import Any

import pytest
import straightforward
import torch
from live_states import LiveStates
from torch import Tensor

from proofs_checks.audit.peers import LibraryError
from proofs_checks.audit.peers.kdiffusion import sampling_module
from seeds_theory import BrownianPath, follow, kdiffusion, make_plan, path_points, rho_grid

SIGMAS = torch.cat([torch.logspace(1, -1, 6), torch.zeros(1)])
START = torch.full((2, 3, 8, 8), 5.0)


def model(x: Tensor, *_: Any) -> Tensor:
    """One new tensor for each call."""
    return 0.5 * x


def drawn(*_: Any) -> Tensor:
    return torch.randn_like(START)


def peak(sampler: Callable[..., Tensor], **options: Any) -> float:
    with LiveStates(START) as states:
        sampler(model, START, SIGMAS, disable=True, **options)
    return states.peak


def k_diffusion(name: str) -> Callable[..., Tensor]:
    try:
        return getattr(sampling_module(), f"sample_{name}")
    except LibraryError as error:
        pytest.skip(str(error))


def test_what_is_alive_at_once_is_counted() -> None:
    with LiveStates(START) as states:
        total = START + 1
        total = total * 2  # two at once, then one again
        pair = torch.stack([total, total])  # three
        view = pair[0]
        del pair, total  # the view keeps both
        view.add_(1)
        small = START[0] + 1
        _ = view + small.sum()
    assert states.peak == 3


@pytest.mark.parametrize("options", [{}, {"noise_sampler": drawn}], ids=["torch", "noise sampler"])
@pytest.mark.parametrize(("name", "tensors"), [("1", 4), ("2", 7), ("3", 9)])
def test_a_run_holds_the_tensors_of_one_step(
    name: str, tensors: int, options: dict[str, Any]
) -> None:
    """Its start, its normals, its estimates, the state that is computed and the one before."""
    assert peak(getattr(kdiffusion, f"sample_seeds_{name}"), **options) == tensors


@pytest.mark.parametrize(
    ("name", "peer"), [("1", "euler_ancestral"), ("2", "seeds_2"), ("3", "seeds_3")]
)
def test_no_more_memory_than_straightforward_formulas(name: str, peer: str) -> None:
    ours = peak(getattr(kdiffusion, f"sample_seeds_{name}"))
    assert ours <= peak(getattr(straightforward, peer))


@pytest.mark.parametrize(("name", "peer"), [("1", "euler_ancestral"), ("2", "dpmpp_sde")])
def test_no_more_memory_than_k_diffusion_with_as_many_model_calls(name: str, peer: str) -> None:
    ours = peak(getattr(kdiffusion, f"sample_seeds_{name}"))
    assert ours <= peak(k_diffusion(peer), noise_sampler=drawn)


@pytest.mark.parametrize("steps", [3, 12])
def test_memory_does_not_grow_with_the_steps(steps: int) -> None:
    plan = make_plan("seeds-2", rho_grid(10.0, 0.1, steps, to_zero=True))
    with LiveStates(START) as states:
        follow(model, START, plan)
    assert states.peak == 7


def test_a_path_holds_its_normals() -> None:
    """One state for each of its intervals, and no more while it is drawn."""
    plan = make_plan("seeds-2", rho_grid(10.0, 0.1, 12, to_zero=True))
    points = path_points([plan])
    with LiveStates(START) as states:
        path = BrownianPath(points, 1.0, START)
        assert states.peak == len(points) - 1
        follow(model, START, plan, path)
    assert states.peak == len(points) - 1 + 7
