r"""Trees drawn: the root :math:`\varphi` below, dots for f, squares for noise leaves, triangles for time.

Leaves that pair up are joined by a dashed line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proofs_checks.trees import TIME, Forest, Tree, differential

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LETTERS = {
    r"\varphi": "φ",
    r"\ddot f": "f̈",
    r"\dot f": "ḟ",
    "^{(4)}": "⁽⁴⁾",
    "^{(5)}": "⁽⁵⁾",
    "^{(6)}": "⁽⁶⁾",
}


def plain(forest: Forest) -> str:
    """The elementary differential in plain letters, as φ''(f'(e_a), e_a)."""
    text = differential(forest)
    for latex, letter in _LETTERS.items():
        text = text.replace(latex, letter)
    return text


@dataclass(frozen=True)
class Vertex:
    """A root, node or leaf: the tree above it, its place, and the number of the vertex below it."""

    tree: Tree
    x: float
    y: float
    below: int | None


def layout(forest: Forest) -> list[Vertex]:
    """The vertices of a forest, the root first; leaves have whole numbers as x, levels as y."""
    found: list[Vertex] = []
    width = 0

    def visit(tree: Tree, y: int, below: int | None) -> float:
        nonlocal width
        place = len(found)
        found.append(Vertex(tree, 0.0, y, below))
        if isinstance(tree, tuple) and tree:
            centres = [visit(child, y + 1, place) for child in tree]
            x = (centres[0] + centres[-1]) / 2
        else:
            x = float(width)
            width += 1
        found[place] = Vertex(tree, x, y, below)
        return x

    visit(forest, 0, None)
    return found


def draw(axes: Axes, forest: Forest) -> None:
    """Draw a contracted forest into axes, which lose their frame."""
    vertices = layout(forest)
    for vertex in vertices:
        if vertex.below is not None:
            other = vertices[vertex.below]
            ends = [vertex.x, other.x], [vertex.y, other.y]
            axes.plot(*ends, color="#555555", linestyle="-", marker="", linewidth=1.2, zorder=1)
    pairs: dict[int, list[Vertex]] = {}
    for vertex in vertices[1:]:
        if not isinstance(vertex.tree, tuple) and vertex.tree != TIME:
            pairs.setdefault(vertex.tree, []).append(vertex)
    for one, two in pairs.values():
        middle = (one.x + two.x) / 2, max(one.y, two.y) + 0.45
        xs, ys = [one.x, middle[0], two.x], [one.y, middle[1], two.y]
        axes.plot(xs, ys, color="#c8472f", linestyle="--", marker="", linewidth=1.2, zorder=1)
    for vertex in vertices:
        is_node = isinstance(vertex.tree, tuple)
        marker = "o" if is_node else "^" if vertex.tree == TIME else "s"
        face = "white" if vertex.below is None else "#1b4f9c" if is_node else "#c8472f"
        size = 11 if vertex.below is None else 7
        axes.plot(
            vertex.x,
            vertex.y,
            marker,
            markersize=size,
            markerfacecolor=face,
            markeredgecolor="#222222",
        )
        if vertex.below is None:
            axes.annotate(r"$\varphi$", (vertex.x, vertex.y), (12, -4), textcoords="offset points")
    axes.margins(0.25)
    axes.set_axis_off()
