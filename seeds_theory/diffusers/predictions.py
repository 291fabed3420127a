"""What networks predict, by diffusers' names, and the estimate of the data that it means."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from seeds_theory.errors import DenoiserError, ParameterError
from seeds_theory.forms import DIFFUSERS_NAMES, skip_and_out

LEARNED = ("learned", "learned_range")
"""Variance types of networks that return a variance beside their prediction."""


class Bounds(Protocol):
    """The settings of a scheduler that bound estimates of the data."""

    thresholding: bool
    dynamic_thresholding_ratio: float
    sample_max_value: float
    clip_sample: bool
    clip_sample_range: float


def estimate(
    prediction_type: str, output: Tensor, sample: Tensor, coefficients: tuple[float, float]
) -> Tensor:
    """The estimate of the data, shaped like the sample, in its dtype.

    Parameters
    ----------
    prediction_type : what the network predicts, one of `DIFFUSERS_NAMES`.
    output : what it returned.
    sample : what it was given, alpha x_0 + sigma eps.
    coefficients : this alpha and this sigma.
    """
    skip, out = skip_and_out(DIFFUSERS_NAMES[prediction_type], *coefficients)
    return skip * sample + out * output.to(sample.dtype)


def prediction(output: object, sample: Tensor, variance_type: str | None) -> Tensor:
    """What a network returned, without a variance that it learned; raises DenoiserError for another shape."""
    if not isinstance(output, Tensor):
        raise DenoiserError(
            f"model_output is a tensor {tuple(sample.shape)}; got {type(output).__name__}"
        )
    if variance_type in LEARNED and output.shape[1] == 2 * sample.shape[1]:
        output = output[:, : sample.shape[1]]
    if output.shape != sample.shape:
        raise DenoiserError(
            f"model_output has the shape of the sample, {tuple(sample.shape)}; got "
            f"{tuple(output.shape)}: of a network that learned its variance, set "
            "variance_type='learned_range'"
        )
    return output


def denoised(
    settings: Any, output: object, sample: Tensor, coefficients: tuple[float, float]
) -> Tensor:
    """The estimate of the data that a scheduler of these settings takes an output for; as of `estimate`.

    Raises
    ------
    DenoiserError : the output has another shape than the sample.
    """
    found = prediction(output, sample, settings.variance_type)
    return bounded(estimate(settings.prediction_type, found, sample, coefficients), settings)


def bounded(estimate: Tensor, bounds: Bounds) -> Tensor:
    """The estimate, (batch, *event), within the bounds that are set.

    thresholding : dynamic thresholding (Saharia et al. 2022, section 2.3), of each sample for itself.
    """
    if bounds.thresholding:
        sizes = estimate.abs().flatten(1).sort(dim=1).values  # torch.quantile takes 2^24 at most
        place = bounds.dynamic_thresholding_ratio * (sizes.shape[1] - 1)
        below, above = math.floor(place), math.ceil(place)
        quantile = torch.lerp(sizes[:, below], sizes[:, above], place - below)
        largest = quantile.clamp(1.0, max(1.0, bounds.sample_max_value))
        largest = largest.reshape(-1, *[1] * (estimate.ndim - 1))
        return torch.minimum(torch.maximum(estimate, -largest), largest) / largest
    if bounds.clip_sample:
        return estimate.clamp(-bounds.clip_sample_range, bounds.clip_sample_range)
    return estimate


def require_start(prediction_type: str, level: float) -> None:
    """A run may start at this noise level; raises ParameterError where the output determines no data."""
    if math.isinf(level) and prediction_type == "epsilon":
        raise ParameterError(
            "an epsilon prediction says nothing of the data at an infinite noise level, where this "
            "grid starts: use timestep_spacing='leading', or sigmas of your own"
        )
