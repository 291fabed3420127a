"""Interception: the normals that torch draws are answered, each by the state of its generator."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from proofs_checks.audit.draws import USED, intercepted_draws

SEED = 5
LIKE = torch.zeros(2, 3, dtype=torch.float64)


def numbers(number: int, like: Tensor) -> Tensor:
    """Each draw is answered with 10 + its own number."""
    return torch.full_like(like, 10.0 + number)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


WAYS: dict[str, Callable[[torch.Generator | None], Tensor]] = {
    "randn": lambda g: torch.randn(2, 3, generator=g, dtype=torch.float64),
    "randn of a tuple": lambda g: torch.randn((2, 3), generator=g, dtype=torch.float64),
    "randn into a tensor": lambda g: torch.randn(2, 3, generator=g, out=LIKE.clone()),
    "randn_like": lambda g: torch.randn_like(LIKE, generator=g),
    "normal of a size": lambda g: torch.normal(0.0, 1.0, (2, 3), generator=g).double(),
    "normal of a mean": lambda g: torch.normal(LIKE, generator=g),
    "normal of a deviation": lambda g: torch.normal(0.0, LIKE + 1, generator=g),
    "normal by keywords": lambda g: torch.normal(mean=LIKE, std=LIKE + 1, generator=g),
    "normal_": lambda g: LIKE.clone().normal_(generator=g),
    "normal_ of a mean": lambda g: LIKE.clone().normal_(0.0, generator=g),
    "normal_ by keywords": lambda g: LIKE.clone().normal_(mean=0.0, std=1.0, generator=g),
}


@pytest.mark.parametrize("own", [False, True], ids=["global", "generator"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_draw_normals_is_answered(way: str, own: bool) -> None:
    with intercepted_draws(numbers, SEED):
        source = generator() if own else None
        first, second = WAYS[way](source), WAYS[way](source)
    assert first.tolist() == [[10.0] * 3] * 2
    assert second.tolist() == [[11.0] * 3] * 2
    assert first.dtype == torch.float64


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.normal(3.0, 2.0, (2, 3)),
        lambda: torch.normal(torch.full((2, 3), 3.0), 2.0),
        lambda: torch.normal(torch.full((2, 3), 3.0), torch.full((2, 3), 2.0)),
        lambda: torch.normal(std=torch.full((2, 3), 2.0), mean=3.0),
        lambda: torch.zeros(2, 3).normal_(3.0, 2.0),
        lambda: torch.zeros(2, 3).normal_(3.0, std=2.0),
        lambda: torch.zeros(2, 3).normal_(std=2.0, mean=3.0),
    ],
)
def test_mean_and_deviation_are_kept(draw: Callable[[], Tensor]) -> None:
    with intercepted_draws(numbers, SEED):
        assert draw().tolist() == [[3.0 + 2.0 * 10.0] * 3] * 2


def test_in_place_draws_change_the_tensor_itself() -> None:
    x = torch.zeros(2, 3)
    with intercepted_draws(numbers, SEED):
        found = x[0].normal_()
    assert x.tolist() == [[10.0] * 3, [0.0] * 3]
    assert found.data_ptr() == x.data_ptr()


def test_other_functions_are_left_alone() -> None:
    with intercepted_draws(numbers, SEED):
        torch.manual_seed(0)
        found = torch.randint(9, (3,)), torch.randperm(3), torch.ones(3).mul(2)
    torch.manual_seed(0)
    for value, expected in zip(found, (torch.randint(9, (3,)), torch.randperm(3), 2), strict=True):
        assert (value == expected).all()


@pytest.mark.parametrize("shape", [(1,), (2, 3), (16,), (1000,)])
def test_draws_from_one_state_are_one_number(shape: tuple[int, ...]) -> None:
    """Whatever their shapes, and another seed is another number."""
    with intercepted_draws(numbers, SEED):
        first = torch.randn(shape, generator=generator(1))
        other = torch.randn(2, 3, generator=generator(2))
        again = torch.randn(2, 3, generator=generator(1))
    assert (first == 10).all()
    assert (other == 11).all()
    assert (again == 10).all()


def test_what_follows_a_draw_does_not_depend_on_its_shape() -> None:
    def last(rows: int) -> list[bytes]:
        with intercepted_draws(numbers, SEED):
            own = generator()
            torch.randn(rows, 7, generator=own)
            torch.randn(rows, 7)
            return [g.get_state().numpy().tobytes() for g in (own, torch.default_generator)]

    assert last(2) == last(1000)


@pytest.mark.parametrize(
    "reseed",
    [
        lambda: torch.randn(2, 3, generator=generator(SEED)),
        lambda: (torch.manual_seed(SEED), torch.randn(2, 3))[1],
        lambda: torch.randn(2, 3, generator=torch.default_generator.manual_seed(SEED)),
    ],
)
def test_the_numbers_of_the_initial_states_are_known_again(reseed: Callable[[], Tensor]) -> None:
    with intercepted_draws(numbers, SEED):
        assert (torch.randn(2) == 10).all()  # after the initial states
        assert (reseed() == 10 + USED).all()


def test_the_global_generator_is_restored() -> None:
    before = torch.get_rng_state()
    with intercepted_draws(numbers, SEED):
        torch.randn(3)
        torch.manual_seed(77)
        torch.randint(9, (3,))
    assert torch.equal(torch.get_rng_state(), before)

    with pytest.raises(KeyError), intercepted_draws(numbers, SEED):
        torch.randn(3)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)
    assert not (torch.randn(3) == 10).any()


def test_the_inner_of_two_interceptions_answers() -> None:
    with intercepted_draws(numbers, SEED):
        before = torch.randn(2)
        with intercepted_draws(lambda number, like: torch.full_like(like, -1.0), SEED):
            inside = torch.randn(2)
        after = torch.randn(2)
    assert (before == 10).all()
    assert (inside == -1).all()
    assert (after >= 11).all()


def test_an_answer_may_draw_itself() -> None:
    def answer(number: int, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator(number), dtype=like.dtype)

    with intercepted_draws(answer, SEED):
        found = torch.randn(3)
    assert torch.equal(found, torch.randn(3, generator=generator(0)))


def test_a_brownian_tree_has_exactly_the_joint_covariance() -> None:
    """torchsde's tree, unmodified: of basis vectors for its draws, the inner products are covariances."""
    torchsde = pytest.importorskip("torchsde")
    size = 500
    times = [0.0, 0.1, 0.35, 0.5, 0.8, 1.0]

    def unit(number: int, like: Tensor) -> Tensor:
        assert 0 <= number < size
        return torch.eye(size, dtype=like.dtype)[number].reshape(like.shape)

    with intercepted_draws(unit, SEED):
        zero = torch.zeros(size, dtype=torch.float64)
        tree = torchsde.BrownianTree(t0=0.0, w0=zero, t1=1.0, entropy=9, tol=1e-9)
        stretches = [(a, b) for a in times for b in times if a < b]
        increments = torch.stack([tree(torch.tensor(a), torch.tensor(b)) for a, b in stretches])
        again = torch.stack([tree(torch.tensor(a), torch.tensor(b)) for a, b in stretches])
    covariance = increments @ increments.T
    expected = [[max(0.0, min(b, d) - max(a, c)) for c, d in stretches] for a, b in stretches]
    # The tree rounds its times to a multiple of its tolerance.
    assert torch.allclose(covariance, torch.tensor(expected, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(increments, again, rtol=0, atol=1e-12)
    assert math.isclose(float(covariance.trace()), sum(b - a for a, b in stretches), rel_tol=1e-5)
