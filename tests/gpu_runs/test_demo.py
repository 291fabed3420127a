"""The first picture is drawn at a small size, of what it says."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from gpu_runs import demo
from seeds_theory.solver import Solver

COMMITTED = Path(__file__).parents[2] / "book" / "_static" / "garments.png"


def test_a_run_has_as_many_calls_as_fit():
    for name in demo.SAMPLERS:
        for most in (4, *demo.CALLS):
            solver = Solver(name)
            made = solver.nfe(demo.levels(solver, most))
            assert most - 2 <= made <= most


@pytest.mark.slow
def test_the_picture_has_a_column_for_each_count_of_calls(tmp_path):
    columns = demo.garments((4, 8), fine=6)
    assert list(columns) == ["4 calls", "8 calls", "the image itself"]
    rows = len(demo.SAMPLERS) * len(demo.GARMENTS)
    assert {tuple(images.shape) for images in columns.values()} == {(rows, 1, 32, 32)}
    assert all(images.isfinite().all() for images in columns.values())
    last = columns["the image itself"].split(len(demo.GARMENTS))
    assert all(torch.equal(images, last[0]) for images in last)
    figure = demo.figure(columns, demo.errors((2, 4, 8)))
    figure.savefig(tmp_path / "small.png")
    assert [axes.get_title() for axes in figure.axes[:3]] == list(columns)
    legends = [text.get_text() for axes in figure.axes[3:] for text in axes.get_legend().texts]
    assert len(legends) == 2 * len(demo.SAMPLERS)


def test_the_committed_picture_has_the_size_of_the_one_that_the_command_draws():
    with Image.open(COMMITTED) as picture:
        assert picture.size == (1000, 620)
    assert COMMITTED.stat().st_size < 300_000
