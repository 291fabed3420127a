"""The times at which schedules that several libraries have reach a noise level sigma / alpha."""

from __future__ import annotations

import torch
from torch import Tensor


def flow_time(sigma: Tensor) -> Tensor:
    """Of rectified flow: alpha = 1 - t, and t is the standard deviation of the noise."""
    return sigma / (1 + sigma)


def linear_beta_time(sigma: Tensor, beta_min: float, slope: float) -> Tensor:
    """Of the variance-preserving SDE with beta = beta_min + slope t, whose integral is log(1 + sigma^2)."""
    integral = torch.log1p(sigma**2)
    return 2 * integral / (beta_min + (beta_min**2 + 2 * slope * integral).sqrt())
