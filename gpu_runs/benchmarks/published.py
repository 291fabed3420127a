"""Scores as others published them, beside ours: FID against network calls, with their sources."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gpu_runs.benchmarks.curves import DATA, points
from gpu_runs.benchmarks.plans import PlanError, read_toml
from gpu_runs.benchmarks.results import Results
from gpu_runs.errors import printable, shown
from seeds_theory.errors import SeedsError, unknown
from seeds_theory.extras import optional_imports

with optional_imports():
    from rich.markup import escape
    from rich.table import Table

PUBLISHED_FILE = Path(__file__).parents[1] / "published.toml"

IMAGES = 50000
"""Of a published score."""

_NEAR = 1.5  # calls whose ratio is larger are not compared
_KEYS = {"data": str, "checkpoint": str, "method": str, "source": str, "nfe": list, "fid": list}
_NEEDED = ("data", "method", "source", "fid")


class PublishedError(SeedsError):
    """A file of published scores that cannot be read, or data that none are known of."""


@dataclass(frozen=True)
class Figure:
    """What a source says of one method: FID at numbers of network calls.

    scores : (network calls, FID); the calls None where the source does not state them. checkpoint : the
    network, None where it is not named. recalled : quoted from memory or from other people's quotations.
    """

    data: str
    method: str
    scores: tuple[tuple[int | None, float], ...]
    source: str
    what: str
    recalled: bool
    checkpoint: str | None = None

    def nearest(self, nfe: int) -> tuple[int | None, float] | None:
        """The score whose calls are nearest in ratio, if within a factor 3/2; or one without calls."""
        unstated = [score for score in self.scores if score[0] is None]
        stated = [(abs(math.log(calls / nfe)), calls, fid) for calls, fid in self.scores if calls]
        if not stated:
            return unstated[0]
        distance, calls, fid = min(stated)
        return (calls, fid) if distance <= math.log(_NEAR) * (1 + 1e-12) else None


@dataclass(frozen=True)
class Line:
    """A line of the comparison: our score at a number of calls, or a published one near it."""

    nfe: int | None
    method: str
    score: float
    error: float | None
    source: str
    recalled: bool = False
    checkpoint: str | None = None


@cache
def published(path: Path = PUBLISHED_FILE) -> tuple[Figure, ...]:
    """The figures in a file of the form of ``published.toml``.

    Raises
    ------
    PublishedError : no such file, no TOML, or a key, a source or a number that is none; names the figure.
    """
    try:
        record = read_toml(path)
    except PlanError as error:
        raise PublishedError(str(error).replace("the plan ", "", 1)) from None
    sources, figures = record.get("sources"), record.get("figures")
    if not isinstance(sources, dict) or not isinstance(figures, list):
        raise PublishedError(f"{printable(path)} has tables of sources and a list of figures")
    return tuple(
        _figure(entry, sources, f"{printable(path)}: figure {number}")
        for number, entry in enumerate(figures, 1)
    )


def _figure(entry: Any, sources: dict[str, Any], what: str) -> Figure:
    if not isinstance(entry, dict):
        raise PublishedError(f"{what} is a table; got {shown(entry)}")
    for key, value in entry.items():
        kind = _KEYS.get(key)
        if kind is None:
            raise PublishedError(
                f"{what} has the unknown key {shown(key)}; known: {', '.join(_KEYS)}"
            )
        if not isinstance(value, kind) or (kind is str and not _is_line(value)):
            raise PublishedError(f"{what}: {key} is a {'line of text' if kind is str else 'list'}")
    if lost := [key for key in _NEEDED if key not in entry]:
        raise PublishedError(f"{what} has no {lost[0]}")
    source = sources.get(entry["source"])
    if (
        not isinstance(source, dict)
        or not _is_line(source.get("what"))
        or not isinstance(source.get("recalled"), bool)
    ):
        raise PublishedError(
            f"{what}: its source {shown(entry['source'])} is no table with what and recalled"
        )
    fids = entry["fid"]
    calls = entry.get("nfe", [None] * len(fids))
    if not fids or len(calls) != len(fids) or ("nfe" not in entry and len(fids) > 1):
        raise PublishedError(f"{what}: nfe and fid are as many, or fid is one")
    for value in fids:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise PublishedError(f"{what}: an FID lies between 0 and a million; got {shown(value)}")
    for value in entry.get("nfe", ()):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**6:
            raise PublishedError(f"{what}: network calls are whole numbers; got {shown(value)}")
    return Figure(
        entry["data"],
        entry["method"],
        tuple(zip(calls, map(float, fids), strict=True)),
        entry["source"],
        source["what"],
        source["recalled"],
        entry.get("checkpoint"),
    )


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable() and len(value) <= 200


_OF_EDM2 = {"edm2-img64": "imagenet-64x64-cond"}


def data_of(results: Results) -> str:
    """What images a network makes by the name of its file, as ``edm-cifar10-32x32-cond-vp``.

    Raises PublishedError for a network whose name is no preset's.
    """
    network = str(results.header["files"]["network"])
    stem = Path(network).name.removesuffix(".pkl")
    parts = stem.split("-")
    if parts[0] in ("edm", "baseline"):
        name = "-".join(parts[1:-1])
    else:
        name = _OF_EDM2.get("-".join(parts[:2]), stem.removesuffix("-vp"))
    if name not in known_data():
        raise PublishedError(
            f"no scores are published of the images of {shown(network)}: name the data that they are of "
            f"with --data, one of {', '.join(known_data())}"
        )
    return name


def known_data() -> tuple[str, ...]:
    """The data sets that figures are known of."""
    return tuple(dict.fromkeys(figure.data for figure in published()))


def beside(results: Results, data: str | None = None) -> list[Line]:
    """Our scores by network calls, after each number the published ones at the nearest number of calls.

    data : of the figures; by default told by the name of the network. Raises UnknownNameError or
    PublishedError for data of which there are none.
    """
    if data is not None and data not in known_data():
        raise unknown("data set", data, known_data())
    return list(_lines(results, data or data_of(results)))


def _lines(results: Results, data: str) -> Iterator[Line]:
    own = sorted(points(results), key=lambda point: (point.nfe, point.least))
    figures = [figure for figure in published() if figure.data == data]
    for nfe in dict.fromkeys(point.nfe for point in own):
        for point in own:
            if point.nfe == nfe:
                distance = point.estimates.get(DATA)
                error = distance.error if distance else None
                yield Line(nfe, point.label, point.least, error, "ours")
        found = [
            Line(calls, figure.method, fid, None, figure.source, figure.recalled, figure.checkpoint)
            for figure in figures
            if (score := figure.nearest(nfe))
            for calls, fid in [score]
        ]
        yield from sorted(found, key=lambda line: line.score)


def remarks(results: Results) -> list[str]:
    """Why our scores and the published ones cannot be compared as they are."""
    found = []
    if not results.header["distance"].startswith("FID ("):
        found.append(
            f"not comparable: ours are {printable(results.header['distance'])}, published are FIDs, in the "
            "features of Inception"
        )
    if few := sorted({row.images for row in results.rows if row.images != IMAGES}):
        found.append(
            f"published are of {IMAGES} images, ours of {', '.join(map(str, few))}: fewer images score more"
        )
    return found


def comparison(lines: list[Line]) -> Table:
    """The lines as a table, with the sources below."""
    what = {figure.source: figure.what for figure in published()}
    named = list(dict.fromkeys(line.source for line in lines if line.source != "ours"))
    drawn = Table(caption="* quoted from memory")
    for heading in ("NFE", "method", "distance", "source", "checkpoint"):
        drawn.add_column(heading, justify="right" if heading in ("NFE", "distance") else "left")
    before: int | None = 0
    for line in lines:
        if line.source == "ours" and line.nfe != before:
            if before:
                drawn.add_section()
            before = line.nfe
        error = "" if line.error is None else f" ± {line.error:.2g}"
        drawn.add_row(
            "not stated" if line.nfe is None else str(line.nfe),
            escape(printable(line.method)),
            f"{line.score:.4g}{'*' if line.recalled else ''}{error}",
            line.source,
            line.checkpoint or "",
            style="bold" if line.source == "ours" else None,
        )
    drawn.caption = "\n".join(
        ["* quoted from memory", *(f"{name}: {escape(what[name])}" for name in named)]
    )
    return drawn
