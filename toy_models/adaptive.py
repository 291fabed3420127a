r"""Adaptive steps from an embedded pair: a study, whose results are in the book's chapter "Adaptive steps".

A pair is a method and a second result from its stages and its noise, with other weights in the last row. The
difference of the two estimates the error without a further model call, and a controller turns it into a
step length, for each sample by itself or for the whole batch. A step whose estimate is too large is taken
again with a part of its length, on the same Brownian path (`toy_models.bridge`): no noise is rejected.

Data prediction, in the frame y = x / alpha; h is a length in log-SNR. Claims: ``adaptive-*``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.exact import DATA, eta, lam_s
from seeds_theory.extras import optional_imports
from seeds_theory.formula import step_formula
from seeds_theory.methods import method
from seeds_theory.noise import h
from seeds_theory.phi import NUMERIC, Phi
from seeds_theory.tableau import Tableau, z
from toy_models.bridge import RefinedPath

with optional_imports():
    import sympy as sp

Estimate = Callable[[Tensor, Tensor], Tensor]
"""A denoiser ``D(y, sigma)`` with a noise level of its own for each state: (batch, d), (batch,)."""


@dataclass(frozen=True)
class Pair:
    """A method and the weights of F_2 - F_1, F_3 - F_1, ... in the result of lower order."""

    tableau: Tableau
    lower: tuple[sp.Expr, ...]

    @property
    def differences(self) -> tuple[sp.Expr, ...]:
        """The weights of F_2 - F_1, ... in the higher result minus the lower one, times h and all."""
        higher, lower = (
            step_formula(replace(self.tableau, weights=weights), DATA)[-1].drift[1:]
            for weights in (self.tableau.weights, self.lower)
        )
        return tuple(a - b for a, b in zip(higher, lower, strict=True))


def _pairs() -> dict[str, Pair]:
    second, third = method("seeds-2"), method("seeds-3")
    return {
        "seeds-2(1)": Pair(second, (sp.Integer(0),)),
        "seeds-3(2)": Pair(third, (Phi(2, z) / third.nodes[0], sp.Integer(0))),
    }


PAIRS = _pairs()
"""SEEDS-2 with SEEDS-1, and SEEDS-3 with the SEEDS-2b of its second stage."""


@cache
def _numbers(name: str) -> tuple[tuple[tuple[float, Any, tuple[Any, ...]], ...], tuple[Any, ...]]:
    """For each row its node, state and drift, and the differences, as functions of the length and eta."""

    def number(expression: sp.Expr) -> Any:
        # In data prediction no coefficient of state and drift depends on the level.
        return sp.lambdify((h, eta), sp.powsimp(expression.subs(lam_s, 0)), modules=NUMERIC)

    pair = PAIRS[name]
    rows = tuple(
        (float(node), number(row.state), tuple(map(number, row.drift)))
        for (node, _), row in zip(pair.tableau.rows, step_formula(pair.tableau, DATA), strict=True)
    )
    return rows, tuple(map(number, pair.differences))


def clock(log_snr: Tensor, eta: float) -> Tensor:
    r"""The clock :math:`\varsigma = e^{2\eta\lambda}` of the noise of data prediction."""
    return torch.exp(2 * eta * log_snr)


def _step(
    name: str,
    denoise: Estimate,
    y: Tensor,
    first: Tensor,
    log_snr: Tensor,
    length: Tensor,
    path: RefinedPath,
    eta: float,
) -> tuple[Tensor, Tensor]:
    """One step of each sample, of its own length: the result, and the difference of the pair."""

    def times(function: Any, values: Tensor) -> Tensor:
        weight = np.broadcast_to(function(length.numpy(), eta), length.shape)
        return torch.from_numpy(weight.copy())[:, None] * values

    rows, differences = _numbers(name)
    known = path(clock(log_snr, eta))
    estimates, state = [first], y
    for row, (node, carried, drift) in enumerate(rows):
        time = log_snr + node * length
        scale = torch.exp(-(1 + eta) * time)[:, None]
        state = times(carried, y) + scale * (path(clock(time, eta)) - known)
        for weight, estimate in zip(drift, estimates, strict=True):
            state = state + times(weight, estimate)
        if row + 1 < len(rows):
            estimates.append(denoise(state, torch.exp(-time)))
    gap = torch.zeros_like(y)
    for weight, estimate in zip(differences, estimates[1:], strict=True):
        gap = gap + times(weight, estimate - first)
    return state, gap


_ORDER = 1.5
"""The r of a difference of size h^r: 3/2 for pairs of SEEDS."""
_SAFETY = 0.9  # factor to all new lengths


@dataclass(frozen=True)
class Controller:
    r"""A PI controller of the step length.

    Parameters
    ----------
    tolerance : for the root mean square of the difference, over the coordinates of a sample or over the
        whole batch.
    together : one step length for the whole batch.
    rejects : False to keep every step, so that a difference sets the length of the next step only, and
        every length is chosen before the noise of its step is drawn.
    first, most : the length of the first step, and the greatest length, in log-SNR.
    """

    tolerance: float
    together: bool = False
    rejects: bool = True
    first: float = 1.5
    most: float = 3.0

    def size(self, gap: Tensor) -> Tensor:
        """The difference (batch, d) over the tolerance: (batch,); a step is accepted up to 1."""
        squares = (gap / self.tolerance).square().mean(1)
        return (squares.mean().expand_as(squares) if self.together else squares).sqrt()

    def next_length(self, taken: Tensor, size: Tensor, last: Tensor, accepted: Tensor) -> Tensor:
        """The length after one of that size; last: the size of the accepted step before."""
        size, last = size.clamp(min=1e-8), last.clamp(min=1e-8)
        onward = (last**0.4 / size**0.7) ** (1 / _ORDER)
        again = size ** (-1 / _ORDER)
        factor = (_SAFETY * torch.where(accepted, onward, again)).clamp(0.2, 3.0)
        return (taken * factor).clamp(max=self.most)


@dataclass(frozen=True)
class Run:
    """The end of a run.

    y : states (batch, d). calls, accepted, rejected : of each sample (batch,), the model calls and the steps.
    log_snrs : where the samples stood, (rounds + 1, batch); a rejected step repeats its start.
    """

    y: Tensor
    calls: Tensor
    accepted: Tensor
    rejected: Tensor
    log_snrs: Tensor


def adaptive(
    name: str,
    denoise: Estimate,
    y: Tensor,
    sigmas: tuple[float, float],
    path: RefinedPath,
    controller: Controller,
    eta: float = 1.0,
) -> Run:
    """Follow a pair from states y (batch, d) at the first noise level to the second one.

    The first call of a step is kept if the step is rejected, and is not counted again.
    """
    begin, end = (torch.full(y.shape[:1], -math.log(s), dtype=torch.float64) for s in sigmas)
    log_snr, length = begin, torch.full_like(begin, controller.first)
    last, stood = torch.ones_like(begin), [begin]
    accepted, rejected = torch.zeros_like(begin), torch.zeros_like(begin)
    first = denoise(y, torch.exp(-log_snr))
    while (active := log_snr < end).any():
        path.forget_before(clock(log_snr, eta))
        taken = torch.minimum(length, end - log_snr)
        state, gap = _step(name, denoise, y, first, log_snr, taken, path, eta)
        size = controller.size(gap)
        good = active & ((size <= 1) | (not controller.rejects))
        length = controller.next_length(taken, size, last, good)
        reached = torch.where(taken < end - log_snr, log_snr + taken, end)  # not end by rounding
        log_snr = torch.where(good, reached, log_snr)
        y = torch.where(good[:, None], state, y)
        first = torch.where(good[:, None], denoise(y, torch.exp(-log_snr)), first)
        last = torch.where(good, size, last)
        accepted, rejected = accepted + good, rejected + (active & ~good)
        stood.append(log_snr)
    stages = PAIRS[name].tableau.calls
    calls = stages * accepted + (stages - 1) * rejected
    return Run(y, calls, accepted, rejected, torch.stack(stood))


def on_levels(
    name: str,
    denoise: Estimate,
    y: Tensor,
    sigmas: Sequence[float] | np.ndarray,
    path: RefinedPath,
    eta: float = 1.0,
) -> Tensor:
    """The method of a pair on a fixed grid, on the same path."""
    for s, t in itertools.pairwise(sigmas):
        log_snr = torch.full(y.shape[:1], -math.log(s), dtype=torch.float64)
        length = torch.full_like(log_snr, math.log(s / t))
        path.forget_before(clock(log_snr, eta))
        y, _ = _step(name, denoise, y, denoise(y, torch.exp(-log_snr)), log_snr, length, path, eta)
    return y
