"""Noise sources: reproducible where they promise to be, and strict about their protocol."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from seeds_theory.errors import NoiseError, ParameterError, SeedsError
from seeds_theory.forms import DATA
from seeds_theory.loop import follow
from seeds_theory.plan import Interval, make_plan
from seeds_theory.sources import GeneratorNoise, InjectedNoise, SeededNoise, _mixed, level_key

GRID = [5.0, 2.0, 1.0, 0.5]
PLAN = make_plan("seeds-3", GRID)
INTERVALS = PLAN.steps[0].intervals
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def denoiser(x: Tensor, sigma: float) -> Tensor:
    """A curved one, so that no two samples agree by chance; elementwise, so batch-invariant."""
    return torch.tanh(x)


def draw(seeds: list[int], event: tuple[int, ...] = (4, 3)) -> Tensor:
    source = SeededNoise(seeds)
    x = 5.0 * source.initial(event, dtype=torch.float64)
    return follow(denoiser, x, PLAN, source)


@pytest.mark.parametrize("seeds", [[7], [7, 1, 2], [9, 8, 7, 6, 5, 4, 3, 2]])
def test_a_seed_gives_the_same_sample_in_any_batch(seeds: list[int]) -> None:
    alone = {seed: draw([seed])[0] for seed in seeds}
    for sample_, seed in zip(draw(seeds), seeds, strict=True):
        assert torch.equal(sample_, alone[seed])


def test_the_order_of_the_seeds_is_the_order_of_the_samples() -> None:
    seeds = [3, 1, 4, 15, 9, 2, 6, 5]
    assert torch.equal(draw(seeds).flip(0), draw(seeds[::-1]))


def test_different_seeds_give_different_samples() -> None:
    samples = draw([0, 1, 2, 2**32, 2**64 - 1])
    assert len({tuple(x.flatten().tolist()) for x in samples}) == 5


def test_equal_seeds_give_equal_samples() -> None:
    first, second = draw([11, 11])
    assert torch.equal(first, second)


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_the_path_never_repeats_the_numbers_of_the_initial_state(seed: int) -> None:
    """A fixed statistic: 1000 numbers of each stream, no number in common, correlation within 4 s.e."""
    source = SeededNoise([seed])
    first = source.initial((1000,), dtype=torch.float64)[0]
    path = source(INTERVALS[:1], first[None])[0, 0]
    assert not set(first.tolist()) & set(path.tolist())
    correlation = float(torch.corrcoef(torch.stack([first, path]))[0, 1])
    assert abs(correlation) <= 4 / math.sqrt(1000)


def test_successive_steps_are_fresh() -> None:
    source, like = SeededNoise([5]), torch.zeros(1, 6)
    one, two = source(INTERVALS, like), source(INTERVALS, like)
    numbers = [*one.flatten().tolist(), *two.flatten().tolist()]
    assert len(set(numbers)) == len(numbers) == 2 * 3 * 6


def test_a_run_that_is_cut_is_the_run() -> None:
    """Each part with a source of its own, as in another process."""
    grid = [80.0, 20.0, 5.0, 1.0, 0.25, 0.0]
    x = 80.0 * SeededNoise([7, 8]).initial((4, 3))
    whole = follow(denoiser, x, make_plan("seeds-3", grid), SeededNoise([7, 8]))
    for cut in range(1, len(grid) - 1):
        middle = follow(denoiser, x, make_plan("seeds-3", grid[: cut + 1]), SeededNoise([7, 8]))
        end = follow(denoiser, middle, make_plan("seeds-3", grid[cut:]), SeededNoise([7, 8]))
        assert torch.equal(end, whole)


def test_two_parts_of_a_run_draw_nothing_twice() -> None:
    like = torch.zeros(1, 50)
    drawn = [SeededNoise([7])(step.intervals, like) for step in PLAN.steps]
    numbers = torch.cat([rows.flatten() for rows in drawn])
    assert len(numbers.unique()) == len(numbers)


def test_a_level_that_is_rounded_has_the_noise_of_the_level() -> None:
    like = torch.zeros(1, 5)
    for sigma in (14.6146, 5.0, 0.029167158529, 1e-3):
        exact, rounded = (
            SeededNoise([7])(make_plan("seeds-1", [level, level / 2]).steps[0].intervals, like)
            for level in (sigma, float(np.float32(sigma)))
        )
        assert torch.equal(exact, rounded)


def test_a_step_from_an_infinite_level_has_noise_of_its_own() -> None:
    like = torch.zeros(1, 50)
    first, second = make_plan("seeds-1", [math.inf, 4.0, 1.0]).steps
    numbers = torch.cat([SeededNoise([7])(s.intervals, like).flatten() for s in (first, second)])
    assert len(numbers.unique()) == len(numbers)


def test_no_two_steps_of_a_seed_are_alike() -> None:
    """Every level from 1e-38 to 1e38 has a key of 22 bits, every key and time other bits of a generator."""
    keys = [level_key(sigma) for sigma in (math.inf, 1e-38, 1e-3, 80.0, 1e38)]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 2**22 for key in keys)
    mixed = {
        _mixed(key + (times << 22)) for key in range(2**20, 2**20 + 4096) for times in range(9)
    }
    assert len(mixed) == 9 * 4096


def test_the_numbers_are_those_of_every_dtype() -> None:
    seeded = [SeededNoise([7])(INTERVALS, torch.zeros(1, 50, dtype=dtype)) for dtype in DTYPES]
    exact = seeded[-1]
    for found, dtype in zip(seeded, DTYPES, strict=True):
        assert torch.equal(found, exact.to(dtype))


def test_the_initial_state_is_the_same_at_every_call() -> None:
    source = SeededNoise([5, 6])
    first = source.initial((3, 2))
    source(INTERVALS, first)
    assert torch.equal(source.initial((3, 2)), first)
    assert first.shape == (2, 3, 2)
    assert first.dtype == torch.float32


@pytest.mark.parametrize("dtype", DTYPES)
def test_shape_and_dtype_are_those_of_the_state(dtype: torch.dtype) -> None:
    like = torch.zeros((2, 3, 4), dtype=dtype)
    rows = torch.zeros((5, 2, 3, 4), dtype=torch.float64)
    for source in (GeneratorNoise(), SeededNoise([1, 2]), InjectedNoise(rows)):
        normals = source(INTERVALS, like)
        assert normals.shape == (len(INTERVALS), 2, 3, 4)
        assert normals.dtype == dtype
    assert SeededNoise([1, 2]).initial((3,), dtype).dtype == dtype


def test_normals_are_standard() -> None:
    """10^5 numbers: mean within 4/sqrt(n), variance within 4 sqrt(2/n)."""
    n = 100_000
    sources = (GeneratorNoise(torch.Generator().manual_seed(0)), SeededNoise([0]))
    for source in sources:
        normals = source(INTERVALS[:1], torch.zeros(1, n, dtype=torch.float64)).flatten()
        assert abs(float(normals.mean())) <= 4 / math.sqrt(n)
        assert abs(float(normals.square().mean()) - 1) <= 4 * math.sqrt(2 / n)


def test_a_generator_is_reproducible_and_moves_on() -> None:
    like = torch.zeros(2, 3)
    runs = []
    for _ in range(2):
        source = GeneratorNoise(torch.Generator().manual_seed(4))
        runs.append([source(INTERVALS, like), source(INTERVALS, like)])
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][0], runs[0][1])


def test_a_generator_leaves_the_global_one_alone() -> None:
    state = torch.get_rng_state()
    GeneratorNoise(torch.Generator().manual_seed(4))(INTERVALS, torch.zeros(2, 3))
    draw([1, 2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("generator", [7, [1, 2]])
def test_a_seed_is_not_a_generator(generator: object) -> None:
    with pytest.raises(ParameterError, match="SeededNoise") as caught:
        GeneratorNoise(generator)  # type: ignore[arg-type]
    assert repr(generator) in str(caught.value)


def test_the_default_is_the_global_generator() -> None:
    x = torch.ones(2, 3)
    with torch.random.fork_rng():
        torch.manual_seed(8)
        first = follow(denoiser, x, PLAN)
        torch.manual_seed(8)
        assert torch.equal(follow(denoiser, x, PLAN, GeneratorNoise()), first)


def test_injected_rows_are_used_in_order() -> None:
    rows = torch.arange(PLAN.normals, dtype=torch.float64)[:, None, None]
    source, like = InjectedNoise(rows), torch.zeros(1, 1, dtype=torch.float64)
    used = torch.cat([source(step.intervals, like) for step in PLAN.steps])
    assert torch.equal(used, rows)


def test_injected_rows_run_out_with_an_error() -> None:
    x = torch.zeros(1, 1, dtype=torch.float64)
    rows = torch.zeros(PLAN.normals - 1, 1, 1, dtype=torch.float64)
    with pytest.raises(NoiseError, match=f"has {PLAN.normals - 1} rows") as caught:
        follow(denoiser, x, PLAN, InjectedNoise(rows))
    assert isinstance(caught.value, SeedsError)


def test_injected_rows_serve_one_run() -> None:
    x = torch.zeros(1, 1, dtype=torch.float64)
    source = InjectedNoise(torch.zeros(PLAN.normals, 1, 1, dtype=torch.float64))
    follow(denoiser, x, PLAN, source)
    with pytest.raises(NoiseError, match="a second run a source of its own"):
        follow(denoiser, x, PLAN, source)


def test_no_interval_is_no_row() -> None:
    like = torch.zeros(2, 3)
    for source in (GeneratorNoise(), SeededNoise([1, 2]), InjectedNoise(torch.zeros(1, 2, 3))):
        assert source([], like).shape == (0, 2, 3)


@pytest.mark.parametrize(("seeds", "batch"), [([1], 2), ([1, 2, 3], 2), ([1, 2], 0)])
def test_a_seed_for_each_sample(seeds: list[int], batch: int) -> None:
    with pytest.raises(NoiseError, match=f"got {len(seeds)} seeds for a batch of {batch}"):
        follow(denoiser, torch.zeros(batch, 3), PLAN, SeededNoise(seeds))


@pytest.mark.parametrize("seeds", [[], [-1], [3, 2**64], [1.5], [1, math.nan], ["a"], [None]])
def test_seeds_are_integers_of_64_bits(seeds: list) -> None:
    with pytest.raises(ParameterError) as caught:
        SeededNoise(seeds)
    assert repr(seeds) in str(caught.value)


@pytest.mark.parametrize(
    "seeds", [range(3), (0, 1, 2), np.arange(3), torch.arange(3)], ids=lambda s: type(s).__name__
)
def test_seeds_are_any_sequence_of_integers(seeds) -> None:
    assert torch.equal(SeededNoise(seeds).initial((4,)), SeededNoise([0, 1, 2]).initial((4,)))


# ------------------------------------------------------------------- the protocol, checked by the loop


@pytest.mark.parametrize(
    ("broken", "offence"),
    [
        (lambda n, x: torch.zeros(n + 1, *x.shape, dtype=x.dtype), "(4, 2, 3)"),
        (lambda n, x: torch.zeros(n, 3, 2, dtype=x.dtype), "(3, 3, 2)"),
        (lambda n, x: torch.zeros(*x.shape, dtype=x.dtype), "got (2, 3)"),
        (lambda n, x: torch.zeros(n, *x.shape, dtype=torch.float32), "torch.float32"),
        (lambda n, x: np.zeros((n, *x.shape)), "ndarray"),
        (lambda n, x: [x] * n, "list"),
        (lambda n, x: None, "NoneType"),
    ],
)
def test_a_source_that_breaks_the_protocol(broken, offence: str) -> None:
    calls = []

    def source(intervals: list[Interval], like: Tensor) -> Tensor:
        calls.append(len(intervals))
        normals = torch.zeros(len(intervals), *like.shape, dtype=like.dtype)
        return normals if len(calls) < 2 else broken(len(intervals), like)

    with pytest.raises(NoiseError, match="step 1") as caught:
        follow(denoiser, torch.zeros(2, 3, dtype=torch.float64), PLAN, source)
    assert offence in str(caught.value)


def test_a_source_sees_the_intervals_of_each_step() -> None:
    seen = []

    def source(intervals, like: Tensor) -> Tensor:
        seen.extend(intervals)
        return torch.zeros(len(intervals), *like.shape)

    follow(denoiser, torch.zeros(2, 3), PLAN, source)
    assert seen == [interval for step in PLAN.steps for interval in step.intervals]
    assert all(interval.form == DATA for interval in seen)


# ----------------------------------------------------------------------------- a generator per sample


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_a_list_of_generators_gives_each_sample_its_own() -> None:
    like = torch.zeros(3, 2)
    together = GeneratorNoise(generators(4, 5, 6))(INTERVALS, like)
    for i, seed in enumerate((4, 5, 6)):
        alone = GeneratorNoise(torch.Generator().manual_seed(seed))(INTERVALS, like[:1])
        assert torch.equal(together[:, i], alone[:, 0])


@pytest.mark.parametrize("wrong", [[], [1, 2], [torch.Generator(), None]])
def test_a_list_of_generators_is_checked(wrong: object) -> None:
    with pytest.raises(ParameterError, match="one per sample"):
        GeneratorNoise(wrong)  # type: ignore[arg-type]


def test_generators_of_the_wrong_number_are_refused() -> None:
    with pytest.raises(NoiseError, match="got 2 generators for a batch of 3"):
        GeneratorNoise(generators(1, 2))(INTERVALS, torch.zeros(3, 2))
