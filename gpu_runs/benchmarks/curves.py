"""The curves in the results of a benchmark: distances against network calls, as points, table and plot.

Two distances are kept apart. That to the data holds the error of the network, the same for all samplers.
That to the law which the network itself defines, by a fine solution of the same SDE or ODE, is the solver's
error alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.markup import escape
from rich.table import Table

from gpu_runs.benchmarks.estimates import BEYOND, Estimate, leaders
from gpu_runs.benchmarks.results import LawRow, Results, Row
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

DATA, LAW, KERNEL, SQUARE = "data", "law", "kernel", "square"
"""What can be estimated: Frechet distance to the data and to the network's own law, kernel distance to that
law, mean square per pixel of the difference of coupled images."""


@dataclass(frozen=True)
class Point:
    """A curve at one number of steps, over its blocks of seeds.

    estimates : by the names `DATA`, `LAW`, `KERNEL` and `SQUARE`, those that there are; the bias of the
    number of images is removed in them. least : the distance to the data of the best block, as measured and
    as scores are published. fine : the label of the fine solution whose law it is compared with.
    floor, images_per_second : means; the floor None where it is not known.
    """

    label: str
    steps: int
    nfe: int
    blocks: int
    estimates: Mapping[str, Estimate]
    fine: str | None
    least: float
    floor: float | None
    images_per_second: float

    @property
    def rms(self) -> tuple[float, float] | None:
        """Root mean square per pixel, in [-1, 1], to the coupled fine solution, and its standard error."""
        if SQUARE not in self.estimates:
            return None
        square = self.estimates[SQUARE]
        root = math.sqrt(max(square.value, 0.0))
        return root, square.error / (2 * root) if root else 0.0


def points(results: Results, labels: Sequence[str] | None = None) -> list[Point]:
    """What there is so far, curve by curve in the order of the plan, or of `labels`, and by NFE.

    Raises
    ------
    UnknownNameError : a label that no curve of the plan has.
    """
    fine = {curve["label"]: curve["fine"] for curve in results.header["curves"]}
    known = list(fine)
    for label in labels or ():
        if label not in known:
            raise UnknownNameError(f"no curve {label!r}; known: {'; '.join(known)}")
    found = []
    for label in labels or known:
        done = [row for row in results.rows if row.label == label and not row.error]
        for nfe, steps in sorted({(row.nfe, row.steps) for row in done}):
            rows = [row for row in done if row.steps == steps]
            laws = [law for law in results.laws if (law.label, law.steps) == (label, steps)]
            floors = [row.floor for row in rows if row.floor is not None]
            speeds = [row.images_per_second for row in rows if row.images_per_second is not None]
            found.append(
                Point(
                    label,
                    steps,
                    nfe,
                    blocks=len(rows),
                    estimates=_estimates(rows, laws),
                    fine=fine[label],
                    least=min(row.frechet for row in rows if row.frechet is not None),
                    floor=float(np.mean(floors)) if floors else None,
                    images_per_second=float(np.mean(speeds)),
                )
            )
    return found


def _estimates(rows: Sequence[Row], laws: Sequence[LawRow]) -> dict[str, Estimate]:
    values = {
        DATA: {row.block: row.frechet_values for row in rows},
        LAW: {law.block: law.frechet_values for law in laws},
        KERNEL: {law.block: law.kernel_values for law in laws},
        SQUARE: {law.block: law.square_values for law in laws},
    }
    there = {name: {b: v for b, v in blocks.items() if v} for name, blocks in values.items()}
    return {name: Estimate(blocks) for name, blocks in there.items() if blocks}


def at_budget(found: Sequence[Point], budget: int, budgets: Sequence[int]) -> list[Point]:
    """Of each curve the point with the most calls that are no more than the budget.

    Points within a smaller one of the budgets are left out: they are compared there, and what a curve has
    not been run with is not held against it.
    """
    least = max((other for other in budgets if other < budget), default=0)
    best: dict[str, Point] = {}
    for point in found:
        if least < point.nfe <= budget:
            best[point.label] = max(best.get(point.label, point), point, key=lambda p: p.nfe)
    return list(best.values())


def leading(found: Sequence[Point], name: str) -> set[str]:
    """The labels of the points that lead in one of the estimates: the best and all not told apart from it.

    Distances to the data are compared with each other, those to a law only with others to the same law.
    """
    groups: dict[str | None, dict[str, Estimate]] = {}
    for point in found:
        if name in point.estimates:
            group = groups.setdefault(None if name == DATA else point.fine, {})
            group[point.label] = point.estimates[name]
    return set().union(*map(leaders, groups.values()))


def _floor(shown: Sequence[Point]) -> float | None:
    """The mean of the floors that are known."""
    floors = [point.floor for point in shown if point.floor is not None]
    return float(np.mean(floors)) if floors else None


def budgets_of(results: Results) -> list[int]:
    """The numbers of network calls that the plan compares at; without any, those that there are."""
    return results.header["budgets"] or sorted({row.nfe for row in results.rows if not row.error})


def table(results: Results, labels: Sequence[str] | None = None) -> Table:
    """The points as a table, and beside them what was published. Errors as of `points`.

    A star is at the best of those with as many calls, and at all that are not told apart from it.
    """
    published = {curve["label"]: curve for curve in results.header["curves"] if curve["published"]}
    shown = points(results, labels)
    images = "".join(f"{count} images to a block" for count in {row.images for row in results.rows})
    floor = _floor(shown)
    lines = [
        images
        + ("" if floor is None else f"; as many real ones would score about {floor:.2g} by chance"),
        "± standard error; distances are less the first term of the bias of the number of images",
        f"* the best at these calls, and what is less than {BEYOND:g} standard errors behind it",
    ]
    budgets = budgets_of(results)
    rivals = [at_budget(shown, budget, budgets) for budget in budgets]
    stars = {
        (name, point.label, point.steps)
        for points_there in rivals
        for name in (DATA, LAW)
        for point in points_there
        if point.label in leading(points_there, name)
    }
    compared = any(LAW in point.estimates for point in shown)
    drawn = Table(title=escape(printable(results.header["distance"])), caption="\n".join(lines))
    headings = ["method", "steps", "NFE", "to the data"]
    headings += ["to its law", "kernel", "rms"] if compared else []
    headings += ["blocks", *(("best block", "published") if published else ()), "images/s"]
    for heading in headings:
        drawn.add_column(heading, justify="left" if heading == "method" else "right")
    for point in shown:

        def text(name: str, point: Point = point) -> str:
            if name not in point.estimates:
                return ""
            star = " *" if (name, point.label, point.steps) in stars else ""
            return with_error(point.estimates[name].value, point.estimates[name].error) + star

        values = [text(DATA)]
        if compared:
            values += [text(LAW), text(KERNEL), with_error(*point.rms) if point.rms else ""]
        values.append(str(point.blocks))
        if published:
            curve = published.get(point.label)
            recalled = " (recalled)" if curve and curve["recalled"] else ""
            values += [f"{point.least:.4g}", f"{curve['published']:g}{recalled}" if curve else ""]
        values.append(f"{point.images_per_second:.3g}")
        drawn.add_row(escape(printable(point.label)), str(point.steps), str(point.nfe), *values)
    return drawn


def with_error(value: float, error: float) -> str:
    """A number and its standard error, to two digits of the error."""
    if not 0 < error < math.inf:
        return f"{value:.4g}"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}"


_AXES = {
    DATA: "to the data",
    LAW: "to the law that the network defines",
}


def figure(results: Results, labels: Sequence[str] | None = None) -> Figure:
    """Distances against network calls, log-log: a curve for each label, bars of one standard error.

    Above to the data, below to the network's own law, where that is known. At most seven curves share a
    panel. The dashed line is what as many real images would score by chance, if features were Gaussian; the
    estimates are free of that, so they may lie below. Errors as of `points`.
    """
    shown = points(results, labels)
    names = list(dict.fromkeys(point.label for point in shown))
    panels = np.array_split(names, max(1, -(-len(names) // _CURVES)))
    kinds = [DATA, *([LAW] if any(LAW in point.estimates for point in shown) else [])]
    with style():
        drawn = Figure(
            figsize=(1.5 + 5.0 * len(panels), 4.2 * len(kinds) + 0.4 + 0.26 * len(panels[0]))
        )
        grid = drawn.subplots(len(kinds), len(panels), sharex=True, sharey="row", squeeze=False)
        for row, kind in enumerate(kinds):
            for axes, panel in zip(grid[row], panels, strict=True):
                for name in panel:
                    own = [p for p in shown if p.label == name and kind in p.estimates]
                    own = [point for point in own if point.estimates[kind].value > 0]
                    if not own:
                        continue
                    axes.errorbar(
                        [point.nfe for point in own],
                        [point.estimates[kind].value for point in own],
                        yerr=[point.estimates[kind].error for point in own],
                        label=name,
                        capsize=3,
                    )
                axes.set(xscale="log", yscale="log")
                for axis in (axes.xaxis, axes.yaxis):
                    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                    axis.set_minor_locator(NullLocator())
                floor = _floor(shown)
                if kind == DATA and floor is not None:
                    axes.axhline(
                        floor, color="#777777", linestyle=(0, (2, 2)), linewidth=1.2,
                        marker="", zorder=1, label="as many real images, by chance",
                    )  # fmt: skip
            grid[row][0].set_ylabel(f"{results.header['distance']}\n{_AXES[kind]}")
        for axes in grid[-1]:
            axes.set_xlabel("network calls per image (NFE)")
            if axes.has_data():  # below the axes, where it covers no curve
                axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16))
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
