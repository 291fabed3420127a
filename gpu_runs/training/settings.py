"""How a network is trained: the numbers alone, for the command's help, too."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seeds_theory.errors import ParameterError


@dataclass(frozen=True)
class TrainSettings:
    """How to train.

    Parameters
    ----------
    images : to be seen in all. batch : per step.
    learning_rate : of Adam, after `warmup` images; it then falls to 0 like a half cosine.
    ema : decay of the moving average of the weights, per step.
    log_sigma_mean, log_sigma_std : of the noise levels.
    label_dropout : share of images whose class is not told, so that the network can do without.
    seed : of weights and draws.
    """

    images: int = 420_000
    batch: int = 64
    learning_rate: float = 2e-3
    warmup: int = 12_800
    ema: float = 0.999
    log_sigma_mean: float = -1.0
    log_sigma_std: float = 1.4
    label_dropout: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "batch", "warmup"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is 1 or more; got {getattr(self, name)}")
        if self.batch > self.images:
            raise ParameterError(
                f"a batch is part of the images: {self.batch} in a step, {self.images} in all"
            )
        if not 0 <= self.seed < 2**63:
            raise ParameterError(f"a seed lies in [0, 2**63); got {self.seed}")

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return math.ceil(self.images / self.batch)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        rise = min(1.0, (step + 1) * self.batch / self.warmup)
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))
