import math

import numpy as np
import pytest
import torch
from scipy import integrate

from seeds_theory import BrownianPath, InjectedNoise, ParameterError, uniform_log_snr
from seeds_theory.exact import DATA, GAUSSIAN
from toy_models import Gaussian, frechet_distance

COVARIANCE = torch.tensor(
    [[2.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]], dtype=torch.float64
)
GAUSSIAN_3D = Gaussian.from_covariance(torch.tensor([1.0, -2.0, 0.5]), COVARIANCE)


def test_denoiser_is_the_posterior_mean():
    x, sigma = torch.randn(7, 3, dtype=torch.float64), 0.8
    covariance = COVARIANCE
    gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(3, dtype=torch.float64))
    mean = GAUSSIAN_3D.mean
    torch.testing.assert_close(
        GAUSSIAN_3D(x, sigma), mean + (x - mean) @ gain.T, rtol=1e-12, atol=1e-12
    )


def test_denoiser_at_the_ends_is_the_mean_and_the_state():
    x = torch.randn(2, 3, dtype=torch.float64)
    assert torch.equal(GAUSSIAN_3D(x, math.inf), GAUSSIAN_3D.mean.expand(2, 3))
    assert torch.equal(GAUSSIAN_3D(x, 0.0), x)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.5])
def test_transition_preserves_the_marginal(eta):
    start, end = 3.0, 0.4
    _, variances = GAUSSIAN_3D.transition(GAUSSIAN_3D.mean[None], start, end, eta)
    factor = GAUSSIAN_3D.propagator(start, end, eta)
    total = factor**2 * (GAUSSIAN_3D.variances + start**2) + variances
    torch.testing.assert_close(total, GAUSSIAN_3D.variances + end**2, rtol=1e-13, atol=0)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_transition_composes(eta):
    x = torch.randn(1, 3, dtype=torch.float64)
    middle, first = GAUSSIAN_3D.transition(x, 3.0, 1.0, eta)
    end, second = GAUSSIAN_3D.transition(middle, 1.0, 0.2, eta)
    direct, variances = GAUSSIAN_3D.transition(x, 3.0, 0.2, eta)
    factor = GAUSSIAN_3D.propagator(1.0, 0.2, eta)
    torch.testing.assert_close(end, direct, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(factor**2 * first + second, variances, rtol=1e-12, atol=0)


def test_transition_of_a_degenerate_direction():
    line = Gaussian(torch.zeros(2), torch.tensor([1.0, 0.0]))
    mean, variances = line.transition(torch.ones(1, 2, dtype=torch.float64), 2.0, 1e-3, 1.0)
    assert mean.isfinite().all()
    assert (variances >= 0).all()
    assert line(torch.ones(1, 2), 2.0)[0, 1] == 0


def test_path_solution_responds_to_the_path_as_the_stochastic_integral():
    """Every normal of the path in turn: the squares add up to the exact transition variance."""
    variances = np.array([0.3, 4.0])
    gaussian = Gaussian(torch.zeros(2), torch.tensor(variances))
    sigmas = uniform_log_snr(5.0, 0.1, 12)
    count = 2 * 12
    rows = torch.zeros(count, count, 2, dtype=torch.float64)
    rows[range(count), range(count)] = 1.0
    x = torch.zeros(count, 2, dtype=torch.float64)
    path = BrownianPath(
        sigmas, 1.0, x, InjectedNoise(rows), (DATA, GAUSSIAN), {GAUSSIAN: variances}
    )
    response = gaussian.path_solution(x, path, 5.0, 0.1)
    _, exact = gaussian.transition(x[:1], 5.0, 0.1, 1.0)
    torch.testing.assert_close(response.square().sum(0), exact, rtol=1e-12, atol=0)
    # And its covariance with the data-prediction noise on the same path, by quadrature in v.
    noise = path.noise(DATA, 5.0, 0.1)
    for i, c in enumerate(variances):
        kernels = integrate.quad(
            lambda v, c=c: 0.01 / v * (c + 0.01) / (c + v), 0.01, 25, epsabs=1e-13
        )
        assert float((response[:, i] * noise[:, i]).sum()) == pytest.approx(kernels[0], rel=1e-9)


def test_path_solution_needs_a_diagonal_covariance():
    x = torch.zeros(1, 3, dtype=torch.float64)
    path = BrownianPath([2.0, 1.0], 1.0, x)
    with pytest.raises(ParameterError, match="in_eigenbasis"):
        GAUSSIAN_3D.path_solution(x, path, 2.0, 1.0)


def test_samples_have_mean_and_covariance_within_four_standard_errors():
    count = 40_000
    samples = GAUSSIAN_3D.sample(count, torch.Generator().manual_seed(1))
    covariance = COVARIANCE
    deviation = covariance.diagonal().sqrt()
    assert ((samples.mean(0) - GAUSSIAN_3D.mean).abs() < 4 * deviation / count**0.5).all()
    products = covariance.square() + deviation[:, None] ** 2 * deviation**2
    error = (torch.cov(samples.T) - covariance).abs()
    assert (error < 4 * (products / count).sqrt()).all()


def test_frechet_distance_of_commuting_covariances_is_explicit():
    a = Gaussian(torch.tensor([1.0, 0.0]), torch.tensor([4.0, 1.0]))
    b = Gaussian(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 9.0]))
    assert frechet_distance(a, b) == pytest.approx(math.sqrt(1 + 4 + 1 + 4), rel=1e-12)
    assert frechet_distance(GAUSSIAN_3D, GAUSSIAN_3D) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("size", [1e-4, 1e-9, 1e-12])
def test_frechet_distance_of_nearly_equal_laws(size):
    values, basis = torch.linalg.eigh(COVARIANCE)
    near = Gaussian(torch.zeros(3), (values.sqrt() + size).square(), basis)
    distance = frechet_distance(Gaussian.from_covariance(torch.zeros(3), COVARIANCE), near)
    assert distance == pytest.approx(size * 3**0.5, rel=1e-6, abs=1e-14)


def test_rotation_leaves_the_frechet_distance_alone():
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    turned = Gaussian.from_covariance(
        GAUSSIAN_3D.mean @ rotation, rotation.T @ COVARIANCE @ rotation
    )
    other = Gaussian(torch.zeros(3), torch.ones(3))
    assert frechet_distance(turned, other) == pytest.approx(
        frechet_distance(GAUSSIAN_3D, other), rel=1e-12
    )


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        ([[1.0, 0.5], [0.0, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive semi-definite"),
        ([[1.0, 2.0]], "square"),
        ([[float("nan"), 0.0], [0.0, 1.0]], "finite"),
    ],
)
def test_covariances_are_checked(covariance, message):
    with pytest.raises(ParameterError, match=message):
        Gaussian.from_covariance(torch.zeros(2), torch.tensor(covariance))


@pytest.mark.parametrize("variance", [0.0, -1.0, math.nan, math.inf])
def test_a_scalar_variance_is_positive(variance):
    with pytest.raises(ParameterError, match="positive"):
        Gaussian.scalar(variance)


def test_shapes_and_bases_are_checked():
    with pytest.raises(ParameterError, match="one length"):
        Gaussian(torch.zeros(2), torch.ones(3))
    with pytest.raises(ParameterError, match="orthogonal"):
        Gaussian(torch.zeros(2), torch.ones(2), torch.ones(2, 2))
    with pytest.raises(ParameterError, match=">= 0"):
        Gaussian(torch.zeros(2), torch.tensor([1.0, -1.0]))


def test_numbers_are_kept_in_double_precision():
    data = Gaussian.scalar(0.3, 0.7)
    assert (float(data.variances), float(data.mean)) == (0.3, 0.7)
