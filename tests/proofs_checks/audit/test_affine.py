"""The affine map of a sampler, against closed forms; noise rows on a path; distances of two maps."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import samplers as s
import torch
from torch import Tensor

from proofs_checks.audit.affine import (
    AffineMap,
    Levels,
    LinearModel,
    Source,
    path_distance,
    probe,
)
from proofs_checks.audit.protocol import NotAffine, SamplerFailure, Target

MEANS = torch.tensor([0.5, -2.0], dtype=torch.float64)
VARIANCES = torch.tensor([0.25, 4.0], dtype=torch.float64)
GRID = [8.0, 3.0, 1.5, 0.4]
SOURCES = list(Source)


def found(
    sampler: object, grid: list[float] | None = None, source: Source = Source.BROWNIAN, **options
) -> AffineMap:
    return probe(Target("sampler", sampler, options), MEANS, VARIANCES, grid or GRID, source)  # type: ignore[arg-type]


def close(first: object, second: object, within: float = 1e-12) -> bool:
    return np.allclose(np.asarray(first), np.asarray(second), rtol=0, atol=within)


# -------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("source", SOURCES)
def test_euler_ancestral_in_closed_form(source: Source) -> None:
    """A step multiplies x - m by (d/s) + (1 - d/s) c/(c + s^2) and adds `up` times a normal."""
    response = found(s.euler_ancestral, source=source)
    gain, weights = np.ones(2), []
    for a, b in itertools.pairwise(GRID):
        down, up = b * b / a, b * math.sqrt(1 - (b / a) ** 2)
        c = VARIANCES.numpy()
        factor = down / a + (1 - down / a) * c / (c + a**2)
        gain = gain * factor
        weights = [w * factor for w in weights] + [np.full(2, up)]
    assert close(response.gain, gain)
    assert close(response.offset, (1 - gain) * MEANS.numpy())
    if source is Source.BROWNIAN:
        assert response.levels.tolist() == GRID
        assert close(response.density * np.sqrt(-np.diff(GRID))[:, None], weights)
        assert not len(response.other)
    else:
        assert close(response.other, weights)
        assert not len(response.density)
    assert close(response.noise_variance, np.square(weights).sum(0))
    assert response.calls == tuple(GRID[:-1])
    assert response.stretches == (() if source is Source.OWN else tuple(itertools.pairwise(GRID)))


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_one_step_with_two_noises_in_closed_form(eta: float) -> None:
    """One SEEDS-2 step: z_1 acts through the stage's estimate and through the path, z_2 directly."""
    a, b = 3.0, 0.5
    m = math.sqrt(a * b)
    response = found(s.two_noises, [a, b], eta=eta)
    gain_a, gain_m = (VARIANCES / (VARIANCES + level**2) for level in (a, m))
    decay, half = (b / a) ** (1 + eta), (m / a) ** (1 + eta)
    scale = [to * math.sqrt(1 - (to / start) ** (2 * eta)) for start, to in ((a, m), (m, b))]
    stage = half + (1 - half) * gain_a
    assert close(response.gain, decay + (1 - decay) * gain_m * stage)
    first = scale[0] * ((b / m) ** (1 + eta) + (1 - decay) * gain_m)
    weights = torch.stack([first, torch.full((2,), scale[1], dtype=torch.float64)])
    assert response.levels == pytest.approx([a, m, b])
    assert close(response.density * np.sqrt(-np.diff(response.levels))[:, None], weights)
    assert close(response.calls, [a, m])
    assert not response.overlapping()


def test_overlapping_stretches_have_the_covariance_of_one_path() -> None:
    """z(a, m) and z(a, b) of one path have the correlation sqrt((a - m)/(a - b)); drawn afresh, none."""
    a, b = 3.0, 0.5
    m, decay = math.sqrt(a * b), (b / a) ** 2
    response = {source: found(s.dpmpp_sde, [a, b], source) for source in SOURCES}
    gain_m = VARIANCES / (VARIANCES + m**2)
    first = (1 - decay) * gain_m * m * math.sqrt(1 - (m / a) ** 2)
    second = b * math.sqrt(1 - (b / a) ** 2)
    correlation = math.sqrt((a - m) / (a - b))
    separate = first.square() + second**2
    assert close(response[Source.INDEPENDENT].noise_variance, separate)
    joint = separate + 2 * correlation * first * second
    assert close(response[Source.BROWNIAN].noise_variance, joint)
    assert close(response[Source.OWN].noise_variance, joint)  # its default is one path
    assert response[Source.BROWNIAN].overlapping()
    assert close(found(s.dpmpp_sde_independent, [a, b], Source.OWN).noise_variance, separate)


def test_noise_rows_on_a_path_are_orthonormal_and_signed() -> None:
    """A sampler that returns its noises shows the rows: weights of pieces of length 1."""
    asked = [(5.0, 1.0), (5.0, 3.0), (3.0, 1.0), (1.0, 5.0), (4.0, 2.0), (5.0, 1.0)]
    rows = []

    def sampler(model, x, sigmas, noise_sampler=None):
        noises = [noise_sampler(torch.tensor(a), b) for a, b in asked]
        rows[:] = noises
        return x + sum(noises)

    response = found(sampler)
    assert response.levels.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0]
    noises = torch.stack(rows)[:, 2:-1, 0, 0, 0]  # (asked, pieces)
    gram = noises @ noises.T

    def overlap(p: tuple[float, float], q: tuple[float, float]) -> float:
        sign = 1 if (p[0] > p[1]) == (q[0] > q[1]) else -1
        common = max(0.0, min(max(p), max(q)) - max(min(p), min(q)))
        return sign * common / math.sqrt(abs(p[0] - p[1]) * abs(q[0] - q[1]))

    assert close(gram, [[overlap(p, q) for q in asked] for p in asked])
    assert gram.diagonal().allclose(torch.ones(len(asked), dtype=torch.float64))
    assert response.stretches == tuple(asked)


def test_draws_of_one_state_of_a_generator_are_one_noise() -> None:
    def sampler(model, x, sigmas):
        first, again = (
            torch.randn(x.shape, generator=torch.Generator().manual_seed(3)) for _ in range(2)
        )
        return x + first + again + torch.randn_like(x)

    response = found(sampler, source=Source.OWN)
    assert close(response.other, [[2.0, 2.0], [1.0, 1.0]])


def test_one_draw_of_several_noises_is_several() -> None:
    def sampler(model, x, sigmas):
        z = torch.randn(2, *x.shape)
        return x + 2 * z[0] + 3 * z[1] + torch.randn_like(x)

    response = found(sampler, source=Source.OWN)
    assert close(response.other, [[2.0, 2.0], [3.0, 3.0], [1.0, 1.0]])


# ----------------------------------------------------------------------------------------- refusals


def refuses(sampler, source: Source = Source.BROWNIAN) -> SamplerFailure:
    with pytest.raises(SamplerFailure) as caught:
        found(sampler, source=source)
    return caught.value


def test_what_is_not_affine_is_a_warning_and_says_by_how_much() -> None:
    failure = refuses(s.adaptive(s.heun))
    assert isinstance(failure, NotAffine)
    assert "off by 0.1" in str(failure)
    assert isinstance(refuses(lambda model, x, sigmas: x**2), NotAffine)
    assert isinstance(refuses(lambda model, x, sigmas: x.flip(1)), NotAffine)


def test_affine_in_the_state_alone_is_not_enough() -> None:
    def sampler(model, x, sigmas, noise_sampler=None):
        return x + noise_sampler(sigmas[0], sigmas[1]) ** 2

    assert isinstance(refuses(sampler), NotAffine)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda x: torch.randn_like(x[:1]), "samples share noise"),
        (lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(1234)), "initial"),
    ],
)
def test_draws_that_no_row_can_answer_are_refused(draw, message: str) -> None:
    failure = refuses(lambda model, x, sigmas: x + draw(x), Source.OWN)
    assert message in str(failure)
    assert not isinstance(failure, NotAffine)  # a fault


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (lambda x, noise: noise(3.0, 3.0) if x.abs().max() > 0 else 0.0, "more noise"),
        (lambda x, noise: noise(3.0, 2.9 - 0.1 * float(x.abs().max() > 0)), "other levels"),
        (lambda x, noise: torch.randn_like(x) if x.abs().max() > 0 else 0.0, "more noise"),
    ],
)
def test_noise_that_depends_on_the_state_is_refused(extra, message: str) -> None:
    def sampler(model, x, sigmas, noise_sampler=None):
        return x + extra(x, noise_sampler)

    assert message in str(refuses(sampler))


def test_more_independent_noises_for_other_states_are_refused() -> None:
    def sampler(model, x, sigmas, noise_sampler=None):
        calls = 2 if x.abs().max() > 0 else 1
        return x + sum(noise_sampler(3.0, 2.0) for _ in range(calls))

    assert "more noise" in str(refuses(sampler, Source.INDEPENDENT))


# ---------------------------------------------------------------------------------------------- parts


def test_levels_that_differ_by_rounding_are_one() -> None:
    levels = Levels([1.0, 3.0, 3.0 * (1 + 1e-12), 0.0, 2.0, 1.0 - 1e-12])
    assert len(levels.values) == 4
    assert levels.values == pytest.approx([3.0, 2.0, 1.0, 0.0])
    assert [levels.index(x) for x in (3.0, 2.0 * (1 + 1e-10), 1.0, 0.0)] == [0, 1, 2, 3]
    assert [levels.index(x) for x in (4.0, 2.5, 2.0 * (1 + 1e-6), 1e-9)] == [None] * 4
    assert not len(Levels([]).values)
    assert Levels([]).index(1.0) is None


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        ([], False),
        ([(3.0, 2.0), (2.0, 1.0)], False),
        ([(2.0, 1.0), (3.0, 2.0 * (1 - 1e-13))], False),  # one level, computed in two ways
        ([(3.0, 2.0), (3.0, 1.0)], True),
        ([(3.0, 2.0), (3.0, 2.0)], True),
        ([(1.0, 9.0), (3.0, 2.0), (5.0, 4.0)], True),
        ([(5.0, 4.0), (2.0, 1.0), (4.5, 1.5)], True),
    ],
)
def test_overlaps(stretches: list[tuple[float, float]], expected: bool) -> None:
    none = torch.zeros(0, 1, dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    response = AffineMap(
        offset=zero,
        gain=zero,
        levels=np.zeros(0),
        density=none.numpy(),
        other=none,
        stretches=tuple(stretches),
        empty=0,
        draws=0,
        calls=(),
        ends=(1.0, 0.1),
        misfit=np.zeros(1),
    )
    assert response.overlapping() is expected


def test_one_draw_a_step_can_be_put_on_a_path() -> None:
    own, path = found(s.euler_ancestral, source=Source.OWN), found(s.euler_ancestral)
    placed = own.along(GRID)
    assert placed is not None
    assert close(placed.density, path.density)
    assert close(placed.levels, path.levels)
    assert path.along(GRID) is path
    assert found(s.dpmpp_sde, source=Source.OWN).along(GRID) is None  # two draws a step
    assert found(s.dpmpp_sde, source=Source.INDEPENDENT).along(GRID) is None
    deterministic = found(s.heun)
    assert deterministic.along(GRID) is deterministic
    assert deterministic.deterministic(VARIANCES.sqrt())
    assert not own.deterministic(VARIANCES.sqrt())


def test_the_distance_of_two_maps_is_that_of_sampled_paths() -> None:
    """Against a million samples of both ends on common increments, within four standard errors."""
    coarse, fine = [8.0, 1.5, 0.4], GRID
    first, second = found(s.euler_ancestral, coarse), found(s.euler_ancestral, fine)
    start = VARIANCES + GRID[0] ** 2
    distance = path_distance(first, second, MEANS, start)
    generator = torch.Generator().manual_seed(0)
    count = 10**6
    x = MEANS + start.sqrt() * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    lengths = -np.diff(fine)
    pieces = [
        math.sqrt(length) * torch.randn(count, 1, generator=generator, dtype=torch.float64)
        for length in lengths
    ]

    def end(response: AffineMap, increments: list[Tensor]) -> Tensor:
        noise = zip(torch.from_numpy(response.density), increments, strict=True)
        return response.offset + response.gain * x + sum(w * dB for w, dB in noise)

    merged = [pieces[0] + pieces[1], pieces[2]]
    squares = (end(first, merged) - end(second, pieces)).square()
    error = squares.std(0) / math.sqrt(count)
    assert ((squares.mean(0) - distance.square()).abs() < 4 * error).all()
    assert (path_distance(second, second, MEANS, start) == 0).all()
    assert torch.allclose(distance, path_distance(second, first, MEANS, start))


def test_the_linear_model_is_the_gaussian_denoiser() -> None:
    from toy_models import Gaussian

    model, exact = LinearModel(MEANS, VARIANCES), Gaussian(MEANS, VARIANCES)
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for level in (0.0, 0.3, 7.0):
        found = model(x[..., None, None], torch.full((3,), level), condition=1)
        assert found.shape == (3, 2, 1, 1)
        # The level is told in single precision.
        assert torch.allclose(found[..., 0, 0], exact(x, float(torch.tensor(level))))
    each = model(x[..., None, None], torch.tensor([0.0, 0.5, 7.0]))
    assert torch.allclose(each[1, :, 0, 0], exact(x[1:2], 0.5)[0])
    assert model.levels == pytest.approx([0.0, 0.3, 7.0, 0.0])
    assert model(x[..., None, None].float(), torch.ones(3)).dtype == torch.float32
