"""What networks predict, by diffusers' names, and the estimate of the data that it means."""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.errors import ParameterError
from seeds_theory.forms import skip_and_out

PREDICTION_TYPES = {
    "epsilon": "noise",
    "sample": "data",
    "v_prediction": "v",
    "flow_prediction": "flow",
}
"""diffusers' names of predictions, and those of `seeds_theory.forms.PREDICTION_NAMES`."""


def estimate(
    prediction_type: str, output: Tensor, sample: Tensor, coefficients: tuple[float, float]
) -> Tensor:
    """The estimate of the data, shaped like the sample, in its dtype.

    Parameters
    ----------
    prediction_type : what the network predicts, one of `PREDICTION_TYPES`.
    output : what it returned.
    sample : what it was given, alpha x_0 + sigma eps.
    coefficients : this alpha and this sigma.
    """
    skip, out = skip_and_out(PREDICTION_TYPES[prediction_type], *coefficients)
    return skip * sample + out * output.to(sample.dtype)


def require_start(prediction_type: str, level: float) -> None:
    """A run may start at this noise level; raises ParameterError where the output determines no data."""
    if math.isinf(level) and prediction_type == "epsilon":
        raise ParameterError(
            "an epsilon prediction says nothing of the data at an infinite noise level, where this "
            "grid starts: use timestep_spacing='leading', or sigmas of your own"
        )
