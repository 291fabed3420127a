"""Scores as others published them, beside ours: FID against network calls, with their sources."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gpu_runs.benchmarks.curves import DATA, points, with_error
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

    @property
    def calls(self) -> list[int]:
        """The numbers of network calls that it is at, ascending; none if the source states none."""
        return sorted(calls for calls, _ in self.scores if calls)

    def nearest(self, nfe: int) -> tuple[int, float] | None:
        """The score whose calls are nearest in ratio, if within a factor 3/2."""
        stated = [(abs(math.log(calls / nfe)), calls, fid) for calls, fid in self.scores if calls]
        if not stated:
            return None
        distance, calls, fid = min(stated)
        return (calls, fid) if distance <= math.log(_NEAR) * (1 + 1e-12) else None


@dataclass(frozen=True)
class Line:
    """A line of the comparison: our score at a number of calls, or a published one near it.

    score : as published; of ours the distance of the best block as measured, with the bias of the number of
    images. estimate : of ours, over all blocks and without that bias, and error : its standard error.
    """

    nfe: int | None
    method: str
    score: float
    source: str
    estimate: float | None = None
    error: float | None = None
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


def ours(results: Results) -> list[Line]:
    """Our scores by network calls, the best block's least first."""
    found = []
    for point in sorted(points(results), key=lambda point: (point.nfe, point.least)):
        distance = point.estimates.get(DATA)
        shown_with = (distance.value, distance.error) if distance else (None, None)
        found.append(Line(point.nfe, point.label, point.least, "ours", *shown_with))
    return found


def beside(results: Results, data: str | None = None) -> list[Line]:
    """Our scores by network calls, after each number the published ones at the nearest number of calls.

    Those whose source states no calls are at the end. data : of the figures; by default told by the name of
    the network. Raises UnknownNameError or PublishedError for data of which there are none.
    """
    return list(_lines(ours(results), _figures(results, data)))


def left_out(results: Results, data: str | None = None) -> list[str]:
    """A remark that names the figures without calls near ours; errors as of `beside`."""
    calls = {line.nfe for line in ours(results)}
    far = [
        figure
        for figure in _figures(results, data)
        if figure.calls and not any(figure.nearest(nfe) for nfe in calls if nfe)
    ]
    if not far:
        return []
    named = "; ".join(
        f"{figure.method} ({_range(figure.calls)} calls, {figure.source})" for figure in far
    )
    return [f"left out, as none of our NFE is within a factor {_NEAR:g} of theirs: {named}"]


def _range(calls: list[int]) -> str:
    return str(calls[0]) if len(calls) == 1 else f"{calls[0]} to {calls[-1]}"


def _figures(results: Results, data: str | None) -> list[Figure]:
    if data is not None and data not in known_data():
        raise unknown("data set", data, known_data())
    data = data or data_of(results)
    return [figure for figure in published() if figure.data == data]


def _lines(own: list[Line], figures: list[Figure]) -> Iterator[Line]:
    for nfe in dict.fromkeys(line.nfe for line in own):
        yield from (line for line in own if line.nfe == nfe)
        found = [
            _line(figure, *score) for figure in figures if nfe and (score := figure.nearest(nfe))
        ]
        yield from sorted(found, key=lambda line: line.score)
    unstated = [_line(figure, *figure.scores[0]) for figure in figures if not figure.calls]
    yield from sorted(unstated, key=lambda line: line.score)


def _line(figure: Figure, calls: int | None, fid: float) -> Line:
    return Line(
        calls,
        figure.method,
        fid,
        figure.source,
        recalled=figure.recalled,
        checkpoint=figure.checkpoint,
    )


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
    """The lines as a table, with what its columns are and the sources below."""
    what = {figure.source: figure.what for figure in published()}
    named = list(dict.fromkeys(line.source for line in lines if line.source != "ours"))
    notes = [
        "best block: as measured, of ours the least of the blocks; published as in the source",
        "without bias: ours, of all blocks, less the first term of the bias of the number of images, ± "
        "its standard error",
    ]
    if any(line.recalled for line in lines):
        notes.append("* quoted from memory")
    drawn = Table(caption="\n".join([*notes, *(f"{name}: {escape(what[name])}" for name in named)]))
    right = ("NFE", "best block", "without bias")
    for heading in ("NFE", "method", "best block", "without bias", "source", "checkpoint"):
        drawn.add_column(heading, justify="right" if heading in right else "left")
    before: int | None = 0
    for line in lines:
        if line.nfe != before and (line.source == "ours" or line.nfe is None):
            if before:
                drawn.add_section()
            before = line.nfe
        drawn.add_row(
            "not stated" if line.nfe is None else str(line.nfe),
            escape(printable(line.method)),
            f"{line.score:.4g}{'*' if line.recalled else ''}",
            "" if line.estimate is None else with_error(line.estimate, line.error or 0.0),
            line.source,
            line.checkpoint or "",
            style="bold" if line.source == "ours" else None,
        )
    return drawn
