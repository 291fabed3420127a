"""Orders on a mixture, on coupled paths, with confidence intervals."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
import samplers as s
import torch

from proofs_checks.audit import curved
from proofs_checks.audit.curved import CurvedStudy, curved_study
from proofs_checks.audit.protocol import NotAffine, Target


@pytest.fixture(scope="module", autouse=True)
def fewer_paths() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curved, "SIZE", 256)
        yield


@functools.cache
def study(sampler: Callable, seed: int = 0) -> CurvedStudy | None:
    return curved_study(Target("sampler", sampler), seed)


def test_euler_ancestral_has_order_one_within_its_interval() -> None:
    found = study(s.euler_ancestral)
    assert found is not None
    for fit in (found.strong, found.weak):
        assert fit.order is not None
        assert fit.uncertainty is not None
        assert abs(fit.order - 1) < fit.uncertainty + 0.05  # of the terms of higher order
        assert 0 < fit.uncertainty < 0.5


@pytest.mark.slow
def test_the_same_seed_gives_the_same_study_and_leaves_torch_alone() -> None:
    before = torch.get_rng_state()
    first = curved_study(Target("sampler", s.euler_ancestral), 3)
    again = curved_study(Target("sampler", s.euler_ancestral), 3)
    other = curved_study(Target("sampler", s.euler_ancestral), 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert first == again
    assert first != other


@pytest.mark.slow
def test_higher_orders_and_lost_orders_are_told_apart() -> None:
    joint = study(s.two_noises)
    separate = study(functools.partial(s.two_noises, joint=False))
    ode = study(s.two_m)
    assert joint is not None and separate is not None and ode is not None
    assert joint.strong.order == pytest.approx(1, abs=0.15)
    assert separate.strong.order == pytest.approx(0, abs=0.1)
    assert ode.strong.order == pytest.approx(2, abs=0.3)


def test_one_draw_a_step_is_put_on_a_path() -> None:
    def own(model, x, sigmas):
        return s.euler_ancestral(model, x, sigmas)

    assert study(own) == study(s.euler_ancestral)


def test_two_draws_a_step_cannot_be_put_on_a_path() -> None:
    def own(model, x, sigmas):
        return s.two_noises(model, x, sigmas)

    def beside(model, x, sigmas, noise_sampler=None):
        return s.dpmpp_sde(model, x, sigmas, noise_sampler=noise_sampler, beside=True)

    assert study(own) is None
    assert study(beside) is None


def test_levels_that_depend_on_the_state_are_refused() -> None:
    def sampler(model, x, sigmas, noise_sampler=None):
        middle = 3.0 + 0.1 * float(x.abs().max() > 0)
        end = s.euler_ancestral(model, x, sigmas, noise_sampler=noise_sampler)
        return end + noise_sampler(sigmas[0], middle)

    with pytest.raises(NotAffine, match="other levels"):
        study(sampler)


def test_a_study_is_written_with_its_intervals() -> None:
    found = study(s.euler_ancestral)
    assert found is not None
    assert found.to_json() == {
        "strong_order": found.strong.order,
        "strong_order_uncertainty": found.strong.uncertainty,
        "weak_order": found.weak.order,
        "weak_order_uncertainty": found.weak.uncertainty,
    }


@pytest.mark.slow
def test_the_check_finds_an_order_lost_on_curved_data(findings_of) -> None:
    """An estimate's square averages out on no Gaussian, but the check needs a sampler affine there."""
    kinked = Kinked(s.two_m)
    found = findings_of(kinked, "curved")
    assert [finding.found.split()[0] for finding in found] == ["weak", "strong"]
    assert all("on a mixture" in finding.found for finding in found)
    assert not findings_of(s.two_m, "curved")


class Kinked:
    """Of order 2 where states are 5 numbers, of order 1 elsewhere: told by the shape alone."""

    def __init__(self, sound) -> None:
        self.sound, self.broken = sound, functools.partial(sound, slope=0.0)

    def __call__(self, model, x, sigmas):
        return (self.sound if x.shape[1] == 5 else self.broken)(model, x, sigmas)
