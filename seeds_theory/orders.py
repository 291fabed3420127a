"""Orders: what a method claims."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Orders:
    """What a tableau claims: strong and weak order for eta > 0, order of its ODE limit eta = 0.

    linear : strong and weak order where F is linear in the state, as on Gaussian data, if higher there.
    """

    strong: Fraction
    weak: int
    ode: int
    linear: tuple[Fraction, int] | None = None

    @property
    def gaussian(self) -> Orders:
        """The orders on Gaussian data."""
        strong, weak = self.linear or (self.strong, self.weak)
        return Orders(strong, weak, self.ode)
