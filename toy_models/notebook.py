"""What the pages of the book display: tables, equations, source code, and figures in one style.

It needs IPython, which the extra `book` brings; nothing but the book's pages imports it.
"""

from __future__ import annotations

import base64
import html
import inspect
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence

import matplotlib as mpl
from IPython.display import HTML, Markdown, Math
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats

from seeds_theory.errors import ParameterError
from toy_models.plots import STYLE

_RULES = {"l": ":--", "c": ":-:", "r": "--:"}


def set_up_page() -> None:
    """From here on a page's figures are SVG, in the project's style (`toy_models.plots.STYLE`)."""
    set_matplotlib_formats("svg")
    mpl.rcParams.update(STYLE)


def markdown_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], align: str | None = None
) -> Markdown:
    """A table of Markdown cells; what is no text is shown as str() has it.

    Parameters
    ----------
    align : a letter for each column, l, c or r. Default: as the page's stylesheet has it.

    Raises
    ------
    ParameterError : a row, or align, has not as many columns as the headings, or another letter.
    """
    if align is None:
        rule = ["---"] * len(headings)
    elif len(align) == len(headings) and set(align) <= set(_RULES):
        rule = [_RULES[letter] for letter in align]
    else:
        raise ParameterError(
            f"{len(headings)} columns are aligned by as many of l, c, r; got {align!r}"
        )
    lines = [headings, rule, *rows]
    for line in lines:
        if len(line) != len(headings):
            raise ParameterError(f"a row has {len(headings)} cells, as the headings; got {line!r}")
    return Markdown("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))


def aligned(equations: Iterable[tuple[str, str]], gap: str = "4pt") -> Math:
    """Equations ``left = right`` in LaTeX under each other, that much apart; an empty left continues one."""
    lines = (rf"{left} &{'=' if left else ''} {right}" for left, right in equations)
    return Math(r"\begin{aligned}" + rf"\\[{gap}] ".join(lines) + r"\end{aligned}")


def power_of_ten(value: float, digits: int) -> str:
    """A number as LaTeX in dollar signs: so many digits after the point, times a power of ten."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return rf"${mantissa} \cdot 10^{{{int(exponent)}}}$"


def source(function: Callable[..., object]) -> Markdown:
    """The source code of a function, highlighted."""
    return Markdown(f"```python\n{inspect.getsource(function)}```")


def moving_figure(name: str, still: Figure, alt: str, data: object = None) -> HTML:
    """A place that the page's script takes over, by that name; without scripts its still picture.

    data : what the script reads, in types of JSON.
    """
    picture = io.BytesIO()
    still.savefig(picture, format="svg", metadata={"Date": None})
    plt.close(still)
    text = base64.b64encode(picture.getvalue()).decode()
    shown = f'<img src="data:image/svg+xml;base64,{text}" alt="{html.escape(alt)}">'
    read = "" if data is None else f' data-table="{html.escape(json.dumps(data))}"'
    return HTML(f'<div class="play" data-play="{html.escape(name)}"{read}>{shown}</div>')


def page_script(*modules: str) -> HTML:
    """JavaScript modules, each before those that import from it, as one script of the page.

    A page that is opened from a disk may not import files, so that imports between them are left out.
    """
    imports = re.compile(r'^import \{[^}]*\} from "\./[^"]+";\n', re.MULTILINE)
    return HTML(f'<script type="module">\n{"".join(imports.sub("", m) for m in modules)}</script>')
