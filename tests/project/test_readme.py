"""The README's blocks run as they stand, in their order, and so does the Python of the page "In Python"."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docutils.nodes import make_id

from seeds_theory.settings import settings
from toy_models.few_steps_study import overall, read_comparisons

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SETS_UP = ("git ", "make ", "source ")


def commands():
    """The lines of the blocks for a shell, but for those that set up or build."""
    lines = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    return [line for line in lines if not line.startswith(SETS_UP)]


def words(text):
    return " ".join(text.split())


def test_it_is_short():
    assert len(README.splitlines()) <= 120


def test_every_kind_of_block_is_known():
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "text"}
    assert len(commands()) == 4


def test_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for kind, block in BLOCKS:
        if kind == "python":
            exec(compile(block, "README.md", "exec"), names)
    assert names["images"].isfinite().all()
    assert (tmp_path / "ten.png").stat().st_size > 1000


@pytest.mark.slow
def test_commands_run_and_print_what_it_says(tmp_path):
    (tmp_path / "book").symlink_to(ROOT / "book")
    folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
    }
    done = [
        subprocess.run(
            line,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in commands()
    ]
    status = {line: run.returncode for line, run in zip(commands(), done, strict=True)}
    assert status == {line: int("my_sampler" in line) for line in commands()}, done
    assert (tmp_path / "images-grid.png").exists()
    printed = words(" ".join(run.stdout for run in done))
    shown = [line for kind, block in BLOCKS if kind == "text" for line in block.splitlines()]
    assert [line for line in shown if words(line) not in printed] == []


def test_targets_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", README, re.MULTILINE))
    for target in {first or second for first, second in named}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere():
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        path, _, anchor = link.partition("#")
        assert (ROOT / path).is_file(), link
        headings = re.findall(r"^#+ (.*)", (ROOT / path).read_text(errors="ignore"), re.MULTILINE)
        assert not anchor or anchor in map(make_id, headings), link


def test_the_table_has_the_settings_and_their_distances():
    record = read_comparisons(ROOT / "book/few_steps/mixtures.json")
    rows = re.findall(r"^\| (\d+) (\|.*)\|$", README, re.MULTILINE)
    assert [int(calls) for calls, _ in rows] == [6, 10, 20, 40]
    for calls, cells in rows:
        for kind, (sampler, distance) in zip(
            ("best", "sde", "ode"), re.findall(r"\| `(.*?)` \| (\S+) ", cells), strict=True
        ):
            assert sampler == settings()[int(calls), kind].solver
            assert distance == f"{overall(record, 'tuned', kind, int(calls)):.3f}"


def test_the_page_in_python_runs():
    page = (ROOT / "book/in_python.md").read_text()
    cells = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names = {"display": print}
    for cell in cells:
        exec(compile(re.sub(r"^:tags:.*\n", "", cell), "in_python.md", "exec"), names)
    assert names["images"].isfinite().all()
    assert len(cells) >= 12
