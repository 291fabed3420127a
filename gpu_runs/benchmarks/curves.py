"""The curves in the results of a benchmark: distance against network calls, as points, table and plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.markup import escape
from rich.table import Table

from gpu_runs.benchmarks.results import Results
from gpu_runs.errors import printable
from gpu_runs.files.whole import whole_file
from seeds_theory.command import write_json
from seeds_theory.errors import UnknownNameError
from seeds_theory.extras import optional_imports
from toy_models.plots import style

with optional_imports():
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

_CURVES = 7  # that the plot style can tell apart, in a panel


@dataclass(frozen=True)
class Point:
    """A curve at one number of steps, over its seed blocks.

    frechet, spread : mean, and standard deviation over blocks; None for one block. least : the best block.
    floor, images_per_second : means; the floor None where it is not known.
    """

    label: str
    steps: int
    nfe: int
    blocks: int
    frechet: float
    spread: float | None
    least: float
    floor: float | None
    images_per_second: float


def points(results: Results, labels: Sequence[str] | None = None) -> list[Point]:
    """What there is so far, curve by curve in the order of the plan, or of `labels`, and by NFE.

    Raises
    ------
    UnknownNameError : a label that no curve of the plan has.
    """
    known = [curve["label"] for curve in results.header["curves"]]
    for label in labels or ():
        if label not in known:
            raise UnknownNameError(f"no curve {label!r}; known: {'; '.join(known)}")
    found = []
    for label in labels or known:
        done = [row for row in results.rows if row.label == label and not row.error]
        for nfe, steps in sorted({(row.nfe, row.steps) for row in done}):
            rows = [row for row in done if row.steps == steps]
            scores = [row.frechet for row in rows if row.frechet is not None]
            floors = [row.floor for row in rows if row.floor is not None]
            speeds = [row.images_per_second for row in rows if row.images_per_second is not None]
            found.append(
                Point(
                    label,
                    steps,
                    nfe,
                    blocks=len(rows),
                    frechet=float(np.mean(scores)),
                    spread=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
                    least=min(scores),
                    floor=float(np.mean(floors)) if floors else None,
                    images_per_second=float(np.mean(speeds)),
                )
            )
    return found


def _floor(shown: Sequence[Point]) -> float | None:
    """The mean of the floors that are known."""
    floors = [point.floor for point in shown if point.floor is not None]
    return float(np.mean(floors)) if floors else None


def table(results: Results, labels: Sequence[str] | None = None) -> Table:
    """The points as a table, and beside them what was published. Errors as of `points`."""
    published = {curve["label"]: curve for curve in results.header["curves"] if curve["published"]}
    shown = points(results, labels)
    images = "".join(f"{count} images to a block" for count in {row.images for row in results.rows})
    floor = _floor(shown)
    real = "" if floor is None else f"; as many real ones score about {floor:.2g}"
    drawn = Table(title=escape(printable(results.header["distance"])), caption=images + real)
    for heading in ("method", "steps", "NFE", "distance", "blocks"):
        drawn.add_column(heading, justify="left" if heading == "method" else "right")
    if published:
        drawn.add_column("best block", justify="right")
        drawn.add_column("published", justify="right")
    drawn.add_column("images/s", justify="right")
    for point in shown:
        spread = "" if point.spread is None else f" ± {point.spread:.2g}"
        values = [f"{point.frechet:.4g}{spread}", str(point.blocks)]
        if published:
            curve = published.get(point.label)
            recalled = " (recalled)" if curve and curve["recalled"] else ""
            values += [f"{point.least:.4g}", f"{curve['published']:g}{recalled}" if curve else ""]
        values.append(f"{point.images_per_second:.3g}")
        drawn.add_row(escape(printable(point.label)), str(point.steps), str(point.nfe), *values)
    return drawn


def figure(results: Results, labels: Sequence[str] | None = None) -> Figure:
    """Distance against network calls, log-log: a curve for each label, bars over its seed blocks.

    At most seven curves share a panel. The dashed line is the distance that as many real images would
    have, if features were Gaussian. Errors as of `points`.
    """
    shown = points(results, labels)
    names = list(dict.fromkeys(point.label for point in shown))
    panels = np.array_split(names, max(1, -(-len(names) // _CURVES)))
    floor = _floor(shown)
    with style():
        drawn = Figure(figsize=(1.5 + 5.0 * len(panels), 4.6 + 0.26 * len(panels[0])))
        for axes, panel in zip(
            drawn.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0],
            panels,
            strict=True,
        ):
            for name in panel:
                own = [point for point in shown if point.label == name]
                axes.errorbar(
                    [point.nfe for point in own],
                    [point.frechet for point in own],
                    yerr=[point.spread or 0.0 for point in own],
                    label=name,
                    capsize=3,
                )
            axes.set(xscale="log", yscale="log", xlabel="network calls per image (NFE)")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.set_minor_locator(NullLocator())
            if floor is not None:
                axes.axhline(
                    floor, color="#777777", linestyle=(0, (2, 2)), linewidth=1.2,
                    marker="", zorder=1, label="as many real images",
                )  # fmt: skip
            if axes.has_data():  # below the axes, where it covers no curve
                axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16))
        drawn.axes[0].set_ylabel(results.header["distance"].replace(" (", "\n("))
    return drawn


def write_report(results: Results) -> None:
    """Write results.json, plot.png and plot.svg beside the rows. Raises OutputError."""
    with whole_file(results.folder / "results.json") as part:
        write_json(results.to_json(), str(part))
    drawn = figure(results)
    # Without a date the same results give the same file.
    for kind, metadata in (("png", {}), ("svg", {"Date": None})):
        with whole_file(results.folder / f"plot.{kind}") as part:
            drawn.savefig(part, format=kind, metadata=metadata)
