"""The project's plot style, picture grids and convergence plots: legible in grey and at half size.

Curves differ three times over: in luminance, in marker and in line style.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports

with optional_imports():
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

# Colour, marker, line, marker's inside. CIE lightness 5, 48, 70, 34, 59, 21, 75: neighbours in the
# cycle lie far apart. Light colours have white markers, seen where they overlap dark ones.
_CURVES = (
    ("#111111", "o", "-", "#111111"),
    ("#c8472f", "s", "--", "#c8472f"),
    ("#56b4e9", "^", "-", "white"),
    ("#1b4f9c", "D", "-.", "#1b4f9c"),
    ("#35a06c", "v", (0, (6, 1.5)), "white"),
    ("#46127a", "X", ":", "#46127a"),
    ("#e0b400", "P", (0, (3, 1.2, 1, 1.2, 1, 1.2)), "white"),
)

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 13,
    "axes.prop_cycle": cycler(
        color=[color for color, _, _, _ in _CURVES],
        marker=[marker for _, marker, _, _ in _CURVES],
        linestyle=[line for _, _, line, _ in _CURVES],
        markerfacecolor=[face for _, _, _, face in _CURVES],
    ),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 13,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "figure.figsize": (7.0, 4.6),
    "font.size": 12,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "legend.handlelength": 3.4,
    "lines.linewidth": 1.9,
    "lines.markeredgewidth": 1.4,
    "lines.markersize": 7.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "seeds-theory",
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
}
"""The style as rcParams, for ``matplotlib.rcParams.update(STYLE)`` on a whole page."""


@contextmanager
def style() -> Iterator[None]:
    """Figures made inside look as `STYLE` says."""
    with mpl.rc_context(STYLE):
        yield


def image_grid(
    images: Any,
    rows: int,
    columns: int,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
) -> Figure:
    """Pictures as a figure of their own; arguments and errors as of `draw_images`."""
    margin = (
        0.1 * max((len(label) for label in row_labels), default=0) + 0.15 if row_labels else 0,
        0.3 if column_labels else 0,
    )
    with style():
        figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02))
        height, width = draw_images(
            figure.subplots(), images, rows, columns, row_labels, column_labels
        )
        inches = 0.75 / np.shape(images)[-1]  # a pixel
        figure.set_size_inches(width * inches + margin[0], height * inches + margin[1])
        figure.draw_without_rendering()
    return figure


def draw_images(
    axes: Axes,
    images: Any,
    rows: int,
    columns: int,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
) -> tuple[int, int]:
    """Draw pictures (rows * columns, height, width), grey values in [0, 1], row by row.

    Returns
    -------
    The height and the width of all of them with the gaps between them, in their pixels.

    Raises
    ------
    ParameterError : a count of pictures or of labels that does not fit, or values outside [0, 1].
    """
    pictures = np.asarray(images, dtype=np.float64)
    if pictures.ndim != 3 or len(pictures) != rows * columns or pictures.size == 0:
        raise ParameterError(
            f"{rows} x {columns} pictures are an array ({rows * columns}, height, width); "
            f"got {pictures.shape}"
        )
    if not ((pictures >= 0) & (pictures <= 1)).all():
        raise ParameterError("grey values lie in [0, 1]: clip them, or use images.as_images")
    for labels, count in ((row_labels, rows), (column_labels, columns)):
        if labels is not None and len(labels) != count:
            raise ParameterError(f"one label for each of {count} rows or columns; got {labels}")
    # One mosaic with white gaps, in one axes: exact pixels, and one picture in an SVG file.
    height, width = pictures.shape[1:]
    gap = max(1, round(0.06 * width))
    mosaic = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap))
    for index, picture in enumerate(pictures):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        mosaic[top : top + height, left : left + width] = picture
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=1, interpolation="none")
    axes.set_frame_on(False)
    axes.grid(False)
    axes.tick_params(length=0, pad=4, labeltop=True, labelbottom=False)
    across = np.arange(columns) * (width + gap) + (width - 1) / 2
    down = np.arange(rows) * (height + gap) + (height - 1) / 2
    axes.set_xticks(across if column_labels else [], column_labels)
    axes.set_yticks(down if row_labels else [], row_labels)
    return mosaic.shape[0], mosaic.shape[1]


@dataclass(frozen=True)
class ErrorCurve:
    """Errors of one method over its model calls; spread is their standard error, if they have one."""

    label: str
    calls: Sequence[float]
    errors: Sequence[float]
    spread: Sequence[float] | None = None


def error_panels(panels: Mapping[str, Sequence[ErrorCurve]]) -> Figure:
    """Errors against model calls, log-log, a panel for each kind of error, orders in the legends."""
    longest = max((len(curves) for curves in panels.values()), default=0)
    with style():
        figure = Figure(figsize=(10, 4.2 + 0.26 * longest))
        for axes, (kind, curves) in zip(
            figure.subplots(1, len(panels)), panels.items(), strict=True
        ):
            for curve in curves:
                axes.errorbar(curve.calls, curve.errors, yerr=curve.spread, label=curve.label)
            axes.set(xscale="log", yscale="log", xlabel="model calls", ylabel=kind)
            axes.xaxis.set_minor_formatter(NullFormatter())  # half a decade has room for few labels
            if axes.has_data():  # below the axes, where it covers no curve
                axes.legend(
                    title="fitted order",
                    loc="upper left",
                    bbox_to_anchor=(0, -0.16),
                    fontsize="small",
                )
    return figure


def loglog_with_slopes(
    ax: Axes,
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    slopes: Sequence[int],
    xlabel: str,
    ylabel: str,
) -> None:
    """Draw curves over x on log-log axes, with thin guides of the given slopes.

    A guide of slope q is a multiple of x^q, labelled "order |q|": q is negative for errors over a
    number of steps, positive over a step size. It runs along the half of x where the error is
    smaller, below the lowest of the curves of that slope to the nearest integer, or, if there is
    none, below the curve of the nearest slope. Values that are zero or not finite are left out.

    Raises
    ------
    ParameterError : fewer than two x, an x not positive, no curve, or a curve of another length.
    """
    points = np.asarray(x, dtype=np.float64)
    values = {name: np.asarray(curve, dtype=np.float64) for name, curve in curves.items()}
    if points.ndim != 1 or len(points) < 2 or not (np.isfinite(points) & (points > 0)).all():
        raise ParameterError(f"log axes need two or more positive x; got {points}")
    for name, curve in values.items():
        if curve.shape != points.shape:
            raise ParameterError(f"{name} has {curve.shape} values over {len(points)} points")
        values[name] = np.where(np.isfinite(curve) & (curve > 0), curve, np.nan)
    fitted = {
        name: np.polyfit(np.log(points[kept]), np.log(curve[kept]), 1)[0]
        for name, curve in values.items()
        if (kept := np.isfinite(curve)).sum() >= 2
    }
    if not fitted:
        raise ParameterError("no curve has two positive values to draw on log axes")
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    for name, curve in values.items():
        ax.plot(points, curve, label=name)
    for slope in slopes:
        alike = [name for name, own in fitted.items() if abs(own - slope) < 0.5]
        nearest = alike or [min(fitted, key=lambda name: abs(fitted[name] - slope))]
        _guide(ax, points, [values[name] for name in nearest], slope)
    if len(points) <= 8:
        ax.xaxis.set_major_locator(FixedLocator(points.tolist()))
        ax.xaxis.set_major_formatter(FixedFormatter([f"{point:g}" for point in points]))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(y=0.09)
    ax.legend()


def _guide(ax: Axes, x: np.ndarray, curves: Sequence[np.ndarray], slope: int) -> None:
    lowest = np.fmin.reduce(curves)
    kept = np.isfinite(lowest)
    x, lowest = x[kept], lowest[kept]
    fine = np.argsort(-x if slope > 0 else x)[(len(x) - 1) // 2 :]
    ends = np.array([x[fine].min(), x[fine].max()])
    line = 0.6 * float((lowest[fine] / x[fine] ** slope).min()) * ends**slope
    ax.plot(ends, line, color="#777777", marker="", linestyle="-", linewidth=0.9, zorder=1)
    # Where the error is smallest the curves are farthest apart: beside that end, or, so as to stay
    # clear of the y axis, under it.
    falls = slope < 0
    ax.annotate(
        f"order {abs(slope)}",
        (ends[1], line[1]) if falls else (ends[0], line[0]),
        xytext=(7, 0) if falls else (2, -5),
        textcoords="offset points",
        va="center" if falls else "top",
        color="#555555",
        fontsize=11,
    )
