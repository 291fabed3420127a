"""The schemes of Pierret and Galerne, as samplers and as published recursions."""

import pytest
import torch

from proofs_checks.gaussian_w2 import (
    STEPS,
    Scheme,
    power_law,
    published_distance,
    published_variances,
    times,
)
from seeds_theory.errors import ParameterError, UnknownNameError
from toy_models.gaussian import Gaussian, frechet_distance
from toy_models.response import probe


def test_a_scheme_is_known_by_its_name():
    with pytest.raises(UnknownNameError, match="did you mean 'heun'"):
        Scheme("huen", 10, 1e-3)


def test_a_step_of_ddpm_keeps_some_of_the_state():
    with pytest.raises(ParameterError, match="take more"):
        Scheme("ddpm", 19, 0.0)


def test_the_times_are_equal_steps():
    assert times(4, 0.0) == [1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize("name", STEPS)
def test_the_recursion_is_that_of_the_code(name):
    data = torch.tensor([4.0, 1.0, 0.01], dtype=torch.float64)
    scheme = Scheme(name, 25, 0.05)
    first, last = (1 / (1 + level**2) for level in scheme.levels)  # squares of alpha
    response = probe(scheme, Gaussian(torch.zeros(3), data))
    start = torch.full_like(data, 0.7)
    probed = response.variance(start / first) * last
    assert torch.allclose(published_variances(scheme, data, start), probed, rtol=1e-12)


@pytest.mark.parametrize("name", STEPS)
def test_the_errors_vanish_with_the_steps(name):
    data = torch.tensor([4.0, 1.0], dtype=torch.float64)
    errors = []
    for steps in (400, 800):
        scheme = Scheme(name, steps, 0.01)
        first, last = (1 / (1 + level**2) for level in scheme.levels)
        found = published_variances(scheme, data, first * data + 1 - first)
        errors.append(published_distance(found, last * data + 1 - last))
    assert errors[1] < 0.55 * errors[0]


def test_the_distance_is_that_of_two_gaussians():
    first, second = power_law(5), power_law(5, exponent=1.0)
    theirs = frechet_distance(Gaussian(torch.zeros(5), first), Gaussian(torch.zeros(5), second))
    assert published_distance(first, second) == pytest.approx(theirs, rel=1e-12)
