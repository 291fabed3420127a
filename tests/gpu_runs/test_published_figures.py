"""Published figures as data, and ours beside them."""

import json
import math
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from gpu_runs.bench import app
from gpu_runs.benchmarks.presets import presets
from gpu_runs.benchmarks.published import (
    PublishedError,
    beside,
    comparison,
    data_of,
    known_data,
    left_out,
    ours,
    published,
    remarks,
)
from gpu_runs.benchmarks.results import Results, ResultsError, Row
from seeds_theory.errors import SeedsError, UnknownNameError


def results(tmp_path, *, network="edm-cifar10-32x32-uncond-vp.pkl", inception=True, images=50000):
    rows = [
        Row(label, label, "{}", nfe, nfe, 0, 0, images, frechet=frechet, images_per_second=1.0)
        for label, nfe, frechet in (("SEEDS-3", 10, 9.5), ("DDIM", 10, 15.0), ("SEEDS-3", 34, 2.2))
    ]
    header = {
        "files": {"network": network, "reference": "r", "features": "f"},
        "curves": [
            {"label": label, "published": None, "recalled": False, "fine": None}
            for label in ("SEEDS-3", "DDIM")
        ],
        "distance": "FID (Inception, NVIDIA features)"
        if inception
        else "Frechet distance (x features)",
    }
    return Results(tmp_path, header, rows)


def test_every_figure_has_a_source_and_agrees_with_the_presets():
    figures = published()
    assert len(figures) > 40
    for figure in figures:
        assert figure.what and min(fid for _, fid in figure.scores) > 1
        assert "arXiv" in figure.what or "README" in figure.what
    by_network = {
        (figure.checkpoint, *figure.scores[0]): figure.recalled
        for figure in figures
        if figure.source.startswith("edm")
    }
    compared = 0
    for name, preset in presets().items():
        (curve,) = preset.published.curves
        if curve.published and any(key[0] == name for key in by_network):
            compared += 1
            assert by_network[name, 2 * curve.steps[0] - 1, curve.published] == curve.recalled
        if preset.seeds:
            data = name.removeprefix("edm-").removesuffix("-vp")
            (seeds,) = [f for f in figures if f.source == "seeds" and f.data == data]
            assert seeds.scores == ((None, preset.seeds),)
    assert compared == 10
    assert set(known_data()) >= {"cifar10-32x32-cond", "ffhq-64x64-uncond", "afhqv2-64x64-uncond"}


def test_figures_are_those_of_their_source():
    found = {(f.data, f.method, f.source): dict(f.scores) for f in published()}
    ipndm = found["cifar10-32x32-uncond", "iPNDM-4", "diff-sampler"]
    assert ipndm == {3: 47.98, 4: 24.82, 5: 13.59, 6: 7.05, 7: 5.08, 8: 3.69, 9: 3.17, 10: 2.77}
    assert found["cifar10-32x32-uncond", "DPM-Solver-2", "diff-sampler"] == {
        4: 145.98, 6: 60.0, 8: 10.3, 10: 5.01,
    }  # fmt: skip
    assert found["imagenet-64x64-cond", "ER-SDE-Solver-3", "er-sde"] == {20: 3.45, 50: 2.24}


def test_ours_stand_beside_the_nearest_of_the_same_data(tmp_path):
    lines = beside(results(tmp_path))
    own = [(line.nfe, line.method) for line in lines if line.source == "ours"]
    assert own == [(10, "SEEDS-3"), (10, "DDIM"), (34, "SEEDS-3")]
    first = lines[2 : lines.index(next(line for line in lines if line.nfe == 34))]
    assert {line.nfe for line in first} == {10}
    assert [line.score for line in first] == sorted(line.score for line in first)
    assert ("iPNDM-4", 2.77) in {(line.method, line.score) for line in first}
    unstated = [line for line in lines if line.nfe is None]
    assert {line.method for line in unstated} == {"SA-Solver"} and lines[-1:] == unstated
    last = lines[-1 - len([line for line in lines if line.nfe == 35]) :]
    assert any(line.nfe == 35 and line.score == 1.97 and not line.recalled for line in last)
    # Of 20 calls and 34: farther apart than a factor 3/2.
    assert not any(line.nfe == 20 for line in lines)
    for figure in published():
        for calls, _ in figure.scores:
            if calls:
                assert figure.nearest(calls)[0] == calls
                assert figure.nearest(1000 * calls) is None


def test_an_error_stands_behind_its_own_number(tmp_path):
    found = results(tmp_path)
    # The pseudo-values scatter about 8, and the best of two blocks is 9.5 as measured.
    rows = [replace(row, frechet_values=(7.0, 9.0) * 2) for row in found.rows]
    rows += [replace(row, block=1, frechet=row.frechet + 1) for row in rows]
    line = ours(replace(found, rows=rows))[0]
    assert (line.score, line.estimate) == (9.5, 8.0)
    assert line.error == pytest.approx((8 / 7) ** 0.5 / 8**0.5)
    columns = {c.header: list(c.cells) for c in comparison([line, *beside(found)[-1:]]).columns}
    assert columns["best block"] == ["9.5", "2.63*"]
    assert columns["without bias"] == ["8.00 ± 0.38", ""]
    assert "published" not in " ".join(columns)


def test_figures_far_from_our_calls_are_named(tmp_path):
    found = results(tmp_path, network="edm-cifar10-32x32-cond-vp.pkl")
    assert left_out(found) == []  # 35 calls are near 34
    found = replace(found, rows=found.rows[:2])
    (note,) = left_out(found)
    assert note.endswith("EDM, Heun (35 calls, edm); EDM, Heun (35 calls, edm-tables)")
    assert [line.score for line in beside(found) if line.source != "ours"] == [2.24]
    (note,) = left_out(found, "imagenet-64x64-cond")
    assert "EDM, stochastic (511 calls, edm)" in note and "ER-SDE" in note and "Heun (4" not in note


def test_what_is_not_comparable_is_said(tmp_path):
    assert remarks(results(tmp_path)) == []
    (few,) = remarks(results(tmp_path, images=1000))
    assert "of 50000 images, ours of 1000" in few
    (other,) = remarks(results(tmp_path, inception=False))
    assert other.startswith("not comparable: ours are Frechet distance (x features)")


IMAGENET = "imagenet-64x64-cond"


def test_the_data_are_told_by_the_network_or_by_the_user(tmp_path):
    for name in presets():
        found = data_of(results(tmp_path, network=f"files/{name}.pkl"))
        assert found == IMAGENET if name.startswith("edm2") else found in name
    for network in ("fashion-mnist", "my.py:network", "edm", "-", "", "\x1b[31m"):
        with pytest.raises(PublishedError, match="no scores are published") as caught:
            beside(results(tmp_path, network=network))
        assert str(caught.value).isprintable()
    lines = beside(results(tmp_path, network="x"), "celeba-64x64-uncond")
    assert [line.score for line in lines if line.source == "seeds"] == [1.93]
    with pytest.raises(UnknownNameError, match="unknown data set 'cifar'"):
        beside(results(tmp_path), "cifar")


def written(tmp_path, monkeypatch, found):
    monkeypatch.setattr("gpu_runs.benchmarks.results.read_results", lambda folder: found)
    monkeypatch.setenv("COLUMNS", "200")


def test_command_prints_and_writes_the_comparison(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, results(tmp_path, inception=False))
    out = tmp_path / "c.json"
    result = CliRunner().invoke(app, ["compare", "x", "--published", "--json", str(out)])
    assert result.exit_code == 0, result.output
    for text in (
        "iPNDM-4",
        "2.77",
        "SEEDS-3",
        "not comparable",
        "zju-pi/diff-sampler",
        "not stated",
    ):
        assert text in result.output
    record = json.loads(out.read_text())
    assert {line["source"] for line in record["lines"]} >= {"ours", "diff-sampler", "edm"}
    assert "note: left out" in result.output
    result = CliRunner().invoke(app, ["compare", "x"])
    assert result.exit_code == 0 and "SEEDS-3" in result.output
    assert "iPNDM-4" not in result.output and "note:" not in result.output
    result = CliRunner().invoke(app, ["compare", "x", "--data", "cifar10-32x32-cond"])
    assert "add --published" in str(result.exception)


def test_failed_cells_are_left_out(tmp_path):
    whole = results(tmp_path)
    failed = Row("DDIM", "DDIM", "{}", 12, 12, 0, 0, 50000, error="out of memory")
    assert beside(replace(whole, rows=[*whole.rows, failed])) == beside(whole)


def test_folders_without_results(tmp_path):
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "none"), "--published"])
    assert isinstance(result.exception, ResultsError)
    assert "\n" not in str(result.exception)


GOOD = {
    "sources": '[sources.a]\nwhat = "A paper"\nrecalled = true\n',
    "figure": '[[figures]]\ndata = "d"\nmethod = "m"\nsource = "a"\nnfe = [5]\nfid = [2.0]\n',
}


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("[sources.a]", "[sources.b]", "source 'a' is no table with what and recalled"),
        ("recalled = true", "recalled = 1", "source 'a' is no table"),
        ('what = "A paper"', "what = 3", "source 'a' is no table"),
        ('source = "a"', "source = 5", "figure 1: source is a line of text"),
        ("nfe = [5]", "nfe = [5, 6]", "nfe and fid are as many"),
        ("nfe = [5]", "nfe = [5.5]", "network calls are whole numbers"),
        ("nfe = [5]", "nfe = [true]", "network calls are whole numbers"),
        ("nfe = [5]", "nfe = [-1]", "network calls are whole numbers"),
        ("nfe = [5]", "nfe = 5", "nfe is a list"),
        ("fid = [2.0]", "fid = []", "as many, or fid is one"),
        ("nfe = [5]\nfid = [2.0]", "fid = [2.0, 3.0]", "as many, or fid is one"),
        ("fid = [2.0]", "fid = [nan]", "between 0 and a million"),
        ("fid = [2.0]", "fid = [inf]", "between 0 and a million"),
        ("fid = [2.0]", 'fid = ["2"]', "between 0 and a million"),
        ("fid = [2.0]", "fid = [[2]]", "between 0 and a million"),
        ("fid = [2.0]", "fid = [-2]", "between 0 and a million"),
        ("fid = [2.0]", "", "has no fid"),
        ('method = "m"', 'method = "\\u001b[31m"', "method is a line of text"),
        ('method = "m"', 'metod = "m"', "unknown key 'metod'"),
        ('data = "d"', 'data = ""', "data is a line of text"),
        ("[[figures]]", "[figures]", "a list of figures"),
        ("[sources.a]", "[[sources]]", "tables of sources"),
        ("fid = [2.0]", "fid = [2.0", "is no TOML"),
        ("fid = [2.0]", "fid = " + "[" * 3000, "is no TOML"),
    ],
)
def test_files_that_hold_no_figures(tmp_path, old, new, match):
    path = tmp_path / "published.toml"
    text = GOOD["sources"] + GOOD["figure"]
    path.write_text(text)
    assert published(path)[0].scores == ((5, 2.0),)
    published.cache_clear()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PublishedError, match=match) as caught:
        published(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    published.cache_clear()


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(PublishedError, match="cannot read"):
        published(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SeedsError, match="is no TOML"):
        published(tmp_path / "binary.toml")
    with pytest.raises(PublishedError, match="cannot read"):
        published(tmp_path)
    assert math.isfinite(published()[0].scores[0][1])
