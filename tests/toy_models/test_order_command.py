import json

import pytest
from typer.testing import CliRunner

from seeds_theory.solver import SOLVERS
from toy_models.order import app, main

run = CliRunner().invoke


def records(*arguments: str) -> list[dict]:
    result = run(app, [*arguments, "--json", "-"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
def test_the_defaults_show_the_orders_of_the_family():
    found = records("seeds-1", "seeds-2", "seeds-3")
    assert [r["strong_order"] for r in found] == pytest.approx([1, 1, 1], abs=0.05)
    assert [r["weak_order"] for r in found] == pytest.approx([1, 2, 2], abs=0.05)
    assert all(r["exact"] and not any(r["strong_se"]) for r in found)


def test_nodes_keep_weak_order_two():
    (found,) = records("seeds-2@0.7")
    assert found["method"] == "seeds-2@0.7"
    assert found["weak_order"] == pytest.approx(2, abs=0.05)


def test_options_reach_the_study():
    arguments = ["--steps", "4,16", "--variance", "0.25", "--eta", "0.5", "--prediction", "noise"]
    (found,) = records("seeds-3", *arguments, "--sigma-max", "3", "--sigma-min", "0.1")
    assert (found["steps"], found["nfe"]) == ([4, 16], [12, 48])
    assert (found["eta"], found["prediction"]) == (0.5, "noise")


def test_files_are_written(tmp_path):
    out, plot = tmp_path / "orders.json", tmp_path / "orders.png"
    result = run(app, ["seeds-1", "--steps", "4,8", "--json", str(out), "--plot", str(plot)])
    assert result.exit_code == 0
    assert json.loads(out.read_text())[0]["steps"] == [4, 8]
    assert plot.stat().st_size > 1000


def test_list_names_every_sampler_on_a_line_of_eighty_columns():
    result = run(app, ["--list"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    first_words = [line.split(" ")[0] for line in result.stdout.splitlines()]
    assert [name for name in SOLVERS if name not in first_words] == []
    assert len(first_words) < len(SOLVERS) + 15  # few references take a second line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one or more methods"),
        (["seeds-9"], "unknown sampler 'seeds-9'"),
        (["seeds-2@1.5"], "(0, 1]"),
        (["seeds-1", "--eta", "-1"], "eta"),
        (["seeds-1", "--variance", "0"], "variance"),
        (["seeds-1", "--sigma-min", "20"], "sigma_min"),
        (["seeds-1", "--steps", "a,b"], "whole numbers are written as 8,16,32; got 'a,b'"),
        (["seeds-1", "--steps", "16,8"], "increasing"),
        (["seeds-1", "--json", "no/such/folder/x.json"], "folder"),
        (["seeds-1", "--plot", "orders.docx"], ".png"),
        (["seeds-1", "--json", "."], "is a folder"),
        (["seeds-1", "--target", "mixture", "--variance", "2"], "--variance is for"),
        (["seeds-1", "--sigma-max", "1e160"], "1e+160"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["seeds-order", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    assert exit_.value.code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
