"""Plans of benchmarks: which methods, at how many steps, on which checkpoint; read from TOML.

::

    network = "fashion-mnist"       # a checkpoint, or the name of an embedded one
    reference = "fashion-mnist"     # statistics of real images, a file or a name
    features = "fashion-mnist"      # what they are statistics of
    images = 1000                   # of a block; each block has seeds of its own
    blocks = 2
    nfe = [10, 20, 40]              # for methods that state neither nfe nor steps

    [[methods]]
    method = "seeds-3"
    eta = [0.5, 1]                  # any option of the method; a list stands for one curve each
    label = "third order"           # what the curves are called; by default as the method

    [[fine]]                        # a fine solution: the law that the network itself defines
    method = "seeds-3"
    eta = [0.5, 1]                  # the eta of the methods that are compared with it
    steps = [67]

Files are looked for from the current folder. Nothing in a plan can run code: a
network of the user's own is given beside it, to `seeds-bench run` as --network.
"""

from __future__ import annotations

import itertools
import json
import sys
import tomllib
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from gpu_runs.checkpoints.network_names import names_code
from gpu_runs.checkpoints.own_network import Network
from gpu_runs.files.inputs import open_regular
from gpu_runs.generation.sampler import (
    EDM_SIGMA_MAX,
    Generation,
    GridWarning,
    noise_levels,
    range_remarks,
)
from gpu_runs.names import FASHION_MNIST, require_convention
from seeds_theory.errors import SeedsError
from seeds_theory.eta_schedule import require_eta
from seeds_theory.solver import Solver

_MOST_SEEDS = 10_000_000


class PlanError(SeedsError):
    """A plan that cannot be read, or that asks for nothing."""


@dataclass(frozen=True)
class Curve:
    """A method with its options, at several numbers of steps.

    steps, nfe : one of the two; nfe stands for the most steps with no more network calls than that.
    published : its published score, at each of its numbers of steps; recalled, if that is from memory.

    Raises
    ------
    UnknownNameError, ParameterError, TableauError : the method or an option, as of `Solver`.
    """

    label: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    steps: tuple[int, ...] = ()
    nfe: tuple[int, ...] = ()
    published: float | None = None
    recalled: bool = False

    def __post_init__(self) -> None:
        Solver(self.method, self.options)

    @property
    def eta(self) -> float | None:
        """The eta of the SDE whose law it approaches; None if it varies or other options set the noise."""
        solver = Solver(self.method, self.options)
        own = solver.baseline.noise_options if solver.baseline else ()
        eta = require_eta(solver.eta)
        varies = not isinstance(eta, float) or any(name in self.options for name in own)
        return None if varies else eta

    @property
    def options_text(self) -> str:
        """The options as JSON, for rows and comparisons."""
        return json.dumps(self.options, sort_keys=True)


@dataclass(frozen=True)
class Cell:
    """One number of the table: a curve at a number of steps, on one block of seeds."""

    curve: Curve
    steps: int
    nfe: int
    block: int


@dataclass(frozen=True)
class Plan:
    """All that determines a table; images are those per block, the rest as of `Generation`.

    fine : solutions at one large number of steps each, one for an eta. What samplers of that eta end at is
        compared with it, on one Brownian motion: its levels are those that the fine run asks for.
    batch : images to a network call; the seeds of a block are cut into batches in their order.
    """

    curves: tuple[Curve, ...]
    fine: tuple[Curve, ...] = ()
    network: str = FASHION_MNIST
    reference: str = FASHION_MNIST
    features: str = FASHION_MNIST
    images: int = 1000
    blocks: int = 1
    first_seed: int = 0
    grid: str = "edm"
    sigma_min: float = 0.002
    sigma_max: float = EDM_SIGMA_MAX
    labels: str | None = None
    precision: str = "fp32"
    state: str = "float64"
    compile: bool = False
    batch: int = 64
    seeds_like: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("images", 4), ("blocks", 1), ("first_seed", 0), ("batch", 1)):
            if getattr(self, name) < least:
                raise PlanError(f"{name} is {least} or more; got {getattr(self, name)}")
        require_convention(self.seeds_like)
        if self.blocks * self.images > _MOST_SEEDS:
            raise PlanError(
                f"a plan has at most {_MOST_SEEDS} images; got blocks = {self.blocks} of "
                f"images = {self.images}"
            )
        if self.first_seed + self.blocks * self.images > 2**64:
            raise PlanError(f"seeds lie in [0, 2**64); first_seed {self.first_seed} is too large")
        labels = [curve.label for curve in (*self.curves, *self.fine)]
        for label in labels:
            if labels.count(label) > 1:
                raise PlanError(
                    f"two methods are called {label!r}: give one of them a label of its own, as "
                    f'label = "{label}, again"'
                )
        for curve in self.fine:
            if len(curve.steps) != 1 or curve.eta is None:
                raise PlanError(
                    f"the fine solution {curve.label!r} has one number of steps, and an eta"
                )
            if [other.eta for other in self.fine].count(curve.eta) > 1:
                raise PlanError(f"there is one fine solution to an eta; got two for {curve.eta:g}")

    def fine_of(self, curve: Curve) -> Curve | None:
        """The fine solution that a curve is compared with; None if there is none for its eta."""
        return next((fine for fine in self.fine if fine.eta == curve.eta), None)

    def seeds(self, block: int) -> range:
        """The seeds of a block."""
        first = self.first_seed + block * self.images
        return range(first, first + self.images)

    def settings(self, curve: Curve, steps: int) -> Generation:
        """What makes the images of a cell."""
        return Generation(
            curve.method,
            steps,
            curve.options,
            grid=self.grid,
            sigma_min=self.sigma_min,
            sigma_max=self.sigma_max,
            labels=self.labels,
            precision=self.precision,
            state=self.state,
            compile=self.compile,
            seeds_like=self.seeds_like,
        )

    def cells(self, network: Network) -> tuple[list[Cell], list[str]]:
        """The cells in the order of the work, and remarks on what is not as it was asked for.

        Block by block, and in a block in the order of the numbers of calls or steps in the plan: what is
        there after a while can be compared. The fine solutions come after the first number.

        Raises
        ------
        SeedsError : the grid, or no cell at all.
        """
        points: list[tuple[int, Curve, int, int]] = []
        remarks: dict[str, None] = {}  # ordered, each once
        for curve in (*self.curves, *self.fine):
            settings = partial(self.settings, curve)
            steps = {count: place for place, count in reversed(list(enumerate(curve.steps)))}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", GridWarning)
                for place, most in enumerate(curve.nfe):
                    if count := most_steps(network, settings, most):
                        steps.setdefault(count, place)
                    else:
                        remarks[f"{curve.label}: no run has {most} network calls or fewer"] = None
            for count, place in steps.items():
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", GridWarning)
                    points.append((place, curve, count, _nfe(network, settings(count))))
                remarks |= {str(warning.message): None for warning in caught}
        if len(points) == len(self.fine):
            raise PlanError(f"the plan has no cell: {'; '.join(remarks)}")
        remarks |= dict.fromkeys(range_remarks(network, self.settings(self.curves[0], 2)))
        points.sort(key=lambda point: point[0])  # stable: then in the order of the plan
        return [
            Cell(curve, count, calls, block)
            for block in range(self.blocks)
            for _, curve, count, calls in points
        ], list(remarks)


def most_steps(network: Network, settings: Callable[[int], Generation], nfe: int) -> int:
    """The most steps with no more network calls than that; 0 if two steps, the fewest, have more.

    settings : of a run with a number of steps. Errors as of `noise_levels`.
    """
    candidates = range(2, nfe + 1)  # each step has a call or more
    place = bisect_right(candidates, nfe, key=lambda steps: _nfe(network, settings(steps)))
    return candidates[place - 1] if place else 0


def _nfe(network: Network, settings: Generation) -> int:
    return Solver(settings.method, settings.options).nfe(noise_levels(network, settings))


def read_plan(path: str | Path) -> Plan:
    """The plan in a TOML file.

    Raises
    ------
    PlanError : no such file, no TOML, or not a plan; names the key.
    SeedsError : a method or option, as of `Curve`.
    """
    return parse_plan(read_toml(Path(path)), str(path))


def parse_plan(record: dict[str, Any], source: str = "the plan") -> Plan:
    """The plan in a record as TOML gives it; source names it in errors, which are as of `read_plan`."""
    record = dict(record)
    methods = _list(record.pop("methods", []), dict, f"{source}: methods")
    solutions = _list(record.pop("fine"), dict, f"{source}: fine") if "fine" in record else []
    counts = {name: record.pop(name) for name in _COUNTS if name in record}
    kinds = {
        part.name: _KINDS[str(part.type)]
        for part in fields(Plan)
        if part.name not in ("curves", "fine")
    }
    for name, value in record.items():
        if name not in kinds:
            known = ", ".join(["methods", "fine", "steps", "nfe", *kinds])
            raise PlanError(f"{source}: unknown key {name!r}; known: {known}")
        _require(value, kinds[name], f"{source}: {name}")
    if names_code(record.get("network", "")):
        raise PlanError(
            f"{source}: network {record['network']!r} is code, which no plan can run: give it as --network"
        )
    curves = [
        curve
        for number, entry in enumerate(methods, 1)
        for curve in _curves(entry, counts, f"{source}: method {number}")
    ]
    fine = [
        curve
        for number, entry in enumerate(solutions, 1)
        for curve in _curves(
            {"label": f"{entry.get('method')}, fine", **entry}, {}, f"{source}: fine {number}"
        )
    ]
    with _blamed_on(source):
        return Plan(tuple(curves), tuple(fine), **record)


_KINDS: dict[str, type] = {
    "str": str,
    "str | None": str,
    "int": int,
    "float": float,
    "bool": bool,
}
"""How the types of a plan's fields are written in TOML."""
_NAMES = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false"}
_COUNTS: tuple[str, ...] = ("steps", "nfe")
_OWN = ("method", "label", *_COUNTS, "published", "recalled")
"""Keys of a method's table that are no options of the method."""


@contextmanager
def _blamed_on(what: str) -> Iterator[None]:
    """Put the place in the plan before what is wrong there."""
    try:
        yield
    except SeedsError as error:
        raise type(error)(f"{what}: {error}") from None


def _require(value: Any, kind: type, what: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number and abs(value) <= sys.float_info.max:
        return
    if isinstance(value, kind) and (kind is not int or number) and kind is not float:
        return
    raise PlanError(f"{what} is {_NAMES.get(kind, 'a table')}; got {value!r}")


def _list(value: Any, kind: type, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise PlanError(f"{what} is a list that is not empty; got {value!r}")
    for item in value:
        _require(item, kind, what)
    return value


def _options(value: Any, what: str) -> list[Any]:
    """The values of an option: numbers and words; one stands for itself."""
    values = _list(value if isinstance(value, list) else [value], object, what)
    for item in values:
        if not isinstance(item, str | bool):
            _require(item, float, what)
    return values


def _curves(entry: dict[str, Any], counts: dict[str, Any], what: str) -> Iterator[Curve]:
    """The curves of a method's table: one for each combination of its options."""
    if "method" not in entry:
        raise PlanError(f"{what} has no key 'method'")
    for name, kind in (("method", str), ("label", str), ("published", float), ("recalled", bool)):
        if name in entry:
            _require(entry[name], kind, f"{what}: {name}")
    own = {name: entry[name] for name in _COUNTS if name in entry} or counts
    if len(own) != 1:
        raise PlanError(f"{what}, {entry['method']}, states either steps or nfe")
    ((name, numbers),) = own.items()
    least = 2 if name == "steps" else 1
    if min(_list(numbers, int, f"{what}: {name}")) < least:
        raise PlanError(f"{what}: {name} are {least} or more; got {min(numbers)}")
    choices = {name: value for name, value in entry.items() if name not in _OWN}
    values = [_options(value, f"{what}: {name}") for name, value in choices.items()]
    for combination in itertools.product(*values):
        options = dict(zip(choices, combination, strict=True))
        shown = [
            f"{option} {value:g}" if isinstance(value, float) else f"{option} {value}"
            for option, value in options.items()
            if "label" not in entry or isinstance(choices[option], list)
        ]
        label = ", ".join([entry.get("label", entry["method"]), *shown])
        if not label.isprintable():
            raise PlanError(f"{what}: a label is one line of text; got {label!r}")
        with _blamed_on(what):
            curve = Curve(
                label,
                entry["method"],
                options,
                published=entry.get("published"),
                recalled=entry.get("recalled", False),
                **{name: tuple(dict.fromkeys(numbers))},
            )
        yield curve


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises PlanError."""
    try:
        with open_regular(path) as file:
            return tomllib.load(file)
    except OSError as error:
        raise PlanError(f"cannot read the plan {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is no TOML: {error}") from None
