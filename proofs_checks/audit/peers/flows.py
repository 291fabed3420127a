r"""Rectified flow: states :math:`s = x_0 + t\,(z - x_0)`, of which a network predicts the velocity z - x_0.

In the audit's frame :math:`x = s / (1 - t)` at :math:`\sigma = t / (1 - t)`, so that :math:`t = \sigma /
(1 + \sigma)` and, with the denoised state D, the velocity is :math:`(s - D) / t`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def velocity(estimate: Callable[[Tensor, Tensor], Tensor], state: Tensor, t: Tensor) -> Tensor:
    """Z - x_0 by the estimate of a state x at a level sigma; t is a number or the same for all samples."""
    time = t.to(state).reshape(-1)[0]
    return (state - estimate(state / (1 - time), time / (1 - time))) / time
