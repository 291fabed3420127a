import json
import pickle

import numpy as np
import pytest
import torch
from rich.console import Console

from seeds_theory import METHODS, ParameterError, SeededNoise, method
from toy_models import (
    CoupledPaths,
    Fit,
    Gaussian,
    GaussianMixture,
    figure,
    gaussian_study,
    mixture_study,
    table,
)
from toy_models.convergence import fit_exact, on_grid

ENDS = {"sigma_max": 4.0, "sigma_min": 0.5}
STEPS = (32, 64, 128, 256)
CURVED = GaussianMixture.scalar((0.4, 0.6), (-0.8, 0.9), (0.5, 0.6))


def forms(*names):
    return [(name, form) for name in names for form in method(name).predictions]


@pytest.mark.parametrize(("name", "prediction"), forms(*METHODS, "seeds-2@0.7", "seeds-3@0.4,0.9"))
def test_declared_orders_are_the_measured_ones(name, prediction):
    study = gaussian_study(name, Gaussian.scalar(25.0), STEPS, prediction=prediction, **ENDS)
    orders = method(name).orders.gaussian
    assert study.strong_fit.order == pytest.approx(float(orders.strong), abs=0.05)
    assert study.weak_fit.order == pytest.approx(orders.weak, abs=0.05)


@pytest.mark.parametrize(("name", "prediction"), forms(*METHODS, "seeds-3@0.4,0.9"))
def test_the_ode_limit_has_its_declared_order(name, prediction):
    study = gaussian_study(
        name, Gaussian.scalar(25.0), STEPS, eta=0.0, prediction=prediction, **ENDS
    )
    assert study.strong_fit.order == pytest.approx(method(name).orders.ode, abs=0.05)
    assert study.strong == pytest.approx(study.weak, rel=1e-6)  # one random input: x_T


def test_errors_of_independent_coordinates_add_in_squares():
    variances = (0.25, 1.0, 9.0)
    joint = gaussian_study(
        "seeds-2", Gaussian(torch.zeros(3), torch.tensor(variances)), (8, 16), **ENDS
    )
    alone = [gaussian_study("seeds-2", Gaussian.scalar(c), (8, 16), **ENDS) for c in variances]
    for kind in ("strong", "weak"):
        squares = np.sum([np.square(getattr(study, kind)) for study in alone], axis=0)
        assert getattr(joint, kind) == pytest.approx(np.sqrt(squares), rel=1e-12)


def test_a_rotated_gaussian_has_the_errors_of_its_eigenbasis():
    covariance = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    rotated = Gaussian.from_covariance(torch.tensor([1.0, 5.0]), covariance)
    straight = Gaussian(torch.zeros(2), torch.tensor([1.0, 3.0]))
    a, b = (gaussian_study("seeds-3", g, (8, 16), **ENDS) for g in (rotated, straight))
    assert a.strong == pytest.approx(b.strong, rel=1e-10)
    assert a.weak == pytest.approx(b.weak, rel=1e-9)


def test_fit_recovers_an_order_under_its_first_correction():
    steps = (16, 32, 64, 128)
    fit = fit_exact(steps, [3 * n**-2.0 * np.exp(5 / n) for n in steps])
    assert fit.order == pytest.approx(2, abs=1e-10)
    assert fit.uncertainty == pytest.approx(0, abs=1e-9)
    assert fit.steps == (32, 64, 128)


def test_fit_leaves_out_what_rounding_has_reached():
    steps = (16, 32, 64, 128, 256)
    fit = fit_exact(steps, [1e-9 * n**-2.0 * 16**2 for n in steps[:3]] + [3e-14, 7e-15])
    assert fit.steps == (16, 32, 64)
    assert fit.order == pytest.approx(2, abs=1e-10)


@pytest.mark.parametrize("errors", [[0.0, 0.0], [1e-15, 1e-16], [1e-3, float("nan")]])
def test_no_order_is_shown_where_there_is_none(errors):
    assert fit_exact((8, 16), errors) == Fit(None, None, ())


@pytest.mark.parametrize("steps", [(), (0, 4), (8, 8), (16, 8)])
def test_step_counts_are_checked(steps):
    with pytest.raises(ParameterError, match="increasing"):
        gaussian_study("seeds-1", Gaussian.scalar(1.0), steps, **ENDS)


PATHS = CoupledPaths(batches=6, size=512, seed=3)


@pytest.mark.parametrize("name", ["seeds-1", "seeds-2s", "sra1", "lawson-shark"])
def test_coupled_paths_agree_with_exact_errors_within_four_standard_errors(name):
    """A mixture of one component is a Gaussian, whose errors are known."""
    mixture = GaussianMixture([1.0], [Gaussian.scalar(1.0)])
    paths = CoupledPaths(batches=16, size=512)  # fewer do not estimate their own spread
    sampled = mixture_study(name, mixture, (4, 8), paths=paths, **ENDS)
    exact = gaussian_study(name, Gaussian.scalar(1.0), (4, 8), **ENDS)
    assert (sampled.method, sampled.nfe) == (exact.method, exact.nfe)
    for kind in ("strong", "weak"):
        errors, standard_errors = getattr(sampled, kind), getattr(sampled, f"{kind}_se")
        for ours, spread, truth in zip(errors, standard_errors, getattr(exact, kind), strict=True):
            assert spread < 0.2 * truth
            # The reference is 16 times finer: its own error adds at most 1/256 in squares.
            assert abs(ours - truth) < 4 * spread + truth / 256


@pytest.mark.slow
def test_coupled_paths_show_strong_order_one_on_curved_data():
    study = mixture_study("seeds-2", CURVED, (16, 32, 64), paths=PATHS, **ENDS)
    assert study.strong_fit.uncertainty < 0.1
    # The uncertainty is the half-width of a 95 % interval on 5 degrees of freedom, 2.57 errors.
    assert abs(study.strong_fit.order - 1) < 4 / 2.57 * study.strong_fit.uncertainty + 0.02


def test_coupled_paths_are_reproducible_and_follow_their_seed():
    runs = [
        mixture_study("seeds-1", CURVED, (4,), paths=CoupledPaths(3, 64, seed), **ENDS)
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1]
    assert runs[0].strong != runs[2].strong


@pytest.mark.slow
def test_both_predictions_follow_the_same_paths():
    study = mixture_study("seeds-2", CURVED, (16, 32), prediction="noise", paths=PATHS, **ENDS)
    assert study.strong[1] < 0.7 * study.strong[0] < 0.2


def test_the_deterministic_limit_on_curved_data_has_order_two():
    study = mixture_study("seeds-2", CURVED, (16, 32, 64), eta=0.0, paths=PATHS, **ENDS)
    assert study.strong_fit.order == pytest.approx(2, abs=0.1)


def test_the_deterministic_limit_on_curved_data_has_order_three():
    """The reference is then of order three itself: of order two, it would hide these errors."""
    study = mixture_study("seeds-3", CURVED, (8, 16, 32), eta=0.0, paths=PATHS, **ENDS)
    assert study.strong_fit.order == pytest.approx(3, abs=0.15)


def test_an_order_that_is_not_the_declared_one_is_remarked_on():
    """At v_S v_T = c^2 the leading errors of noise prediction cancel."""
    study = gaussian_study("seeds-1", Gaussian.scalar(2.0), STEPS, prediction="noise", **ENDS)
    assert study.weak_fit.order == pytest.approx(2, abs=0.05)
    (remark,) = study.remarks
    assert "weak order is 2.00, declared 1" in remark
    assert study.to_json()["remarks"] == [remark]
    assert not gaussian_study("seeds-1", Gaussian.scalar(2.0), STEPS, **ENDS).remarks


def test_mixtures_in_the_plane_have_strong_errors_only():
    plane = GaussianMixture(
        [1, 1],
        [Gaussian(torch.tensor([-1.0, 0]), torch.ones(2)), Gaussian(torch.ones(2), torch.ones(2))],
    )
    study = mixture_study("seeds-1", plane, (4, 8), paths=PATHS, **ENDS)
    assert len(study.strong) == 2
    assert study.weak == ()
    assert study.weak_fit == Fit(None, None, ())


def test_the_design_of_coupled_paths_is_checked():
    with pytest.raises(ParameterError, match="batches"):
        CoupledPaths(batches=1)


def test_a_study_prints_plots_and_serialises():
    study = gaussian_study("seeds-1", Gaussian.scalar(1.0), (8, 16, 32, 64), **ENDS)
    record = json.loads(json.dumps(study.to_json(), allow_nan=False))
    assert {"method", "prediction", "eta", "target", "steps", "nfe", "strong", "strong_se"} <= set(
        record
    )
    assert {"weak", "weak_se", "strong_order", "weak_order", "exact"} <= set(record)
    assert record["nfe"] == [8, 16, 32, 64]
    console = Console(width=120, record=True, quiet=True)
    console.print(table([study]))
    drawn = figure([study])
    assert [axes.get_ylabel() for axes in drawn.axes] == ["strong error", "weak error"]


def test_a_baseline_has_no_choice_of_prediction():
    with pytest.raises(ParameterError, match="no choice of prediction; got 'noise'"):
        gaussian_study("sra1", Gaussian.scalar(1.0), (4, 8), prediction="noise", **ENDS)


def test_remarks_on_a_baseline_are_about_the_orders_it_declares():
    study = gaussian_study("sra1", Gaussian.scalar(1.0), (64, 128, 256, 512), **ENDS)
    assert study.remarks == ()
    assert study.strong_fit.order == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("name", ["seeds-3", "sa-solver", "seeds-2m"])
def test_a_method_on_a_grid_is_pickled_and_compared(name):
    run = on_grid(name, np.array([3.0, 1.0, 0.2]), eta=0.5)
    twin = pickle.loads(pickle.dumps(run))
    x = torch.ones(2, 1, dtype=torch.float64)
    assert twin == run
    ends = [each.run(lambda y, _: y / 2, x, SeededNoise([1, 2])) for each in (run, twin)]
    assert torch.equal(*ends)
