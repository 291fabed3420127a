"""What a user expects of a sampler: its orders, and grids that it can be given."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from seeds_theory.errors import ParameterError

_ORDERS = {"weak": "weak", "strong": "strong", "ode": "ode"}
_GRIDS = {"zero": "zero", "one-step": "one_step"}
"""Words of `Expectation.parse`, those with a number and those without, and the fields that they set."""


@dataclass(frozen=True)
class Expectation:
    """What a user expects of a sampler, or its author claims.

    Parameters
    ----------
    weak, strong, ode : orders; None where nothing is said. ode is for a deterministic sampler.
    zero : it takes grids that end at level 0.
    one_step : it takes grids of one step, and of two.
    """

    weak: float | None = None
    strong: float | None = None
    ode: float | None = None
    zero: bool = False
    one_step: bool = False

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """From ``weak=2,strong=1,zero,one-step``; raises ParameterError."""
        said: dict[str, Any] = {}
        try:
            for part in text.replace(" ", "").split(","):
                word, equals, value = part.partition("=")
                field = (_ORDERS if equals else _GRIDS)[word]
                if field in said or (equals and not 0 < float(value) < math.inf):
                    raise ValueError(part)
                said[field] = float(value) if equals else True
        except (KeyError, ValueError):
            raise ParameterError(
                "expected orders are written as weak=2,strong=1 or ode=3, grids that end at 0 as zero, those "
                f"of one step as one-step, all with commas between; got {text!r}"
            ) from None
        return cls(**said)

    @property
    def said(self) -> dict[str, float | bool]:
        """The fields that say something, and what."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value}

    @property
    def has_orders(self) -> bool:
        """Whether an order is expected."""
        return any(name in self.said for name in _ORDERS.values())
