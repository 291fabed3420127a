"""Orders that a user expects of a sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seeds_theory.errors import ParameterError


@dataclass(frozen=True)
class Expectation:
    """Orders that a user expects; None where nothing is said. ode is for a deterministic sampler."""

    weak: float | None = None
    strong: float | None = None
    ode: float | None = None

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """From ``weak=2,strong=1``."""
        try:
            pairs = dict(part.split("=") for part in text.replace(" ", "").split(","))
            orders = {name: float(value) for name, value in pairs.items()}
            if len(pairs) <= text.count(",") or not all(0 < o < math.inf for o in orders.values()):
                raise ValueError
            return cls(**orders)
        except (TypeError, ValueError):
            raise ParameterError(
                f"expected orders are written as weak=2,strong=1 or ode=3; got {text!r}"
            ) from None
