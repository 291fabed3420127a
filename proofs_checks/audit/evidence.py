"""The order of a sampler: the least that its studies show, and which of them shows more by accident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from proofs_checks.audit.findings import finite
from proofs_checks.audit.orders import Curve, Order, Verdict

LOST = 0.3
"""An order is lost where another study shows less by more than this."""


@dataclass(frozen=True)
class Study:
    """One curve of errors: on which data, on which steps."""

    data: str
    steps: str
    curve: Curve

    def __str__(self) -> str:
        return f"{self.data} data with {self.steps} steps"


GAUSSIAN, CURVED, PERTURBED = "Gaussian", "curved", "perturbed Gaussian"
EVEN, UNEVEN, OWN = "equal", "uneven", "its own"


@dataclass(frozen=True)
class Evidence:
    """All studies of one kind of order.

    studies : with the most favourable first, Gaussian data and equal steps. bound : no step can have a higher
    order with the estimates that it uses; None if that is not known.
    """

    studies: tuple[Study, ...]
    bound: int | None = None

    @property
    def least(self) -> Study:
        """The study with the lowest order."""
        return min(self.studies, key=lambda study: study.curve.order.least)

    @property
    def order(self) -> Order:
        """The order of the sampler: of the lowest study, and no higher than the estimates allow.

        If all studies show more than these allow, by more than their bands, all are accidents.
        """
        order = self.least.curve.order
        if self.bound is None or order.value is None or order.value <= self.bound:
            return order
        band = order.uncertainty or 0.0
        if order.value - self.bound > max(band, LOST):
            return replace(order, value=None, uncertainty=None, verdict=Verdict.moving)
        return replace(
            order, value=float(self.bound), uncertainty=max(band, order.value - self.bound)
        )

    def on(self, data: str, steps: str) -> Order | None:
        """The order in one of the studies; None if it is not there."""
        found = [s.curve.order for s in self.studies if (s.data, s.steps) == (data, steps)]
        return found[0] if found else None

    def accidents(self) -> Sequence[Study]:
        """The studies that show a settled order above that of the sampler."""
        limit = self.order.least + LOST
        return [
            study
            for study in self.studies
            if study.curve.order.verdict is Verdict.settled and study.curve.order.least > limit
        ]

    def to_json(self) -> dict[str, Any]:
        """The record in a report."""
        order = self.order
        return {
            "order": None if order.value is None else round(order.value, 3),
            "uncertainty": finite(order.uncertainty),
            "verdict": order.verdict.value,
            "text": str(order),
            "slopes": [finite(slope) for slope in order.slopes],
            "studies": [
                {
                    "data": study.data,
                    "steps": study.steps,
                    "order": finite(study.curve.order.value),
                    "text": str(study.curve.order),
                }
                for study in self.studies
            ],
        }
