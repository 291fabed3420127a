r"""Guidance: an estimate led away from another one, :math:`D_w = D_\varnothing + w\,(D_c - D_\varnothing)`.

Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598), negative prompts and autoguidance (Karras
et al. 2024, arXiv 2406.02507) differ in what the estimate is led away from; an interval of noise levels is
that of Kynkaanniemi et al. 2024, arXiv 2404.07724.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from seeds_theory.denoiser import Denoiser
from seeds_theory.errors import ParameterError, shown
from seeds_theory.loop import require_denoiser, require_estimate


@dataclass(frozen=True)
class Guided:
    """A denoiser under guidance, made by `guided`; it takes a condition or has none."""

    denoiser: Callable[..., Tensor]
    scale: float
    interval: tuple[float, float]
    against: Denoiser | None

    def __call__(self, x: Tensor, sigma: float, *condition: Any) -> Tensor:
        """The estimate of the data, shaped like x: two calls, or one where guidance changes nothing."""
        low, high = self.interval
        scale = self.scale if low <= sigma <= high else 1.0
        if self.against is None and not condition:
            raise ParameterError(
                "guidance leads away from the model without its condition: give one, or what to be led away "
                "from, as against="
            )
        if scale == 1:
            return self.denoiser(x, sigma, *condition)
        other = self.denoiser(x, sigma, None) if self.against is None else self.against(x, sigma)
        require_estimate(other, x, sigma)  # broadcasting would hide a wrong shape
        if scale == 0:
            return other
        estimate = self.denoiser(x, sigma, *condition)
        require_estimate(estimate, x, sigma)
        return other + scale * (estimate - other)


def guided(
    denoiser: Callable[..., Tensor],
    scale: float,
    *,
    interval: tuple[float, float] = (0.0, math.inf),
    against: Denoiser | None = None,
) -> Guided:
    r"""A denoiser led away from another estimate by ``scale``.

    >>> led = guided(network, 3.0, interval=(0.3, 5.0))
    >>> images = sample(led, condition=labels, shape=(3, 32, 32), seeds=range(len(labels)))

    What comes out is no posterior mean for a scale other than 0 and 1, and the law of the samples depends on
    eta: the chapter on guidance says how.

    Parameters
    ----------
    denoiser : ``D(x, sigma, condition)``, or ``D(x, sigma)`` with `against`. A `NetworkDenoiser` or
        `EDMDenoiser` hands the condition to its network.
    scale : the w of D_w = D_other + w (D - D_other): 1 is the denoiser, 0 the other one. Where papers write
        (1 + w) D - w D_other, it is one more than theirs.
    interval : noise levels (low, high), both included, in which to guide; elsewhere the denoiser is alone.
    against : ``D(x, sigma)`` to be led away from: a negative prompt, a worse network, a network with a label
        for none. By default ``denoiser(x, sigma, None)``.

    Raises
    ------
    ParameterError : a scale that is not finite, or an interval that is none.
    DenoiserError : something that is no denoiser.
    """
    require_denoiser(denoiser)
    if against is not None:
        require_denoiser(against)
    try:
        number, (low, high) = float(scale), (float(end) for end in interval)
    except (TypeError, ValueError):
        raise ParameterError(
            f"guidance has a scale and an interval of two noise levels; got {shown(scale)} and "
            f"{shown(interval)}"
        ) from None
    if not math.isfinite(number):
        raise ParameterError(f"a scale of guidance is finite; got {number:g}")
    if not 0 <= low <= high:
        raise ParameterError(
            f"an interval of noise levels goes up from 0 at least; got {interval!r}"
        )
    return Guided(denoiser, number, (low, high), against)
