import csv
import json
import multiprocessing
import shutil
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
from gpu_runs.benchmarks import engine as benchmark
from gpu_runs.benchmarks import results as results_module
from gpu_runs.benchmarks.engine import Resources, WorkerLost, run_plan
from gpu_runs.benchmarks.plans import Plan, parse_plan
from gpu_runs.benchmarks.results import Results, ResultsError, Row, read_results
from gpu_runs.benchmarks.tuned import as_plan
from gpu_runs.checkpoints.checkpoint import save_checkpoint
from gpu_runs.checkpoints.preconditioning import PreconditionedNetwork
from gpu_runs.files.whole import OutputError, whole_file
from gpu_runs.generation.sampler import ImageSampler
from gpu_runs.scores.features import load_features
from gpu_runs.scores.reference import Reference, load_reference
from gpu_runs.scores.report import score_images
from seeds_theory import few_steps
from seeds_theory.errors import ParameterError, SeedsError, UnknownNameError

TRUSTED = Resources(trust=True, batch=5)
RECORD = {
    "images": 8,
    "blocks": 2,
    "first_seed": 100,
    "steps": [3, 4],
    "methods": [{"method": "seeds-2", "eta": 0.5}, {"method": "ddim"}],
}
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
    return [replace(row, **dict.fromkeys(TIMES)) for row in rows]


def test_a_cell_is_the_score_of_the_images_that_seeds_generate_makes(plan, finished):
    results = read_results(finished)
    place = [(row.label, row.steps, row.nfe, row.block, row.first_seed) for row in results.rows]
    assert place == [
        (label, steps, nfe, block, 100 + 8 * block)
        for block in (0, 1)
        for label, steps, nfe in [
            ("ddim", 3, 3),
            ("ddim", 4, 4),
            ("seeds-2, eta 0.5", 3, 5),
            ("seeds-2, eta 0.5", 4, 7),
        ]
    ]
    row = results.rows[-1]
    sampler = ImageSampler(tiny_network(), plan.settings(plan.curves[0], 4))
    images = torch.cat([sampler(range(108, 113)), sampler(range(113, 116))])
    network = load_features(plan.features, trust=True)
    expected = score_images(images, load_reference(plan.reference), network, batch=5)
    assert row.frechet == expected.frechet and row.floor == expected.floor > 0
    assert (row.images, row.kernel, row.error) == (8, None, "")
    assert json.loads(row.options) == {"eta": 0.5}
    assert 8 / row.images_per_second < row.seconds


def test_all_is_written_as_csv_json_and_plot(finished):
    with (finished / "results.csv").open(newline="") as file:
        records = list(csv.DictReader(file))
    content = json.loads((finished / "results.json").read_text())
    assert len(records) == len(content["rows"]) == 8
    for record, row in zip(records, content["rows"], strict=True):
        assert record == {name: "" if v is None else str(v) for name, v in row.items()}
    assert content["header"] == json.loads((finished / "run.json").read_text())
    (entry,) = content["header"]["runs"]
    assert (entry["jobs"], entry["batch"], entry["torch"]) == (1, 5, torch.__version__)
    assert content["header"]["distance"] == "Frechet distance (pooled.pt features)"
    assert (finished / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "seeds-2, eta 0.5" in (finished / "plot.svg").read_text()


def test_a_killed_run_goes_on_where_it_was(plan, finished, run):
    text = (run / "results.csv").read_text()
    lines = text.splitlines(keepends=True)
    # Killed while it wrote the sixth row; what it wrote last is half a line.
    (run / "results.csv").write_text("".join(lines[:6]) + lines[6][: len(lines[6]) // 2])
    assert len(read_results(run).rows) == 5
    run_plan(plan, run, TRUSTED)
    again, before = read_results(run), read_results(finished)
    assert again.rows[:5] == before.rows[:5]
    assert again.rows[5:] != before.rows[5:]  # their times, at least
    assert scores_of(again.rows) == scores_of(before.rows)
    assert len(again.header["runs"]) == 2
    run_plan(plan, run, TRUSTED)  # nothing is left to do
    assert read_results(run).rows == again.rows


@pytest.mark.parametrize("cut", [None, 0, 30])
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
    assert results.rows[:8] == read_results(finished).rows
    added = [(row.label, row.block) for row in results.rows[8:]]
    assert sorted(added) == sorted(
        [("seeds-1", block) for block in (0, 1, 2)]
        + [(label, 2) for label in ("ddim", "seeds-2, eta 0.5")] * 2
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 9}, "with images = 8, here 9"),
        ({"grid": "logsnr"}, "with grid = 'edm', here 'logsnr'"),
        ({"labels": "none"}, "with labels = None, here 'none'"),
        ({"blocks": 1}, "with 2 blocks, here 1"),
        ({"methods": RECORD["methods"][1:]}, "with seeds-2, eta 0.5 at 3 steps, not so here"),
        ({"steps": [3, 5]}, "with ddim at 4 steps, not so here"),
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
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(ResultsError, match="has results of another benchmark, ") as caught:
        run_plan(parse_plan(RECORD | files | change), run, TRUSTED)
    assert message in str(caught.value) and str(caught.value).endswith("choose another --out")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", '{"settings": {}, "runs": []}'),  # as of seeds-generate
        ("run.json", "[" * 100_000),
        ("run.json", ""),
        ("run.json", None),
        ("results.csv", "label,steps\nddim,3\n"),
        ("results.csv", 'ddim,ddim,{},3,3,0,100,8,"\n'),
        ("results.csv", "ddim,ddim,{},3,3,0,100,many,1,1,,,,,,1,1,\n"),
        ("results.csv", "ddim,ddim,{},9,9,0,100,8,1,1,,,,,,1,1,\n"),
        ("results.csv", "ddim,ddim,{},3,3,5,100,8,1,1,,,,,,1,1,\n"),
    ],
)
def test_damaged_results_are_refused_and_not_touched(plan, run, name, content):
    path = run / name
    heading = (run / "results.csv").read_text().splitlines(keepends=True)[0]
    if content is None:
        path.unlink()
    else:
        path.write_text(heading + content if content.startswith("ddim") else content)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(ResultsError, match="has no results of a benchmark") as caught:
        run_plan(plan, run, TRUSTED)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_cell_that_fails_is_recorded_and_tried_again(plan, run, finished, tmp_path, monkeypatch):
    whole = PreconditionedNetwork.forward
    second = ImageSampler(tiny_network(), plan.settings(plan.curves[1], 4)).sigmas[1]

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
    assert sorted(scores_of(again.rows), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("change", "resources", "message"),
    [
        ({"reference": "fashion-mnist"}, {}, "scores compare features of one network"),
        ({"reference": None}, {}, "the reference has 7 features, pooled.pt gives 12"),
        ({"features": "fashion-mnist"}, {}, "fashion-mnist features are of images"),
        ({}, {"trust": False}, "would be run: a TorchScript file is a program"),
        ({}, {"batch": 0}, "a batch has one image or more; got 0"),
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
    with pytest.raises(OutputError, match="cannot write"):
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
    assert len(run_plan(plan, tmp_path / "run", TRUSTED).rows) == 8


def test_what_goes_wrong_in_a_process_is_said(plan, monkeypatch):
    monkeypatch.setattr(benchmark, "_bench", None, raising=False)
    numbers = multiprocessing.Value("i", 0)
    benchmark._start_worker(replace(plan, network="none.pkl"), TRUSTED, numbers)
    assert numbers.value == 1
    cell = plan.cells(tiny_network())[0][0]
    with pytest.raises(SeedsError, match=r"no checkpoint file none\.pkl"):
        benchmark._row(cell)
    benchmark._start_worker(plan, TRUSTED, numbers)
    assert benchmark._row(cell).error == ""


@pytest.mark.slow
def test_processes_share_the_cells(plan, finished, tmp_path, monkeypatch):
    results = run_plan(plan, tmp_path / "run", TRUSTED, jobs=2)
    expected = scores_of(read_results(finished).rows)
    assert sorted(scores_of(results.rows), key=str) == sorted(expected, key=str)
    monkeypatch.setattr(benchmark, "_start_worker", exit)  # called with too many arguments: it dies
    with pytest.raises(WorkerLost, match="rows that are done are kept"):
        run_plan(plan, tmp_path / "dead", TRUSTED, jobs=2)


# ------------------------------------------------------------------------------ table and plot


def synthetic(labels=("a", "b"), blocks=2, **header):
    """Results with distance 100 / nfe, plus and minus 1 in the two blocks."""
    rows = [
        Row(label, "ddim", "{}", nfe, nfe, block, 0, 8, frechet=100 / nfe + 2 * block - 1, floor=0.5,
            images_per_second=10.0 * (block + 1))
        for block in range(blocks)
        for nfe in (10, 20, 50)
        for label in labels
    ]  # fmt: skip
    shown = [{"label": label, "published": None, "recalled": False} for label in labels]
    return Results(Path(), {"curves": shown, "distance": "Distance (x)", **header}, rows)


def test_points_are_means_with_their_spread_over_blocks():
    results = synthetic()
    first = curves.points(results)[0]
    assert (first.label, first.nfe, first.blocks) == ("a", 10, 2)
    assert first.frechet == 10 and first.least == 9
    assert first.spread == pytest.approx(2**0.5)
    assert (first.floor, first.images_per_second) == (0.5, 15.0)
    assert [(p.label, p.nfe) for p in curves.points(results, ["b"])] == [
        ("b", 10),
        ("b", 20),
        ("b", 50),
    ]
    assert {point.spread for point in curves.points(synthetic(blocks=1))} == {None}
    with pytest.raises(UnknownNameError, match="no curve 'c'; known: a; b"):
        curves.points(results, ["c"])


def test_the_figure_has_a_curve_for_each_label_and_tells_them_apart():
    names = [f"curve {i}" for i in range(13)]
    drawn = curves.figure(synthetic(names))
    assert [len(axes.containers) for axes in drawn.axes] == [7, 6]
    looks = set()
    for axes in drawn.axes:
        assert axes.get_xscale() == axes.get_yscale() == "log"
        for bars in axes.containers:
            line = bars.lines[0]
            np.testing.assert_allclose(line.get_xdata(orig=False), [10, 20, 50])
            np.testing.assert_allclose(line.get_ydata(orig=False), [10, 5, 2])
            looks.add((line.get_color(), line.get_marker(), line.get_linestyle()))
            np.testing.assert_allclose(
                bars.lines[2][0].get_segments()[0][:, 1], 10 + np.array([-1, 1]) * 2**0.5
            )
        floor = next(line for line in axes.lines if line.get_label() == "as many real images")
        assert set(floor.get_ydata()) == {0.5}
    assert len({marker for _, marker, _ in looks}) == 7
    only = curves.figure(synthetic(names), ["curve 3"])
    assert [len(axes.containers) for axes in only.axes] == [1]


def test_results_without_a_score_have_an_empty_figure(tmp_path):
    results = synthetic()
    results.rows = [replace(row, frechet=None, error="broken") for row in results.rows]
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
    assert columns["best block"][0] == "9" and columns["distance"][0] == "10 ± 1.4"
    assert columns["published"] == ["1.97 (recalled)"] * 3 + [""] * 3
    assert "published" not in {c.header for c in curves.table(synthetic()).columns}


# ----------------------------------------------------------------------------------- commands


def write_toml(path, files, **changes):
    """The plan of these tests as a file."""
    record = {"images": 8, "steps": [3, 4], **files, **changes}
    lines = [f"{name} = {json.dumps(value)}" for name, value in record.items()]
    path.write_text("\n".join([*lines, '[[methods]]\nmethod = "ddim"\npublished = 7.5\n']))
    return str(path)


def test_the_commands_run_a_plan_and_draw_it(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    path = write_toml(tmp_path / "small.toml", files)
    result = CliRunner().invoke(app, ["run", path, "--trust", "--batch", "4"])
    assert result.exit_code == 0, result.output
    assert "ddim" in result.output and "7.5" in result.output
    assert len(read_results("small").rows) == 2
    result = CliRunner().invoke(app, [path, "--trust", "--batch", "4"])  # a bare plan
    assert result.exit_code == 0 and "7.5" in result.output and "note:" not in result.output
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
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["presets"])
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
        (few_steps(10, eta=eta).nfe, few_steps(10, eta=eta).steps, 4) for eta in (1.0, 0.0)
    ]
    assert all(row["frechet"] > 0 for row in rows)
    plan = as_plan(few_steps(10), 2.0, 80.0, Plan(()))
    assert (plan.grid, plan.sigma_max) == ("logsnr", 2.0 * few_steps(10).sigma_max)


@pytest.mark.parametrize(
    ("width", "nfe", "message"),
    [
        ("1", "some", "whole numbers are written as 8,16,32; got 'some'"),
        ("1", "5", "no setting for 5 model calls"),
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
