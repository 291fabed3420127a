"""The vectors: cases of every sampler, what must come out of them, and the files that hold them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from proofs_checks.conformance.stored import chosen_files
from proofs_checks.pipe import NoiseRequest
from seeds_theory.errors import ParameterError

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

_KINDS: dict[type, str] = {str: "text", list: "list", dict: "object"}
_MOST_WHOLE = 2**53  # whole numbers below it are floats exactly


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
    def further_options(self) -> dict[str, Any]:
        """The options beyond method and eta."""
        return {k: v for k, v in self.options.items() if k not in ("method", "eta")}

    @property
    def variant(self) -> str:
        """The method with its options but eta: what a program offers or does not."""
        listed = ", ".join(f"{name} {value}" for name, value in self.further_options.items())
        return f"{self.method} ({listed})" if listed else self.method


def load(folder: Traversable, methods: Sequence[str] = ()) -> list[Case]:
    """The cases of a folder's files: of all methods, or of those named.

    Raises
    ------
    UnknownNameError : a method that has no file there; lists those that have.
    ParameterError : no files, or a file that does not hold vectors.
    """
    return [case for file in chosen_files(folder, methods) for case in _cases(file)]


def _cases(file: Traversable) -> list[Case]:
    where = ""
    try:
        record = json.loads(file.read_text(), parse_constant=_refuse_constant)
        form = field(record, "format")
        if form != FORMAT:
            raise ParameterError(
                f"{file.name} has vectors of format {form!r}; this version reads {FORMAT}"
            )
        method, model = field(record, "method", str), _model(field(record, "model"))
        found: list[Case] = []
        for number, entry in enumerate(field(record, "cases", list), 1):
            where = f"case {number}: "
            where = f"case {field(entry, 'name', str)!r}: "
            found.append(_case(method, model, entry))
        if not found:
            raise ValueError("'cases' is empty")
    except ParameterError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # ProgramError is a ValueError
        raise ParameterError(f"{file.name} holds no vectors: {where}{error}") from None
    return found


def _case(method: str, model: Mapping[str, Any], entry: Any) -> Case:
    """A case, its numbers finite and its shapes those of its states; raises ValueError."""
    sigmas = numbers(entry, "sigmas", (None,))
    if len(sigmas) < 2 or (np.diff(sigmas) >= 0).any() or sigmas[-1] < 0:
        raise ValueError("'sigmas' are no levels that descend, to 0 at the least")
    x = numbers(entry, "x", (None, len(model["means"][0])))
    noise = []
    for item in field(entry, "noise", list):
        request = _request(item)
        values = numbers(item, "values", (request.degree, *x.shape))
        noise.append((request, values.tolist()))
    calls = [
        (float(numbers(item, "sigma", ())), numbers(item, "x", x.shape).tolist())
        for item in field(entry, "calls", list)
    ]
    return Case(
        method,
        entry["name"],
        field(entry, "options", dict),
        sigmas.tolist(),
        x.tolist(),
        tuple(noise),
        tuple(calls),
        tuple(numbers(entry, "states", (len(sigmas) - 1, *x.shape)).tolist()),
        model,
    )


def _model(record: Any) -> dict[str, Any]:
    """A mixture of components as many and as wide as each other; raises ValueError."""
    means = numbers(record, "means", (None, None))
    weights = numbers(record, "weights", means.shape[:1])
    deviations = numbers(record, "deviations", means.shape)
    if min(weights.min(), deviations.min()) <= 0:
        raise ValueError("'weights' and 'deviations' are not all larger than 0")
    return {
        "weights": weights.tolist(),
        "means": means.tolist(),
        "deviations": deviations.tolist(),
    }


def field(record: Any, name: str, kind: type = object) -> Any:
    """What an object of JSON has under a name, of that kind; raises ValueError."""
    if not isinstance(record, dict) or name not in record:
        raise ValueError(f"{name!r} is missing")
    if not isinstance(record[name], kind):
        raise ValueError(f"{name!r} is no {_KINDS[kind]}")
    return record[name]


def numbers(record: Any, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """A field of finite numbers as float64 of that shape, in which None is any length; raises ValueError."""
    value = field(record, name)
    try:
        found = np.array(value)
    except ValueError:  # ragged
        found = np.array(None)
    fits = found.ndim == len(shape) and all(
        due in (None, size) for size, due in zip(found.shape, shape, strict=True)
    )
    if not fits or found.dtype.kind not in "if" or not found.size:
        wanted = ", ".join("any" if due is None else str(due) for due in shape)
        raise ValueError(f"{name!r} holds no numbers of shape ({wanted})")
    if not np.isfinite(found).all():
        raise ValueError(f"{name!r} has numbers that are not finite")
    return found.astype(np.float64)


def _request(entry: Any) -> NoiseRequest:
    if not isinstance(entry, dict):
        raise ValueError("'noise' has an entry that is no object")
    given = {name: value for name, value in entry.items() if name != "values"}
    whole = {n: float(v) for n, v in given.items() if type(v) is int and abs(v) < _MOST_WHOLE}
    return NoiseRequest.parse(given | whole)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def compute(method: str) -> dict[str, Any]:
    """What the library's sampler does in every case: a file's content."""
    from proofs_checks.conformance.recording import mixture, normals, record

    model, cases = mixture(MODEL), []
    for number, (name, options, sigmas) in enumerate(_runs(method)):
        drawn = normals(100 * number)
        row = len(MODEL["means"][0])
        unit = list(itertools.islice(drawn, BATCH * row))
        x = [[round(sigmas[0] * z, 3) for z in unit[i : i + row]] for i in range(0, len(unit), row)]
        run = {
            "name": name,
            "options": {"method": method, **options},
            "sigmas": list(sigmas),
            "x": x,
        }
        cases.append(run | record(method, options, sigmas, model, x, drawn))
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
