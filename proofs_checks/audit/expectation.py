"""What a user expects of a sampler: its orders, and grids that it can be given."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from proofs_checks.audit.names import require_check_names
from seeds_theory.errors import ParameterError

_ORDERS = {"weak": "weak", "strong": "strong", "ode": "ode"}
_GRIDS = {"zero": "zero", "one-step": "one_step"}
"""Words of `Expectation.parse`, those with a number and those without, and the fields that they set."""

_DECIDED_BY = {
    "weak": ("weak-order", "convergence", "limit", "noise-source"),
    "ode": ("weak-order", "convergence", "limit"),
    "strong": ("strong-order", "convergence", "limit"),
    "zero": ("short-grids", "grid-to-zero"),
    "one_step": ("short-grids",),
}
"""The fields, and the checks without which nobody looks at them."""

_ALWAYS = ("runs", "batch")
"""Checks that everything else rests on."""


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

    def __post_init__(self) -> None:
        for name in _ORDERS.values():
            order = getattr(self, name)
            if order is not None and not 0 < order < math.inf:
                raise ParameterError(f"an order is a number above 0; got {name}={order!r}")

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

    def require_checked(self, skip: Collection[str]) -> None:
        """The checks to skip are known, and none of them decides what is expected.

        Raises
        ------
        UnknownNameError : no such check; lists all.
        ParameterError : an expectation would pass unseen, or figures would be no figures of the sampler.
        """
        require_check_names(skip)
        for check in _ALWAYS:
            if check in skip:
                raise ParameterError(
                    f"{check} always runs, as all that is measured rests on it: accept what it finds, with a "
                    "record of known findings"
                )
        for field in self.said:
            for check in _DECIDED_BY[field]:
                if check in skip:
                    raise ParameterError(
                        f"{check} decides whether the expected {field.replace('_', '-')!r} holds: leave out "
                        "the one or the other"
                    )
