"""The search on mixtures: its two distances against laws that are known, its numbers, and what it finds."""

import json
import math
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from seeds_theory.errors import ParameterError
from seeds_theory.settings import Setting, few_steps
from toy_models import few_steps_study
from toy_models.design import Design, Ruler, objective, width
from toy_models.few_steps_study import (
    CANDIDATES,
    DESIGN,
    HELD_OUT,
    Trial,
    choose,
    compare,
    designs,
    distances,
    kinds_of,
    peers,
    perfect,
    search,
    trials_of,
    tuned,
)
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture

MIXTURE = DESIGN[0].mixture
AB = Setting("seeds-ab", 6, 8.0, 0.05, {"eta": 1.0}, noisy=1)


def test_a_coordinate_of_a_mixture_is_the_mixture_of_its_coordinates() -> None:
    direction = torch.tensor([0.6, -0.8, 0.0, 0.0], dtype=torch.float64)
    law = MIXTURE.along(direction)
    assert float(law.mean) == pytest.approx(float(MIXTURE.mean @ direction))
    assert float(law.covariance) == pytest.approx(float(direction @ MIXTURE.covariance @ direction))
    unrotated = GaussianMixture([1.0], [Gaussian(torch.zeros(2), torch.tensor([1.0, 4.0]))])
    along = unrotated.along(torch.tensor([0.6, 0.8], dtype=torch.float64))
    assert float(along.covariance) == pytest.approx(0.36 + 4 * 0.64)


def test_both_distances_of_a_shift_are_the_shift() -> None:
    ruler = Ruler(MIXTURE, 4096)
    samples = MIXTURE.sample(4096, torch.Generator().manual_seed(1))
    shift = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64) / ruler.width
    found = ruler(samples + shift * ruler.width)
    # the sliced one by its 24 directions only: their mean of <v, shift>^2 d
    expected = (ruler.directions @ shift).square().mean().mul(4).sqrt()
    assert found.frechet == pytest.approx(float(shift.norm()), rel=0.05)
    assert found.sliced == pytest.approx(float(expected), rel=0.05)


def test_the_sliced_distance_sees_what_two_moments_do_not() -> None:
    ruler = Ruler(MIXTURE, 2048)
    generator = torch.Generator().manual_seed(1)
    normal = Gaussian.from_covariance(MIXTURE.mean, MIXTURE.covariance)
    own, other = ruler(MIXTURE.sample(2048, generator)), ruler(normal.sample(2048, generator))
    assert other.frechet < 2 * own.frechet + 0.02
    assert other.sliced > 2 * own.sliced


def test_a_design_gives_the_same_setting_the_same_distances_and_other_seeds_others() -> None:
    ruler = Ruler(MIXTURE, 512)
    one, again, other = (Design(MIXTURE, ruler, seed, 6) for seed in (0, 0, 1))
    assert one(AB) == again(AB) == one(AB)
    assert one(AB) != other(AB)
    assert one(AB).both == pytest.approx(other(AB).both, rel=0.3)


def test_the_objective_counts_all_spectra_as_one_design() -> None:
    mixtures = designs(512, 0, 6)
    logs = [math.log(design(AB).both) for design in mixtures]
    spectra = few_steps_study.law_errors(AB.sampler, AB.sigmas(), few_steps_study.TRAINING)
    expected = (sum(logs) + np.log(spectra).mean() / 2) / (len(mixtures) + 1)
    assert objective(AB, mixtures) == pytest.approx(expected)


def test_a_search_lowers_the_objective_it_started_from() -> None:
    start = replace(AB, sigma_max=40.0, sigma_min=0.3)
    setting, value = search(start, 6, count=256)
    mixtures = designs(256, 0, 6)
    assert value == pytest.approx(objective(setting, mixtures))
    assert value < objective(start, mixtures) - 0.1
    assert setting.nfe == 6
    with pytest.raises(ParameterError, match="takes more than 2 model calls"):
        search(Setting("seeds-3b", 2, 8.0, 0.1), 2)


def test_a_candidate_that_takes_too_many_calls_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few_steps_study, "SPACINGS", {None: 4})
    found = trials_of(Setting("seeds-3b", 2, 8.0, 0.1, {"eta": 0.0}), (3, 5), count=64)
    assert [trial.nfe for trial in found] == [5]
    assert found[0].error > 0


def test_a_setting_is_of_the_kinds_that_its_noise_says() -> None:
    assert kinds_of(AB) == ("best",)
    assert kinds_of(replace(AB, noisy=None)) == ("best", "sde")
    assert kinds_of(Setting("unipc-3", 6, 8.0, 0.05)) == ("best", "ode")
    assert {kind for setting in CANDIDATES for kind in kinds_of(setting)} == {"best", "sde", "ode"}


def test_each_kind_has_its_least_objective() -> None:
    def made(setting: Setting, judged: float) -> Trial:
        return Trial(6, setting, 0.0, judged, 0.01, 0.1, 0.1, 0.1)

    sde, ode = replace(AB, noisy=None), Setting("unipc-3", 6, 8.0, 0.05)
    chosen = choose([made(sde, -2.0), made(ode, -3.0), made(AB, -2.5), made(ode, -2.9)])
    assert [(one.kind, one.judged) for one in chosen] == [
        ("best", -3.0),
        ("sde", -2.0),
        ("ode", -3.0),
    ]


def test_perfect_samples_are_as_far_as_their_number_says() -> None:
    found = distances(perfect(7), HELD_OUT[0], 20_000)
    total = float(torch.trace(HELD_OUT[0].mixture.covariance)) / width(HELD_OUT[0].mixture) ** 2
    assert 0 < found.frechet < 4 * math.sqrt(2 * total / 20_000)
    assert found.frechet_error < found.frechet
    assert 0 < found.sliced_error < found.sliced


def test_the_distance_of_an_ode_does_not_depend_on_the_parts_it_is_run_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sampler = tuned(few_steps(10, eta=0.0), width(MIXTURE))
    whole = distances(sampler, DESIGN[0], 2000)
    monkeypatch.setattr(few_steps_study, "_PART", 7)
    assert distances(sampler, DESIGN[0], 2000).frechet == pytest.approx(whole.frechet, rel=1e-9)


def test_held_out_problems_are_not_those_of_the_design() -> None:
    assert not {p.seed for p in DESIGN} & {p.seed for p in HELD_OUT}


def test_peers_are_the_published_samplers_of_the_library() -> None:
    with_noise, without = peers(stochastic=True), peers(stochastic=False)
    assert {"sde-dpm-solver++-2m", "sa-solver", "er-sde-3", "seeds-3"} <= set(with_noise)
    assert {"ipndm-3", "ipndm-4", "unipc-3", "lms", "deis-tab3"} <= set(without)
    assert not {"seeds-2m", "seeds-ab"} & {*with_noise, *without}
    assert not set(with_noise) & set(without)


def test_a_comparison_names_its_sampler() -> None:
    result = compare(HELD_OUT[1], "er-sde-3", "stochastic", 10, 2000)
    assert (result.sampler, result.kind, result.nfe) == ("er-sde-3", "stochastic", 10)
    assert 0 < result.distances.frechet_error < result.distances.frechet


def test_the_settings_are_the_choice_of_the_recorded_trials():
    recorded = Path(__file__).parents[2] / "book" / "few_steps" / "trials.json"
    trials = [
        Trial(**{**trial, "setting": Setting(**trial["setting"])})
        for trial in json.loads(recorded.read_text())
    ]
    shipped = json.loads((files("seeds_theory") / "settings.json").read_text())
    assert json.loads(json.dumps([asdict(chosen) for chosen in choose(trials)])) == shipped
