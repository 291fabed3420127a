"""The vectors: cases of every sampler, what must come out of them, and the files that hold them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from proofs_checks.conformance.stored import by_method
from proofs_checks.pipe import NoiseRequest
from seeds_theory.errors import ParameterError, unknown

FORMAT = 1

MODEL: dict[str, Any] = {
    "weights": [0.5, 0.3, 0.2],
    "means": [[-1.0, 0.5], [1.0, -0.25], [0.25, 1.5]],
    "deviations": [[0.3, 0.5], [0.2, 0.4], [0.6, 0.1]],
}
"""A mixture of three Gaussians in the plane, with independent coordinates."""

BATCH = 3

CASES: dict[str, tuple[tuple[float, ...], float]] = {
    # Equal steps in log-SNR.
    "uniform": ((10.0, 1.778, 0.3162, 0.05623), 1.0),
    # EDM's grid from 20 to 0.02, rho = 7.
    "edm": ((20.0, 4.479, 0.6595, 0.02), 0.5),
    "edm-to-zero": ((20.0, 2.583, 0.1249, 0.0), 1.0),
    "two-levels": ((2.0, 0.5), 1.0),
    "one-step-to-zero": ((1.5, 0.0), 1.0),
    "uneven": ((8.0, 5.0, 4.9, 0.25, 0.1), 1.0),
    "ode": ((12.0, 3.0, 0.3, 0.2, 0.05), 0.0),
    "ode-to-zero": ((5.0, 0.7, 0.08, 0.0), 0.0),
}
"""The grid and the eta of each case; a sampler that has no such eta takes its own."""

VARIANTS = ("uneven", "ode")
"""The cases in which other nodes, and noise prediction, are tried too."""

NODES: dict[int, list[float]] = {1: [0.7], 2: [0.4, 0.8]}
"""Other nodes than the default, by their number."""


@dataclass(frozen=True)
class Case:
    """One run, and what must come out of it.

    Attributes
    ----------
    method, name : of the sampler and of the case.
    options : those of the run; "method" and "eta" are among them.
    sigmas, x : the grid, and the states (batch, numbers) at its first level.
    noise : the requests in order, each with its normals (degree, batch, numbers).
    calls : the levels and states of the model calls, in order.
    states : after each step. The last are the result.
    model : the mixture that is the model: weights (K,), means and deviations (K, numbers).
    """

    method: str
    name: str
    options: Mapping[str, Any]
    sigmas: Sequence[float]
    x: list[Any]
    noise: tuple[tuple[NoiseRequest, list[Any]], ...]
    calls: tuple[tuple[float, list[Any]], ...]
    states: tuple[list[Any], ...]
    model: Mapping[str, Any]

    @property
    def variant(self) -> str:
        """The method with its options but eta: what a program offers or does not."""
        own = {k: v for k, v in self.options.items() if k not in ("method", "eta")}
        listed = ", ".join(f"{name} {value}" for name, value in own.items())
        return f"{self.method} ({listed})" if listed else self.method


def load(folder: Traversable, methods: Sequence[str] = ()) -> list[Case]:
    """The cases of a folder's files: of all methods, or of those named.

    Raises
    ------
    UnknownNameError : a method that has no file there; lists those that have.
    ParameterError : no files, or a file that does not hold vectors.
    """
    if not folder.is_dir():
        raise ParameterError(f"{folder} is no folder: seeds-conformance write makes one")
    named = by_method(folder)
    if not named:
        raise ParameterError(f"{folder} has no vectors: seeds-conformance write makes them")
    for method in methods:
        if method not in named:
            raise unknown("method", method, named)
    return [case for name in methods or named for case in _cases(named[name])]


def _cases(file: Traversable) -> list[Case]:
    try:
        record = json.loads(file.read_text())
        if record["format"] != FORMAT:
            raise ParameterError(
                f"{file.name} has vectors of format {record['format']!r}; this version reads {FORMAT}"
            )
        return [
            Case(
                record["method"],
                case["name"],
                case["options"],
                case["sigmas"],
                case["x"],
                tuple((_request(entry), entry["values"]) for entry in case["noise"]),
                tuple((call["sigma"], call["x"]) for call in case["calls"]),
                tuple(case["states"]),
                record["model"],
            )
            for case in record["cases"]
        ]
    except ParameterError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ParameterError(f"{file.name} holds no vectors: {error!r}") from None


def _request(entry: Mapping[str, Any]) -> NoiseRequest:
    given = {name: value for name, value in entry.items() if name != "values"}
    return NoiseRequest(given.pop("from"), given.pop("to"), **given)


def compute(method: str) -> dict[str, Any]:
    """What the library's sampler does in every case: a file's content."""
    from proofs_checks.conformance.recording import mixture, normals, record

    model, cases = mixture(MODEL), []
    for number, (name, options, sigmas) in enumerate(_runs(method)):
        numbers = normals(100 * number)
        row = len(MODEL["means"][0])
        unit = list(itertools.islice(numbers, BATCH * row))
        x = [[round(sigmas[0] * z, 3) for z in unit[i : i + row]] for i in range(0, len(unit), row)]
        run = {
            "name": name,
            "options": {"method": method, **options},
            "sigmas": list(sigmas),
            "x": x,
        }
        cases.append(run | record(method, options, sigmas, model, x, numbers))
    return {"format": FORMAT, "method": method, "model": MODEL, "cases": cases}


def _runs(method: str) -> Iterator[tuple[str, dict[str, Any], tuple[float, ...]]]:
    """Name, options and grid of each case."""
    from seeds_theory.methods import METHODS
    from seeds_theory.methods import method as tableau

    for name, (sigmas, eta) in CASES.items():
        yield name, {"eta": _offered(method, eta)}, sigmas
    if method not in METHODS:
        return
    further: dict[str, dict[str, Any]] = {}
    if METHODS[method].nodes:
        further["nodes"] = {"nodes": NODES[len(METHODS[method].nodes)]}
    if "noise" in tableau(method).predictions:
        further["noise-prediction"] = {"prediction": "noise"}
    for suffix, options in further.items():
        for name in VARIANTS:
            sigmas, eta = CASES[name]
            yield f"{name}-{suffix}", {"eta": eta, **options}, sigmas


def _offered(method: str, eta: float) -> float:
    """That eta; the sampler's own default where it does not take it."""
    from seeds_theory.solver import Solver

    try:
        return float(Solver(method, {"eta": eta}).eta)
    except ParameterError:
        return float(Solver(method).eta)


def text(record: Mapping[str, Any]) -> str:
    """A file of vectors: a line for each case."""
    head = {name: value for name, value in record.items() if name != "cases"}
    lines = ",\n".join(_compact(case) for case in record["cases"])
    return f'{_compact(head)[:-1]},"cases":[\n{lines}\n]}}\n'


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def write(folder: Path, method: str) -> None:
    """Compute the vectors of a method, and write its file."""
    (folder / f"{method}.json").write_text(text(compute(method)))
