"""What the book's pages display; it needs IPython, as they do."""

import subprocess
import sys

import pytest

from seeds_theory import ParameterError

pytest.importorskip("IPython")

from toy_models.notebook import aligned, markdown_table, power_of_ten, source


def test_a_table_is_markdown():
    table = markdown_table(["method", "$n$"], [["seeds-1", 8], ("seeds-2", 1.5)])
    assert table.data.splitlines() == [
        "| method | $n$ |",
        "| --- | --- |",
        "| seeds-1 | 8 |",
        "| seeds-2 | 1.5 |",
    ]


def test_columns_are_aligned_by_letters():
    table = markdown_table(["a", "b", "c"], [], align="lrc")
    assert table.data.splitlines()[1] == "| :-- | --: | :-: |"


@pytest.mark.parametrize("align", ["", "l", "lrr", "lx"])
def test_an_alignment_that_does_not_fit_is_refused(align):
    with pytest.raises(ParameterError, match="2 columns are aligned by"):
        markdown_table(["a", "b"], [], align=align)


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ParameterError, match=r"2 cells, as the headings; got \['c'\]"):
        markdown_table(["a", "b"], [["a", "b"], ["c"]])


def test_equations_stand_under_each_other_and_an_empty_left_continues_one():
    assert aligned([("a", "b"), ("", "+ c")]).data == (
        r"\begin{aligned}a &= b\\[4pt]  & + c\end{aligned}"
    )
    assert r"b\\[6pt] c" in aligned([("a", "b"), ("c", "d")], gap="6pt").data


def test_powers_of_ten_are_rounded():
    assert power_of_ten(0.000123456, 2) == r"$1.23 \cdot 10^{-4}$"
    assert power_of_ten(-9.96, 1) == r"$-1.0 \cdot 10^{1}$"


def test_the_source_of_a_function_is_a_python_block():
    text = source(power_of_ten).data
    assert text.startswith("```python\ndef power_of_ten(")
    assert text.endswith("\n```")


PAGE = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(history_length=0)
from matplotlib.figure import Figure

from toy_models.notebook import set_up_page

set_up_page()
figure = Figure()
figure.subplots().set_xlabel("calls")
data, _ = shell.display_formatter.format(figure)
print("kinds:", *data)
print(data["image/svg+xml"])
"""


def test_figures_of_a_page_are_svg_in_the_style_of_the_project(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", PAGE],
        env={"IPYTHONDIR": str(tmp_path), "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "image/svg+xml" in found.stdout and "image/png" not in found.stdout
    assert ">calls</text>" in found.stdout  # the style keeps text as text
