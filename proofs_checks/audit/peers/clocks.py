"""Schedules that several libraries have: alpha at a noise level sigma / alpha, and the time that has it."""

from __future__ import annotations

import torch
from torch import Tensor


def preserving(sigma: Tensor) -> Tensor:
    """The alpha of a variance-preserving state."""
    return (1 + sigma**2).rsqrt()


def rectified(sigma: Tensor) -> Tensor:
    """The alpha of rectified flow."""
    return 1 / (1 + sigma)


def flow_time(sigma: Tensor) -> Tensor:
    """Of rectified flow: alpha = 1 - t, and t is the standard deviation of the noise."""
    return sigma / (1 + sigma)


def linear_beta_time(sigma: Tensor, beta_min: float, slope: float) -> Tensor:
    """Of the variance-preserving SDE with beta = beta_min + slope t, whose integral is log(1 + sigma^2)."""
    integral = torch.log1p(sigma**2)
    return 2 * integral / (beta_min + (beta_min**2 + 2 * slope * integral).sqrt())
