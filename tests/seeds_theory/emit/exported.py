"""What the tests of emitted files share: the methods, the problem, and how a file is loaded."""

from __future__ import annotations

import itertools
import math
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from seeds_theory import METHODS, InjectedNoise, follow, make_plan
from seeds_theory.emit.method import MethodProgram, method_program
from seeds_theory.emit.targets import target

NODES = ("seeds-2@0.7", "seeds-2@1", "seeds-3@0.8,0.3", "seeds-3@0.4,1", "seeds-3s@0.6")
NAMES = (*METHODS, *NODES)
VARIANTS = [
    (name, prediction)
    for name in NAMES
    for prediction in ("data", "noise")
    if prediction == "data" or not name.partition("@")[0].endswith("s")
]
"""Every method in every prediction that it has."""

GRIDS = {
    "even": [10.0, 5.0, 2.5, 1.25],
    "uneven to zero": [80.0, 79.5, 3.0, 0.3, 0.29, 0.01, 0.0],
    "from infinity": [math.inf, 6.0, 1.0, 0.2],
    "infinity to zero": [math.inf, 4.0, 0.5, 0.0],
    "one step": [2.0, 1.0],
    "one step to zero": [2.0, 0.0],
}
ETAS = (0.0, 0.5, 1.0, 2.0)
CASES = list(itertools.product(GRIDS.values(), ETAS))


@cache
def program(name: str, prediction: str) -> MethodProgram:
    """The method as its writers get it."""
    return method_program(name, prediction)


@cache
def text(name: str, prediction: str, to: str) -> tuple[str, str]:
    """The file that is exported: its name and its text."""
    ((file, found),) = target(to).files(program(name, prediction)).items()
    return file, found


def written(folder: Path, to: str, method: str, prediction: str = "data") -> list[Path]:
    """The files of an export, in a folder."""
    paths = []
    for name, contents in target(to).files(program(method, prediction)).items():
        paths.append(folder / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_text(contents)
    return paths


@cache
def module(name: str, prediction: str, to: str) -> ModuleType:
    """The exported file, imported."""
    file, found = text(name, prediction, to)
    loaded = ModuleType(Path(file).stem)
    exec(compile(found, file, "exec"), loaded.__dict__)
    return loaded


def curved(x: Any, sigma: Any, xp: Any = torch) -> Any:
    """A denoiser that is not linear: data at -1 and 1."""
    return xp.tanh(3.0 * x / (1 + sigma**2)) if sigma != math.inf else 0.25 * xp.tanh(x)


class Run:
    """A run of `follow`, and what the emitted code needs to repeat it."""

    def __init__(
        self,
        name: str,
        prediction: str,
        sigmas: list[float],
        eta: float,
        dtype: Any = torch.float64,
    ) -> None:
        self.sigmas, self._scale = sigmas, 1.0
        self._normals_of_a_step = program(name, prediction).normals
        self.plan = make_plan(name, sigmas, eta=eta, prediction=prediction)
        generator = torch.Generator().manual_seed(5)
        unit = torch.randn(3, 2, generator=generator, dtype=torch.float64)
        self.x = (unit * self.plan.initial_scale).to(dtype)
        shape = (self.plan.normals, 3, 2)
        self.normals = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    @cached_property
    def expected(self) -> np.ndarray:
        """What `follow` gives."""
        return follow(self._watched, self.x, self.plan, InjectedNoise(self.normals)).numpy()

    def _watched(self, x: Any, sigma: float) -> Any:
        self._scale = max(self._scale, x.abs().max().item())
        return curved(x, sigma)

    @property
    def per_step(self) -> np.ndarray:
        """The normals step by step, (steps, normals of a step, *x.shape); NaN where a step has fewer."""
        steps, most = self.plan.steps, self._normals_of_a_step
        padded = np.full((len(steps), most, *self.x.shape), np.nan, self.normals.numpy().dtype)
        rows = iter(self.normals.numpy())
        for n, step in enumerate(steps):
            for m in range(len(step.intervals)):
                padded[n, m] = next(rows)
        return padded

    def error(self, found: Any) -> float:
        """The largest difference from `follow`, relative to the scale of the states."""
        expected, states = self.expected, np.asarray(found)
        assert (states.shape, states.dtype) == (expected.shape, expected.dtype)
        return float(np.abs(states - expected).max() / self._scale)
