"""What a plan needs, loaded in one process: makes batches of images, scores cells, and compares them.

Nothing here knows of folders or of other processes; see `gpu_runs.benchmarks.engine`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_runs.benchmarks.estimates import (
    frechet_values,
    mean_values,
    paired_frechet_values,
    paired_kernel_values,
)
from gpu_runs.benchmarks.pieces import Piece
from gpu_runs.benchmarks.plans import Cell, Curve, Plan
from gpu_runs.benchmarks.results import LawRow, Row, key_of
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.files.images import ImageSet
from gpu_runs.generation.sampler import GridWarning, ImageSampler, noise_levels
from gpu_runs.generation.shared_path import SharedPath, levels_of
from gpu_runs.machine.device import require_device
from gpu_runs.scores.features import load_features
from gpu_runs.scores.reference import load_reference
from gpu_runs.scores.report import require_comparable, score
from gpu_runs.scores.summary import summary_of
from seeds_theory.errors import SeedsError
from seeds_theory.seeds_range import batches
from seeds_theory.solver import Solver

_SCORES = ("frechet", "floor", "kernel", "kernel_error", "class_score", "precision", "recall")


@dataclass(frozen=True)
class Resources:
    """What a run has besides its plan; nothing here changes a score by more than rounding.

    weights, trust : of the feature network, as of `load_features`.
    device : where all computes, by default the GPU if there is one. progress : show a bar. log : a line on
        stderr for each cell when it is scored, for a run that nobody watches.
    """

    weights: Path | None = None
    trust: bool = False
    device: str | None = None
    progress: bool = False
    log: bool = False


class Bench:
    """The networks and the reference of a plan.

    Raises
    ------
    SeedsError : whatever is wrong with the files, or does not fit together.
    """

    def __init__(self, plan: Plan, resources: Resources) -> None:
        self.plan, self.resources = plan, resources
        self.device = require_device(resources.device)
        self.reference = load_reference(plan.reference)
        self.network, self.identity = open_network(plan.network, self.device)
        self.features = load_features(
            plan.features,
            weights=resources.weights,
            trust=resources.trust,
            device=self.device,
        )
        self.shape = (self.network.channels, self.network.resolution, self.network.resolution)
        black = ImageSet((1, *self.shape), lambda _: np.zeros((1, *self.shape), np.uint8))
        require_comparable(black, self.reference, self.features)
        self._made: tuple[tuple[Curve, int], ImageSampler] | None = None
        self._levels = cache(self._levels_of)

    def batches(self, block: int) -> list[list[int]]:
        """The seeds of a block, cut into batches."""
        return batches(self.plan.seeds(block), self.plan.batch)

    def sampler(self, curve: Curve, steps: int) -> ImageSampler:
        """What makes the images of a cell; the last one is kept."""
        if self._made is None or self._made[0] != (curve, steps):
            fine = self.plan.fine_of(curve)
            levels = self._levels(fine.label) if fine else ()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", GridWarning)  # a remark of the plan's already
                made = ImageSampler(self.network, self.plan.settings(curve, steps), levels)
            self._made = (curve, steps), made
        return self._made[1]

    def _levels_of(self, label: str) -> tuple[float, ...]:
        """The levels of the Brownian motion of a fine solution and all that are compared with it."""
        (fine,) = (curve for curve in self.plan.fine if curve.label == label)
        settings = self.plan.settings(fine, fine.steps[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GridWarning)
            sigmas = noise_levels(self.network, settings)
        return levels_of(Solver(fine.method, fine.options), sigmas)

    def make(self, cell: Cell, seeds: Sequence[int]) -> Piece:
        """A batch of a cell's images and their features. Raises SeedsError, as of `ImageSampler`."""
        sampler = self.sampler(cell.curve, cell.steps)
        start = time.perf_counter()
        images = sampler(seeds, min(self.plan.batch, self.plan.images))
        seconds = time.perf_counter() - start
        features, probabilities = self.features(images)
        return Piece(
            images.numpy(),
            features.numpy(),
            None if probabilities is None else probabilities.numpy(),
            seconds,
        )

    def score(self, cell: Cell, piece: Piece) -> Row:
        """The row of a cell, of all its images. What goes wrong with the scores is in it."""
        try:
            scores = score(
                summary_of(piece.features, piece.probabilities),
                self.reference,
                self.features,
                extrapolated=False,  # by pseudo-values, which can be paired
            )
            values = frechet_values(piece.features, self.reference.gaussian)
        except SeedsError as error:
            return self.failed(cell, error)
        return self._row(
            cell,
            frechet_values=values,
            seconds=piece.seconds,
            images_per_second=len(piece.images) / piece.seconds,
            **{name: getattr(scores, name) for name in _SCORES},
        )

    def failed(self, cell: Cell, error: SeedsError) -> Row:
        """The row of a cell that there are no scores of."""
        return self._row(cell, error=" ".join(str(error).split()))

    def _row(self, cell: Cell, **found: Any) -> Row:
        label, method, options, steps, block = key_of(cell)
        seeds = self.plan.seeds(block)
        return Row(label, method, options, steps, cell.nfe, block, seeds[0], len(seeds), **found)

    def row(self, cell: Cell) -> Row:
        """The row of a cell, whose images are made and forgotten."""
        try:
            made = [self.make(cell, seeds) for seeds in self.batches(cell.block)]
        except SeedsError as error:
            return self.failed(cell, error)
        return self.score(cell, Piece.joined(made))

    def compare(self, cell: Cell, piece: Piece, fine: Piece) -> LawRow:
        """A cell against the fine solution on the same seeds."""
        label, method, options, steps, block = key_of(cell)
        solution = self.plan.fine_of(cell.curve)
        assert solution is not None
        coupled = cell.curve.eta == 0 or self._follows(cell)
        difference = (piece.images.astype(np.float32) - fine.images.astype(np.float32)) / 127.5
        squares = np.square(difference).mean(axis=(1, 2, 3), dtype=np.float64)
        return LawRow(
            label,
            method,
            options,
            steps,
            cell.nfe,
            block,
            solution.label,
            paired_frechet_values(piece.features, fine.features),
            paired_kernel_values(piece.features, fine.features),
            mean_values(squares) if coupled else (),
        )

    def _follows(self, cell: Cell) -> bool:
        """Whether a cell's noise comes from the common Brownian motion."""
        solution = self.plan.fine_of(cell.curve)
        levels = self._levels(solution.label) if solution else ()
        solver = Solver(cell.curve.method, cell.curve.options)
        settings = self.plan.settings(cell.curve, cell.steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GridWarning)
            sigmas = noise_levels(self.network, settings)
        return SharedPath.of(levels, solver, sigmas) is not None

    def free(self) -> None:
        """Give the memory of a GPU back, where other processes of this program need it."""
        del self.network, self.features, self._made
        torch.cuda.empty_cache()
