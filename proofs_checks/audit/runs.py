"""Runs of one sampler on many grids, each made once; curves go on to finer ones where these are quick."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from proofs_checks.audit import rounding
from proofs_checks.audit.affine import Fit, require_affine
from proofs_checks.audit.orders import Curve, followed
from proofs_checks.audit.protocol import NotAffine, SamplerFailure, Target

QUICK = 6.0
"""Processor seconds: a curve that has not settled is followed to finer grids while one takes less."""

ROUGH, FINE = 1e-5, 1e-9
"""Below this an error may be rounding: of numbers in single precision, and in double."""

Found = TypeVar("Found", bound=Fit)


class Runs(Generic[Found]):
    """What one sampler's runs show."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._known: dict[Hashable, Found | SamplerFailure] = {}
        self._seconds = 0.0  # that the last run took

    @cached_property
    def rounding(self) -> float:
        """Below this an error may be rounding."""
        return ROUGH if rounding.rounds_inside(self.target) else FINE

    @cached_property
    def _single(self) -> bool:
        return rounding.rounds_to_single(self.target)

    def explains(self, error: float, value: Callable[[float], np.ndarray]) -> bool:
        """Whether an error, the norm of a result, is what single precision inside explains.

        value : that result, by the shift of all levels.
        """
        return error < rounding.MOST and self._single and error < rounding.explained(value)

    def judged(self, run: Callable[[float], Found]) -> Found:
        """What a run shows, by the shift of all levels, at none: affine, but for what rounding explains.

        Raises
        ------
        NotAffine : it is not.
        """
        found = run(0.0)
        try:
            require_affine(found)
        except NotAffine:
            misfit = float(np.abs(found.misfit).max())
            if not self.explains(misfit, lambda shift: run(shift).misfit):
                raise
        return found

    def kept(self, key: Hashable, run: Callable[[], Found]) -> Found:
        """The result of a run, made if it is not known by that key.

        Failures are kept too: to fail again may take until the time limit.

        Raises
        ------
        SamplerFailure : that of the run.
        """
        if key not in self._known:
            start = time.process_time()
            try:
                self._known[key] = run()
            except SamplerFailure as failure:
                self._known[key] = failure
            self._seconds = time.process_time() - start
        known = self._known[key]
        if isinstance(known, SamplerFailure):
            raise known
        return known

    def followed(
        self, on_grids: Callable[[Sequence[int]], Curve], steps: Sequence[int], finest: int
    ) -> Curve:
        """A curve, on finer grids too while its orders move; not where each number costs time."""
        return followed(
            on_grids, steps, finest, lambda: not self.target.costly and self._seconds < QUICK
        )
