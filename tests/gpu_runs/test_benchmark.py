import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tiny_networks import tiny_checkpoint, tiny_network
from typer.testing import CliRunner

from gpu_runs.bench import app, main
from gpu_runs.benchmarks import curves
from gpu_runs.benchmarks import results as results_module
from gpu_runs.benchmarks.bench import Resources
from gpu_runs.benchmarks.engine import run_plan
from gpu_runs.benchmarks.plans import Plan, parse_plan
from gpu_runs.benchmarks.results import LawRow, Results, ResultsError, Row, read_results
from gpu_runs.benchmarks.tuned import as_plan
from gpu_runs.benchmarks.workers import WorkerLost, in_processes
from gpu_runs.checkpoints.checkpoint import save_checkpoint
from gpu_runs.checkpoints.preconditioning import PreconditionedNetwork
from gpu_runs.files.whole import OutputError, whole_file
from gpu_runs.generation.sampler import ImageSampler
from gpu_runs.scores.features import load_features
from gpu_runs.scores.reference import Reference, load_reference
from gpu_runs.scores.report import score_images
from seeds_theory import Setting, few_steps
from seeds_theory.errors import ParameterError, SeedsError, UnknownNameError
from seeds_theory.solver import Solver

TRUSTED = Resources(trust=True)
RECORD = {
    "images": 8,
    "blocks": 2,
    "batch": 5,
    "first_seed": 100,
    "steps": [3, 4],
    "methods": [{"method": "seeds-2", "eta": 0.5}, {"method": "ddim"}],
    "fine": [{"method": "seeds-3", "eta": 0.5, "steps": [6], "label": "fine"}],
}
CELLS = [
    ("seeds-2, eta 0.5", 3, 5),
    ("ddim", 3, 3),
    ("fine", 6, 16),
    ("seeds-2, eta 0.5", 4, 7),
    ("ddim", 4, 4),
]
TIMES = ("seconds", "images_per_second")


class Pooled(torch.nn.Module):
    """Features of any image: its means over quadrants."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint, a feature network and a reference, as entries of a plan."""
    folder = tmp_path_factory.mktemp("files")
    torch.jit.script(Pooled()).save(folder / "pooled.pt")
    generator = np.random.default_rng(0)
    features = generator.normal(120, 30, (50, 12))
    Reference(features.mean(0), np.cov(features.T), count=50).save(folder / "reference.npz")
    return {
        "network": tiny_checkpoint(folder),
        "features": str(folder / "pooled.pt"),
        "reference": str(folder / "reference.npz"),
    }


@pytest.fixture(scope="module")
def plan(files):
    return parse_plan(RECORD | files)


@pytest.fixture(scope="module")
def finished(plan, tmp_path_factory):
    """The folder of a run that is at its end; to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run_plan(plan, folder, TRUSTED)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of that folder."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def scores_of(rows):
    """The rows without their times, in an order of their own."""
    return sorted((replace(row, **dict.fromkeys(TIMES)) for row in rows), key=str)


def laws_of(results):
    return sorted(results.laws, key=str)


def keep_rows(folder, count):
    """Leave only the first rows of a finished run, as one that was stopped there."""
    for name in ("results.csv", "law.csv"):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(lines[: 1 + count]))


def test_a_cell_is_the_score_of_the_images_that_seeds_generate_makes(plan, finished):
    results = read_results(finished)
    place = [(row.label, row.steps, row.nfe, row.block, row.first_seed) for row in results.rows]
    assert place == [(*cell, block, 100 + 8 * block) for block in (0, 1) for cell in CELLS]
    row = next(row for row in results.rows if (row.label, row.steps, row.block) == ("ddim", 4, 1))
    sampler = ImageSampler(tiny_network(), plan.settings(plan.curves[1], 4))
    images = torch.cat([sampler(range(108, 113)), sampler(range(113, 116))])
    network = load_features(plan.features, trust=True)
    expected = score_images(images, load_reference(plan.reference), network, batch=5)
    assert row.frechet == expected.frechet and row.floor == expected.floor > 0
    assert (row.images, row.kernel, row.error) == (8, None, "")
    assert json.loads(results.rows[0].options) == {"eta": 0.5}
    assert row.images_per_second == pytest.approx(8 / row.seconds)
    assert len(row.frechet_values) == 8


def test_all_is_written_as_csv_json_and_plot(finished):
    with (finished / "results.csv").open(newline="") as file:
        records = list(csv.DictReader(file))
    content = json.loads((finished / "results.json").read_text())
    assert len(records) == len(content["rows"]) == 10 and len(content["laws"]) == 4
    for record, row in zip(records, content["rows"], strict=True):
        values = row.pop("frechet_values")
        assert [float(v) for v in record.pop("frechet_values").split()] == values
        assert record == {name: "" if v is None else str(v) for name, v in row.items()}
    assert content["header"] == json.loads((finished / "run.json").read_text())
    (entry,) = content["header"]["runs"]
    assert (entry["jobs"], entry["torch"]) == (1, torch.__version__)
    assert content["header"]["distance"] == "Frechet distance (pooled.pt features)"
    assert (finished / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "seeds-2, eta 0.5" in (finished / "plot.svg").read_text()


def test_a_stopped_run_goes_on_at_the_batch_where_it_was(plan, finished, run, monkeypatch):
    keep_rows(run, 3)
    made, whole = [], ImageSampler.__call__
    lost = sorted((run / "images").rglob("*.npz"))[::3]
    for path in lost:
        path.unlink()

    def counted(self, seeds, size):
        made.append(seeds)
        return whole(self, seeds, size)

    monkeypatch.setattr(ImageSampler, "__call__", counted)
    before = read_results(finished)
    again = run_plan(plan, run, TRUSTED)
    assert again.rows[:3] == before.rows[:3]
    assert scores_of(again.rows) == scores_of(before.rows) and laws_of(again) == laws_of(before)
    # Batches of cells that have a row are not missed.
    assert 0 < len(made) < len(lost) and len(again.header["runs"]) == 2
    made.clear()
    run_plan(plan, run, TRUSTED)  # nothing is left to do
    assert made == [] and read_results(run).rows == again.rows


@pytest.mark.parametrize("cut", [None, 0])
def test_a_run_killed_at_its_first_write_starts_again(plan, run, finished, cut):
    text = (run / "results.csv").read_text()[:cut]
    if cut is None:
        (run / "results.csv").unlink()
    else:
        (run / "results.csv").write_text(text)
    run_plan(plan, run, TRUSTED)
    assert scores_of(read_results(run).rows) == scores_of(read_results(finished).rows)


def test_a_plan_may_add_cells_and_blocks(files, run, finished):
    more = {"method": "seeds-1", "steps": [3]}
    larger = parse_plan(RECORD | files | {"blocks": 3, "methods": [more, *RECORD["methods"]]})
    results = run_plan(larger, run, TRUSTED)
    assert results.rows[:10] == read_results(finished).rows
    added = [(row.label, row.block) for row in results.rows[10:]]
    assert sorted(added) == sorted(
        [("seeds-1", block) for block in (0, 1, 2)] + [(label, 2) for label, _, _ in CELLS]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 9}, "with images = 8, here 9"),
        ({"grid": "logsnr"}, "with grid = 'edm', here 'logsnr'"),
        ({"labels": "none"}, "with labels = None, here 'none'"),
        ({"batch": 4}, "with batch = 5, here 4"),
        ({"precision": "bf16"}, "with precision = 'fp32', here 'bf16'"),
        (
            {"fine": [RECORD["fine"][0] | {"steps": [7]}]},
            """with fine = ['seeds-3 {"eta": 0.5} 6'], here""",
        ),
        ({"blocks": 1}, "with 2 blocks, here 1"),
        ({"methods": RECORD["methods"][1:]}, "with seeds-2, eta 0.5 at 3 steps, not so here"),
        ({"steps": [3, 5]}, "with seeds-2, eta 0.5 at 4 steps, not so here"),
        ({"network": None}, "with checkpoint = '"),
        ({"reference": None}, "with reference = '"),
    ],
)
def test_results_of_another_benchmark_are_refused(files, run, finished, tmp_path, change, message):
    if "network" in change:
        change = {"network": tiny_checkpoint(tmp_path, label_dim=3)}
    if "reference" in change:
        change = {"reference": str(tmp_path / "other.npz")}
        Reference(np.zeros(12), np.eye(12)).save(tmp_path / "other.npz")
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    with pytest.raises(ResultsError, match="has results of another benchmark, ") as caught:
        run_plan(parse_plan(RECORD | files | change), run, TRUSTED)
    assert message in str(caught.value) and str(caught.value).endswith("choose another --out")
    assert {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()} == before


ROW = "ddim,ddim,{},3,3,0,100,8,1,1 2,1,,,,,,1,1,"
LAW = "ddim,ddim,{},3,3,0,fine,1 2,1 2,1 2"


def header_with(**changes):
    """A change of run.json."""
    return lambda text: json.dumps(json.loads(text) | changes)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("run.json", lambda _: '{"settings": {}, "runs": []}'),  # as of seeds-generate
        ("run.json", lambda _: "[" * 100_000),
        ("run.json", lambda _: ""),
        ("run.json", lambda _: "[]"),
        ("run.json", None),
        ("run.json", header_with(blocks="2")),
        ("run.json", header_with(blocks=True)),
        ("run.json", header_with(cells=[])),
        ("run.json", header_with(cells=[3])),
        ("run.json", header_with(cells={"label": "ddim"})),
        ("run.json", header_with(cells=[{"label": ["ddim"], "method": "", "options": "", "steps": 3}])),
        ("run.json", header_with(curves=[{"label": "ddim"}])),
        ("run.json", header_with(curves=[{"label": "ddim", "published": "1.97", "recalled": 0}])),
        ("run.json", header_with(budgets=["10"])),
        ("run.json", header_with(settings={"images": "many"})),
        ("run.json", header_with(distance=5)),
        ("run.json", header_with(distance=None)),
        ("run.json", header_with(files="x")),
        ("run.json", header_with(files={})),
        ("run.json", header_with(files={"network": 3})),
        ("run.json", header_with(curves={})),
        ("run.json", header_with(curves=[{"label": None, "published": None, "recalled": True}])),
        ("run.json", header_with(remarks="none")),
        ("results.csv", lambda _: "label,steps\nddim,3\n"),
        ("results.csv", lambda text: text[:30]),
        ("results.csv", lambda text: text.splitlines()[0] + '\nddim,ddim,{},3,3,0,100,8,"\n'),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace(',8,', ',many,')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace(',3,3,', ',9,9,')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('0,100', '5,100')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('0,100', '-1,100')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('1 2', '1 two')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('1 2', '1 nan')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('1 2', '1')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('8,1,', '8,,')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('8,1,', '8,inf,')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace('1,1,', ',,')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW.replace(',3,3,', ',3,0,')}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW}\n{ROW}\n"),
        ("results.csv", lambda text: f"{text.splitlines()[0]}\n{ROW},,\n"),
        ("law.csv", lambda text: f"{text.splitlines()[0]}\n{LAW.replace('3,3', '8,8')}\n"),
        ("law.csv", lambda text: f"{text.splitlines()[0]}\n{LAW}\n{LAW}\n"),
        ("law.csv", lambda text: f"{text.splitlines()[0]}\n{LAW.replace('1 2', 'nothing')}\n"),
        ("law.csv", lambda text: f"{text.splitlines()[0]}\n{LAW.replace('1 2', '')}\n"),
        ("law.csv", lambda text: f"{text.splitlines()[0]}\n{LAW.replace('1 2', '3')}\n"),
        ("law.csv", lambda text: f"{text.splitlines()[0]}\n{LAW.replace('3,3', '3,0')}\n"),
        ("law.csv", lambda _: "label,steps\nddim,3\n"),
    ],
)  # fmt: skip
def test_damaged_results_are_refused_and_not_touched(plan, run, name, damage):
    path = run / name
    text = path.read_text()
    path.unlink()
    if damage:
        path.write_text(damage(text))
    before = {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    with pytest.raises(ResultsError, match="has no results of a benchmark") as caught:
        run_plan(plan, run, TRUSTED)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in run.rglob("*.*") if path.is_file()} == before


def test_rows_that_are_not_damaged_are_read(run):
    for name, row in (("results.csv", ROW), ("law.csv", LAW)):
        path = run / name
        path.write_text(f"{path.read_text().splitlines()[0]}\n{row}\n")
    found = read_results(run)
    assert (len(found.rows), len(found.laws)) == (1, 1)


def _npz(**changes):
    """A batch's file with other arrays; None takes one away."""

    def damage(path):
        with np.load(path) as arrays:
            found = dict(arrays) | changes
        np.savez(path, **{name: array for name, array in found.items() if array is not None})

    return damage


def _link(path):
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.write_bytes(b""), "cannot read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "cannot read"),
        (lambda path: path.write_bytes(b"PK" + bytes(1000)), "cannot read"),
        (_link, "it is no regular file"),
        (_npz(seeds=None), "it has no seeds"),
        (_npz(images=None), "it has no images"),
        (_npz(seeds=np.arange(5, dtype=np.uint64)), "it is of other seeds"),
        (_npz(seeds=np.arange(100, 104, dtype=np.uint64)), "its seeds are 4, of 5 seeds"),
        (_npz(seeds=np.arange(100.0, 105.0)), "its seeds are float64"),
        (_npz(seeds=np.array([None] * 5)), "Python objects"),
        (_npz(images=np.zeros((5, 3, 9, 8), np.uint8)), "its images are (3, 9, 8), not (3, 8, 8)"),
        (_npz(images=np.zeros((5, 3, 8, 8), np.uint16)), "its images are uint16"),
        (_npz(images=np.zeros((5, 3, 8, 8))), "its images are float64"),
        (_npz(features=np.zeros((5, 7), np.float32)), "its features are (7,), not (12,)"),
        (_npz(features=np.full((5, 12), np.nan, np.float32)), "its features are not finite"),
        (_npz(features=np.zeros(5, np.float32)), "its features are float32 (5,)"),
        (_npz(seconds=np.array(np.inf)), "its seconds are not finite"),
        (_npz(seconds=np.zeros(2)), "its seconds are float64 (2,)"),
        (_npz(probabilities=np.zeros((5, 2), int)), "its probabilities are int64"),
        (_npz(probabilities=np.full((5, 2), np.nan)), "its probabilities are not finite"),
    ],
)
def test_a_batch_that_is_none_is_named_and_said_to_be_removed(plan, run, damage, why):
    keep_rows(run, 0)
    path = next((run / "images").glob("ddim-3-*/000000100.npz"))
    damage(path)
    with pytest.raises(ResultsError, match="is not the batch that it should be") as caught:
        run_plan(plan, run, TRUSTED)
    text = str(caught.value)
    assert why in text and str(path) in text and "\n" not in text and text.endswith("made again")
    path.unlink()
    assert len(run_plan(plan, run, TRUSTED).rows) == 10


def test_a_cell_that_fails_is_recorded_and_tried_again(plan, run, finished, tmp_path, monkeypatch):
    whole = PreconditionedNetwork.forward
    second = ImageSampler(tiny_network(), plan.settings(plan.curves[1], 4)).sigmas[1]  # of 3 levels

    def broken(self, x, sigma, class_labels=None):
        estimate = whole(self, x, sigma, class_labels)
        return estimate * float("nan") if abs(float(sigma) - second) < 1e-9 else estimate

    with monkeypatch.context() as patch:
        patch.setattr(PreconditionedNetwork, "forward", broken)
        results = run_plan(plan, tmp_path / "new", TRUSTED)
    failed = [(row.steps, row.frechet) for row in results.rows if row.error]
    assert failed == [(4, None)] * 4
    errors = {row.error for row in results.rows if row.error}
    assert any(error.startswith("seed 100, 101, 102, 103, 104: ") for error in errors)
    assert read_results(tmp_path / "new").rows == results.rows
    assert {point.steps for point in curves.points(results)} == {3}
    again = run_plan(plan, tmp_path / "new", TRUSTED)
    expected = scores_of(read_results(finished).rows)
    assert scores_of(again.rows) == expected


@pytest.mark.parametrize(
    ("change", "resources", "message"),
    [
        ({"reference": "fashion-mnist"}, {}, "scores compare features of one network"),
        ({"reference": None}, {}, "the reference has 7 features, pooled.pt gives 12"),
        ({"features": "fashion-mnist"}, {}, "fashion-mnist features are of images"),
        ({}, {"trust": False}, "would be run: a TorchScript file is a program"),
        ({}, {"device": "nowhere"}, "device nowhere is not available here"),
        ({"network": "none.pkl"}, {}, "no checkpoint file none.pkl"),
        ({"labels": "7"}, {}, "the classes of this network are 0 to 3; got 7"),
        ({"precision": "fp8"}, {}, "unknown precision 'fp8'"),
        ({"grid": "cosine"}, {}, "unknown grid 'cosine'"),
    ],
)
def test_bad_input_ends_before_the_work(files, tmp_path, change, resources, message):
    if change == {"reference": None}:
        change = {"reference": str(tmp_path / "seven.npz")}
        Reference(np.zeros(7), np.eye(7)).save(tmp_path / "seven.npz")
    plan = parse_plan(RECORD | files | change)
    with pytest.raises(SeedsError) as caught:
        run_plan(plan, tmp_path / "run", replace(TRUSTED, **resources))
    assert message in str(caught.value) and not (tmp_path / "run").exists()


def test_the_folder_and_the_jobs_are_checked(plan, files):
    with pytest.raises(OutputError, match=r"cannot write .* is a file and no folder; choose"):
        run_plan(plan, files["network"], TRUSTED)
    with pytest.raises(ParameterError, match="jobs are one or more; got 0"):
        run_plan(plan, "unused", TRUSTED, jobs=0)


def test_a_kill_between_the_two_files_leaves_a_folder_that_goes_on(plan, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    written = []

    def killed_after_one(path):
        if written:
            raise Killed
        written.append(path.name)
        return whole_file(path)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(results_module, "whole_file", killed_after_one)
        run_plan(plan, tmp_path / "run", TRUSTED)
    assert written == ["run.json"] and read_results(tmp_path / "run").rows == []
    assert len(run_plan(plan, tmp_path / "run", TRUSTED).rows) == 10


# ----------------------------------------------------------------------------------- processes


def counts(*numbers):
    """What a process may do: yields numbers, then fails where there is a text."""
    for number in numbers:
        if isinstance(number, str):
            raise SeedsError(number)
        if number == 0:
            os._exit(3)
        if number and number < 0:
            os.kill(os.getpid(), -number)
        if number:
            yield number


@pytest.mark.slow
def test_what_goes_wrong_in_a_process_is_said():
    assert sorted(in_processes(counts, (1, 2), 2, None)) == [1, 1, 2, 2]
    with pytest.raises(SeedsError, match=r"no checkpoint file none\.pkl"):
        list(in_processes(counts, (1, "no checkpoint file none.pkl"), 1, None))
    with pytest.raises(WorkerLost, match="ended with code 3: what is done is kept"):
        list(in_processes(counts, (1, 0), 1, None))
    with pytest.raises(WorkerLost, match="killed by signal 9, perhaps for want of memory"):
        list(in_processes(counts, (1, -9), 1, None))


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def _children(pid):
    text = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in text.stdout.split()]


def _until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_kills_leave_no_process_and_the_run_goes_on(plan, files, finished, tmp_path):
    path, out = tmp_path / "plan.toml", tmp_path / "run"
    lines = [f"{name} = {json.dumps(value)}" for name, value in (files | RECORD).items()
             if not isinstance(value, list) or name == "steps"]  # fmt: skip
    tables = [
        "\n".join(
            [f"[[{kind}]]", *(f"{name} = {json.dumps(value)}" for name, value in entry.items())]
        )
        for kind in ("methods", "fine")
        for entry in RECORD[kind]
    ]
    path.write_text("\n".join([*lines, *tables]))
    command = [sys.executable, "-m", "gpu_runs.bench", "run", str(path), "--trust", "--jobs", "2"]
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        pieces = len(list(out.rglob("*.npz")))
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen([*command, "--out", str(out)], stderr=log, stdout=log)
            _until(lambda seen=pieces: len(list(out.rglob("*.npz"))) > seen)
            children = _children(process.pid)
            process.send_signal(number)
            process.wait()
            _until(lambda pids=children: not any(map(_alive, pids)), 60)
        assert len(children) == 3 and "resource_tracker" not in (tmp_path / "log").read_text()
    # Two runs of one folder share it, and what they find is what one process finds.
    runs = [
        subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL) for _ in "ab"
    ]
    assert [run.wait() for run in runs] == [0, 0]
    shared, alone = read_results(out), read_results(finished)
    assert scores_of(shared.rows) == scores_of(alone.rows) and laws_of(shared) == laws_of(alone)


# ------------------------------------------------------------------------------ table and plot


def synthetic(labels=("a", "b"), blocks=2, **header):
    """Results with distance 100 / nfe, whose four pseudo-values are 1 above and 1 below it."""
    rows, laws = [], []
    for block in range(blocks):
        for nfe in (10, 20, 50):
            for label in labels:
                value = 100 / nfe
                values = (value - 1, value + 1) * 2
                key = (label, "ddim", "{}", nfe, nfe, block)
                rows.append(
                    Row(*key, 0, 8, frechet=value + block, frechet_values=values, floor=0.5,
                        images_per_second=10.0 * (block + 1))
                )  # fmt: skip
                laws.append(LawRow(*key, "fine", values, values, (0.03, 0.05)))
    shown = [
        {"label": label, "published": None, "recalled": False, "fine": "fine"} for label in labels
    ]
    head = {"curves": shown, "distance": "Distance (x)", "budgets": [10, 20, 50], **header}
    return Results(Path(), head, rows, laws)


def test_points_are_estimates_over_blocks():
    results = synthetic()
    first = curves.points(results)[0]
    assert (first.label, first.nfe, first.blocks) == ("a", 10, 2)
    data = first.estimates[curves.DATA]
    assert data.value == 10 and first.least == 10
    assert data.error == pytest.approx(math.sqrt(8 / 7 / 8))
    assert first.rms == pytest.approx((0.2, 0.01 / math.sqrt(3) / 0.4))
    assert (first.floor, first.images_per_second) == (0.5, 15.0)
    assert [(p.label, p.nfe) for p in curves.points(results, ["b"])] == [
        ("b", 10),
        ("b", 20),
        ("b", 50),
    ]
    with pytest.raises(UnknownNameError, match="no curve 'c'; known: a; b"):
        curves.points(results, ["c"])


def test_a_budget_shows_the_most_calls_within_it_that_no_smaller_one_has():
    found = curves.points(synthetic())

    def shown(budget, budgets):
        return [(p.label, p.nfe) for p in curves.at_budget(found, budget, budgets)]

    assert shown(25, [10, 25]) == shown(25, [25]) == [("a", 20), ("b", 20)]
    assert shown(9, [9]) == []
    assert shown(25, [20, 25]) == []  # its calls are those of the budget of 20


def test_what_leads_and_what_is_not_told_apart_from_it_have_a_star():
    results = synthetic(("a", "b", "c"))

    def shifted(row, by, noise):
        values = [v + by + noise * (-1) ** (n // 2) for n, v in enumerate(row.frechet_values)]
        return replace(row, frechet_values=tuple(values))

    # b is behind by little in all groups alike, c by more but not alike.
    shifts = {"a": (0, 0), "b": (0.1, 0.01), "c": (0.5, 1.0)}
    results.rows = [shifted(row, *shifts[row.label]) for row in results.rows]
    found = curves.at_budget(curves.points(results), 10, [10, 20, 50])
    assert curves.leading(found, curves.DATA) == {"a", "c"}
    assert curves.leading(found, curves.LAW) == {"a", "b", "c"}
    columns = {c.header: list(c.cells) for c in curves.table(results).columns}
    assert [text.endswith("*") for text in columns["to the data"]] == [True] * 3 + [False] * 3 + [
        True
    ] * 3


def test_the_figure_has_a_curve_for_each_label_and_tells_them_apart():
    names = [f"curve {i}" for i in range(13)]
    drawn = curves.figure(synthetic(names))
    assert [len(axes.containers) for axes in drawn.axes] == [7, 6, 7, 6]
    looks = set()
    for axes in drawn.axes:
        assert axes.get_xscale() == axes.get_yscale() == "log"
        for bars in axes.containers:
            line = bars.lines[0]
            np.testing.assert_allclose(line.get_xdata(orig=False), [10, 20, 50])
            np.testing.assert_allclose(line.get_ydata(orig=False), [10, 5, 2])
            looks.add((line.get_color(), line.get_marker(), line.get_linestyle()))
            np.testing.assert_allclose(
                bars.lines[2][0].get_segments()[0][:, 1], 10 + np.array([-1, 1]) / 7**0.5
            )
    for axes in drawn.axes[:2]:
        (floor,) = (line for line in axes.lines if line.get_label().startswith("as many real"))
        assert set(floor.get_ydata()) == {0.5}
    assert len({marker for _, marker, _ in looks}) == 7
    only = curves.figure(synthetic(names), ["curve 3"])
    assert [len(axes.containers) for axes in only.axes] == [1, 1]
    results = synthetic(names)
    results.laws = []
    assert [len(axes.containers) for axes in curves.figure(results).axes] == [7, 6]


def test_results_without_a_score_have_an_empty_figure(tmp_path):
    results = synthetic()
    results.rows = [replace(row, frechet=None, error="broken") for row in results.rows]
    results.laws = []
    results.folder = tmp_path
    curves.write_report(results)
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "plot.png", "plot.svg"}
    assert curves.table(results).row_count == 0


def test_labels_are_shown_as_they_are():
    console = Console(width=120)
    with console.capture() as shown:
        console.print(curves.table(synthetic(["a [bold]", "b\x1b[2J"], distance="D (f[red].pt)")))
    text = shown.get()
    assert "a [bold]" in text and "f[red].pt" in text
    assert "b\\x1b[2J" in text and "\x1b[2J" not in text


def test_found_and_published_stand_side_by_side():
    results = synthetic()
    results.header["curves"][0] |= {"published": 1.97, "recalled": True}
    columns = {c.header: list(c.cells) for c in curves.table(results).columns}
    assert columns["best block"][0] == "10" and columns["to the data"][0] == "10.00 ± 0.38 *"
    assert columns["rms"][0] == "0.200 ± 0.014"
    assert columns["published"] == ["1.97 (recalled)"] * 3 + [""] * 3
    assert "published" not in {c.header for c in curves.table(synthetic()).columns}
    assert "less the first term of the bias" in curves.table(results).caption


# ----------------------------------------------------------------------------------- commands


def write_toml(path, files, **changes):
    """The plan of these tests as a file."""
    record = {"images": 8, "batch": 4, "steps": [3, 4], **files, **changes}
    lines = [f"{name} = {json.dumps(value)}" for name, value in record.items()]
    path.write_text("\n".join([*lines, '[[methods]]\nmethod = "ddim"\npublished = 7.5\n']))
    return str(path)


def test_the_commands_run_a_plan_and_draw_it(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    path = write_toml(tmp_path / "small.toml", files)
    result = CliRunner().invoke(app, ["run", path, "--trust"])
    assert result.exit_code == 0, result.output
    assert "ddim" in result.output and "7.5" in result.output
    rows = read_results("small").rows
    assert result.stderr.splitlines() == [
        f"{number} of 2 cells: {row.label}, {row.steps} steps, block 0: distance {row.frechet:.4g} "
        "as measured"
        for number, row in enumerate(rows, 1)
    ]
    assert len(rows) == 2
    result = CliRunner().invoke(app, [path, "--trust"])  # a bare plan
    assert result.exit_code == 0 and "7.5" in result.output
    assert not result.stderr  # nothing is new
    assert result.output.count("note:") == 1 and "fewer than 100 images to a block" in result.output
    result = CliRunner().invoke(app, ["plot", "small", "--to", "again.svg", "--label", "ddim"])
    assert result.exit_code == 0 and "ddim" in Path("again.svg").read_text()
    command = ["run", path, "--trust", "--images", "6", "--blocks", "2", "--out", "fewer"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and " 7.5 " not in result.output
    assert "note: published scores are left out: they are of 8 images" in result.output
    assert {(row.block, row.images) for row in read_results("fewer").rows} == {(0, 6), (1, 6)}


def test_the_command_names_failed_cells_and_files(files, tmp_path, monkeypatch, capsys):
    path = write_toml(tmp_path / "small.toml", files, labels="none")
    out = ["--out", str(tmp_path / "run")]

    def broken(self, x, sigma, class_labels=None):
        return x * float("nan")

    with monkeypatch.context() as patch:
        patch.setattr(PreconditionedNetwork, "forward", broken)
        result = CliRunner().invoke(app, ["run", path, "--trust", *out])
    assert result.exit_code == 1
    assert result.output.count("failed: ddim, ") == 2
    other = tmp_path / "other.safetensors"
    save_checkpoint(tiny_network(label_dim=3), other)
    monkeypatch.setattr(
        "sys.argv", ["seeds-bench", "run", path, "--trust", *out, "--network", str(other)]
    )
    with pytest.raises(SystemExit, match="2"):
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("seeds-bench: ") and "they are never mixed" in line


def test_presets_are_listed_with_what_a_user_needs(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    result = CliRunner().invoke(app, ["presets"])
    assert "…" not in result.output
    lines = [line for line in result.output.splitlines() if "edm-cifar10-32x32-cond-ve" in line]
    assert len(lines) == 1 and "CIFAR-10 with classes, EDM's training, NCSN++" in lines[0]
    for text in (
        "edm-cifar10-32x32-uncond-vp",
        "1.97",
        "1.98*",
        "2.24",
        "1.93",
        "CC BY-NC-SA",
        "256",
    ):
        assert text in result.output
    result = CliRunner().invoke(app, ["run", "edm-cifar10-32x32-uncond-vp", "--ours"])
    assert isinstance(result.exception, SeedsError)
    assert "needs --network, --ref, --weights" in str(result.exception)
    result = CliRunner().invoke(app, ["presets", "--json", "-"])
    (preset,) = [
        one for one in json.loads(result.stdout) if one["name"] == "edm-cifar10-32x32-uncond-vp"
    ]
    assert preset["published"]["reference"] == "cifar10-32x32.npz"
    assert preset["published"]["curves"][0]["published"] == 1.97


def test_a_misspelt_command_is_no_plan():
    result = CliRunner().invoke(app, ["polt", "table"])
    assert result.exit_code == 2 and "'plot'" in result.output


def test_the_tuned_settings_are_scored_on_their_own_grids(tmp_path):
    out = tmp_path / "tuned.json"
    arguments = ["tuned", "--width", "8.9", "--nfe", "10", "--images", "4", "--json", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(out.read_text())
    assert [(row["nfe"], row["steps"], row["images"]) for row in rows] == [
        (few_steps(10, eta=eta).nfe, few_steps(10, eta=eta).steps, 4) for eta in (None, 1.0, 0.0)
    ]
    assert all(row["frechet"] > 0 for row in rows)


@pytest.mark.parametrize(("rho", "grid"), [(None, "logsnr"), (4.0, "rho=4")])
def test_a_setting_with_noise_in_its_first_steps_is_a_plan(rho, grid):
    setting = Setting("seeds-ab", 5, 9.0, 0.05, {"eta": 1.0}, rho, noisy=1)
    plan = as_plan(setting, 2.0, 80.0, Plan(()))
    assert (plan.grid, plan.sigma_max, plan.sigma_min) == (grid, 18.0, 0.1)
    (curve,) = plan.curves
    assert (Solver(curve.method, curve.options).eta, curve.label) == (
        [1.0, 0.0, 0.0, 0.0, 0.0],
        "seeds-ab, noise in 1 of 5 steps, tuned",
    )


@pytest.mark.parametrize(
    ("width", "nfe", "message"),
    [
        ("1", "some", "whole numbers are written as 8,16,32; got 'some'"),
        ("1", "4", "no setting for 4 model calls"),
        ("-1", "10", "the width of the data is positive and finite; got -1.0"),
    ],
)
def test_what_cannot_be_tuned_is_refused(width, nfe, message):
    result = CliRunner().invoke(app, ["tuned", "--width", width, "--nfe", nfe])
    assert message in str(result.exception)


def test_a_tuned_plan_keeps_what_is_the_plans():
    plan = Plan((), precision="fp16", state="float32", first_seed=5, blocks=2, images=10)
    own = as_plan(few_steps(10), 2.0, 80.0, plan)
    kept = ("precision", "state", "first_seed", "blocks", "images", "network", "labels")
    assert all(getattr(own, name) == getattr(plan, name) for name in kept)
