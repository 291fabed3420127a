"""Row: what a step adds up for one state, in symbols (`seeds_theory.formula`) or numbers (`plan`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Number = TypeVar("Number")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Row(Generic[Number]):
    r"""One affine combination: the state at a node from the step's start, integrands and normals,

    .. math::  u = \mathrm{state} \cdot y_s + \sum_i \mathrm{drift}_i F_i + \sum_m \mathrm{noise}_m z_m .
    """

    sigma: Number
    state: Number
    drift: tuple[Number, ...]
    noise: tuple[Number, ...]

    def mapped(self, function: Callable[[Number], Other]) -> Row[Other]:
        """The row of a function of each entry."""
        return Row(
            sigma=function(self.sigma),
            state=function(self.state),
            drift=tuple(map(function, self.drift)),
            noise=tuple(map(function, self.noise)),
        )
