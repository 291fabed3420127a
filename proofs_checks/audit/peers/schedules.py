r"""Schedules made of a grid, for code that asks for one: a time that runs over the given levels.

With :math:`\alpha^2 = 1 / (1 + \sigma^2)` a state is :math:`\alpha x`, and its noise has the deviation
:math:`\alpha\sigma`; :math:`\lambda = -\log\sigma`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from proofs_checks.audit.peers.clocks import preserving
from proofs_checks.audit.peers.running import Estimates


def cumulative(sigmas: Tensor) -> Tensor:
    """DDPM's table of the products of 1 - beta, alpha^2 by training step: a step for each level > 0."""
    return preserving(sigmas[sigmas > 0].flip(0)) ** 2


def betas(sigmas: Tensor) -> Tensor:
    """DDPM's table of betas that goes with `cumulative`."""
    products = cumulative(sigmas)
    return 1 - products / torch.cat([products.new_ones(1), products[:-1]])


class GridSchedule:
    """A variance-preserving schedule whose time falls over the levels of a grid in equal steps.

    With n + 1 levels, all positive, the i-th has the time (n + 1 - i) / (n + 1). Between them log sigma is
    linear in the time. A time that is off that of a level by rounding has just that level.

    The methods are those of NoiseScheduleVP in the code of DPM-Solver.
    """

    T = 1.0

    def __init__(self, sigmas: Tensor) -> None:
        self._sigmas, self.total_N = sigmas, len(sigmas)
        self._lambdas = -sigmas.double().log()
        self._known: dict[float, Tensor] = {}

    @property
    def end(self) -> float:
        """The time of the last level."""
        return 1 / self.total_N

    def _place(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The time in steps from the first level, and the step that it is in or begins."""
        place = ((self.T - t.double()) * self.total_N).clamp(0, self.total_N - 1)
        near = place.round()
        place = torch.where((place - near).abs() < 1e-4, near, place)
        return place, place.floor().clamp(max=self.total_N - 2).long()

    def level(self, t: Tensor) -> Tensor:
        """The noise level at a time."""
        if t.numel() > 1:
            return self._level(t)
        time = float(t)  # solvers ask for the same few again and again
        if time not in self._known:
            self._known[time] = self._level(t).reshape(())
        return self._known[time].reshape(t.shape)

    def _level(self, t: Tensor) -> Tensor:
        place, step = self._place(t)
        start, stop = self._lambdas[step], self._lambdas[step + 1]
        between = torch.exp(-(start + (place - step) * (stop - start)))
        given = self._sigmas[place.round().long()].double()
        return torch.where(place == place.round(), given, between).to(self._sigmas)

    def slope(self, t: Tensor) -> Tensor:
        """The derivative of log sigma by the time; at a level, that of the step from there."""
        _, step = self._place(t)
        rise = self._lambdas[step + 1] - self._lambdas[step]
        return (rise * self.total_N).to(self._sigmas)

    def marginal_alpha(self, t: Tensor) -> Tensor:
        """The alpha."""
        return preserving(self.level(t))

    def marginal_log_mean_coeff(self, t: Tensor) -> Tensor:
        """Its logarithm."""
        return -0.5 * (self.level(t) ** 2).log1p()

    def marginal_std(self, t: Tensor) -> Tensor:
        """The noise's deviation, alpha sigma."""
        sigma = self.level(t)
        return sigma * preserving(sigma)

    def marginal_lambda(self, t: Tensor) -> Tensor:
        """The half log-SNR, -log sigma."""
        return -self.level(t).log()

    def inverse_lambda(self, lamb: Tensor) -> Tensor:
        """The time at which -log sigma has a value."""
        after = torch.searchsorted(self._lambdas, lamb.double().contiguous(), right=True)
        after = after.clamp(1, self.total_N - 1)
        start, stop = self._lambdas[after - 1], self._lambdas[after]
        place = after - 1 + (lamb - start) / (stop - start)
        return (self.T - place / self.total_N).to(lamb)

    def noise_model(self, estimates: Estimates) -> Callable[[Tensor, Tensor], Tensor]:
        """The network that predicts the noise, of states alpha x and times, one for all or one a sample."""

        def predict(state: Tensor, t: Tensor) -> Tensor:
            sigma = self.level(t.reshape(-1)[0])
            x = state / preserving(sigma)
            return (x - estimates(x, sigma)) / sigma

        return predict
