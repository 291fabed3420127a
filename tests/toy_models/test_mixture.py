import math

import pytest
import torch

from seeds_theory import ParameterError
from toy_models import Gaussian, GaussianMixture

LINE = GaussianMixture.scalar((0.4, 0.35, 0.25), (-1.0, 0.2, 1.2), (0.5, 0.4, 0.5))
PLANE = GaussianMixture(
    (0.3, 0.7),
    [
        Gaussian.from_covariance(torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 0.3], [0.3, 0.5]])),
        Gaussian(torch.tensor([-1.0, 0.0]), torch.tensor([0.2, 2.0])),
    ],
)


@pytest.mark.parametrize("mixture", [LINE, PLANE], ids=["line", "plane"])
@pytest.mark.parametrize("sigma", [0.05, 0.7, 20.0])
def test_denoiser_is_tweedies_formula(mixture, sigma):
    """D = x + sigma^2 grad log p, with the gradient by automatic differentiation."""
    x = 2 * torch.randn(50, mixture.dimension, dtype=torch.float64)
    x.requires_grad_()
    (score,) = torch.autograd.grad(mixture.log_density(x, sigma).sum(), x)
    expected = x.detach() + sigma**2 * score
    torch.testing.assert_close(mixture(x.detach(), sigma), expected, rtol=1e-9, atol=1e-9)


def test_density_integrates_to_one():
    x = torch.linspace(-15, 15, 20001, dtype=torch.float64)[:, None]
    density = LINE.log_density(x, 0.7).exp()
    assert float(torch.trapezoid(density, x[:, 0])) == pytest.approx(1, abs=1e-12)


def test_one_component_is_its_gaussian():
    component = PLANE.components[0]
    alone = GaussianMixture([2.0], [component])
    x = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(alone(x, 0.9), component(x, 0.9), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(alone.covariance, component.covariance)


def test_far_away_the_nearest_component_decides_without_overflow():
    x = torch.tensor([[1e6]], dtype=torch.float64)
    assert LINE(x, 1e-3).isfinite().all()
    assert torch.equal(LINE(x, math.inf), LINE.mean[None])
    assert torch.equal(LINE(x, 0.0), x)


def test_reverse_transition_brings_the_marginal_back():
    """The law at sigma_next is the transition, averaged over the law at sigma: here by quadrature."""
    points = torch.linspace(-12, 12, 401, dtype=torch.float64)
    weights = LINE.log_density(points[:, None], 1.5).exp() * (points[1] - points[0])
    target = torch.tensor([[-0.7], [0.4], [2.0]], dtype=torch.float64)
    total = sum(
        w * LINE.transition(x[None], 1.5, 0.6).log_density(target).exp()
        for x, w in zip(points, weights, strict=True)
    )
    torch.testing.assert_close(total, LINE.log_density(target, 0.6).exp(), rtol=1e-10, atol=0)


def test_marginal_is_the_noised_mixture():
    x = torch.randn(6, 2, dtype=torch.float64)
    torch.testing.assert_close(
        PLANE.marginal(0.8).log_density(x), PLANE.log_density(x, 0.8), rtol=1e-12, atol=1e-12
    )


def test_quantile_inverts_the_distribution_function():
    p = torch.linspace(0.001, 0.999, 101, dtype=torch.float64)
    torch.testing.assert_close(LINE.distribution_function(LINE.quantile(p)), p, rtol=0, atol=1e-13)
    with pytest.raises(ParameterError, match="d = 2"):
        PLANE.quantile(p)


def test_samples_have_mean_and_covariance_within_four_standard_errors():
    count = 40_000
    samples = PLANE.sample(count, torch.Generator().manual_seed(2))
    errors = (samples.mean(0) - PLANE.mean).abs()
    assert (errors < 4 * (PLANE.covariance.diagonal() / count).sqrt()).all()
    centred = samples - PLANE.mean
    products = centred[:, :, None] * centred[:, None, :]
    standard_errors = products.std(0) / count**0.5
    assert ((products.mean(0) - PLANE.covariance).abs() < 4 * standard_errors).all()


def test_weights_and_components_are_checked():
    with pytest.raises(ParameterError, match="one weight per component"):
        GaussianMixture([1.0], [])
    with pytest.raises(ParameterError, match="positive"):
        GaussianMixture.scalar((0.5, -0.5), (0, 1), (1, 1))
    with pytest.raises(ParameterError, match="one dimension"):
        GaussianMixture([1, 1], [Gaussian.scalar(1.0), Gaussian(torch.zeros(2), torch.ones(2))])
