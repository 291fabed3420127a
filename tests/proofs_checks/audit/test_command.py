"""`seeds-audit`: exit status, JSON, plots, samplers of the current folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from proofs_checks.audit.command import main
from seeds_theory.baselines import BASELINES
from seeds_theory.methods import METHODS

MODULE = """
import torch

def sample_euler(model, x, sigmas, extra_args=None, callback=None, disable=None, wrong=False):
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        D = model(x, s * x.new_ones(len(x)), **(extra_args or {}))
        if callback:
            callback({"x": x, "i": i, "sigma": s, "sigma_hat": s, "denoised": D})
        x = D + (t / s) * (x - D) * (2 if wrong else 1)
    return x

def sample_silently(model, x, sigmas, extra_args=None, callback=None):
    return sample_euler(model, x, sigmas, extra_args)

def sample_nothing(model, x, sigmas):
    return torch.zeros_like(x)

def sample_fails(model, x, sigmas):
    raise RuntimeError("no luck")
"""
EULER, SILENT = "my_samplers:sample_euler", "my_samplers:sample_silently"

REPORT = {
    "target",
    "nfe_per_step",
    "deterministic",
    "weak_order",
    "weak_order_independent",
    "strong_order",
    "limit",
    "weak",
    "strong",
    "mixture",
    "alone",
    "errors",
    "skipped",
    "findings",
}
FINDING = {"id", "severity", "expected", "found", "figure", "reproduction"}


@pytest.fixture(autouse=True)
def a_folder_with_samplers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_samplers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_samplers", raising=False)


pytestmark = pytest.mark.usefixtures("fewer_steps")


class Result:
    """The exit status and what was printed."""

    def __init__(self, arguments: tuple[str, ...], capsys: pytest.CaptureFixture) -> None:
        try:
            main()
            self.status = 0
        except SystemExit as end:
            self.status = int(end.code or 0)
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["seeds-audit", *arguments])
        return Result(arguments, capsys)

    return run


def no_constants(text: str) -> list[dict]:
    """Strict JSON: NaN and Infinity are refused."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_sound_sampler_ends_with_status_0(run) -> None:
    result = run(EULER, "--expect", "ode=1")
    assert result.status == 0
    assert result.out.startswith(f"{EULER}\n")
    assert "1 call a step, order 1.00, limit: ODE" in result.out


def test_a_lost_order_ends_with_status_1(run) -> None:
    result = run(EULER, "--expect", "ode=2")
    assert result.status == 1
    assert "error weak-order: order 1.00" in result.out
    assert "expected: order 2" in result.out


@pytest.mark.parametrize(("least", "status"), [("error", 0), ("warning", 1), ("note", 1)])
def test_what_fails_can_be_chosen(run, least: str, status: int) -> None:
    result = run(SILENT, "--fail-on", least)
    assert result.status == status
    assert "warning callback" in result.out


def test_json_on_stdout_is_strict_and_has_every_key(run) -> None:
    result = run(
        EULER,
        "my_samplers:sample_nothing",
        "my_samplers:sample_fails",
        "--json",
        "-",
        "--jobs",
        "1",
    )
    assert result.status == 1
    euler, nothing, fails = no_constants(result.out)
    for record in (euler, nothing, fails):
        assert record.keys() == REPORT
        for finding in record["findings"]:
            assert finding.keys() == FINDING
            assert finding["severity"] in ("note", "warning", "error")
            assert record["target"] in finding["reproduction"]
    assert (euler["target"], euler["nfe_per_step"], euler["deterministic"]) == (EULER, 1, True)
    assert euler["weak_order"] == pytest.approx(1, abs=0.05)
    assert euler["weak_order_independent"] == euler["weak_order"]
    assert euler["limit"]["text"] == "ODE"
    assert euler["limit"].keys() == {"text", "law", "law_error", "eta", "path"}
    assert euler["errors"]["steps"][:2] == [16, 32]
    assert len(euler["errors"]["weak"]) == len(euler["errors"]["steps"])
    assert euler["findings"] == []
    assert nothing["limit"]["law"] is False
    assert (fails["weak_order"], fails["limit"], fails["errors"]) == (None, None, None)
    (failure,) = fails["findings"]
    assert failure["id"] == "runs"
    assert "RuntimeError: no luck" in failure["found"]
    assert "sample_fails" in result.err  # the text goes where it does not mix with JSON


def test_files_are_written(run, tmp_path: Path) -> None:
    result = run(EULER, "--json", "audit.json", "--plot", "audit.png")
    assert result.status == 0
    (record,) = no_constants((tmp_path / "audit.json").read_text())
    assert record["target"] == EULER
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_a_plot_of_a_sampler_that_fails_is_made_too(run, tmp_path: Path, suffix: str) -> None:
    run("my_samplers:sample_fails", "--plot", f"audit.{suffix}")
    assert (tmp_path / f"audit.{suffix}").stat().st_size > 1000


@pytest.mark.slow
def test_a_baseline_lets_known_findings_pass(run, tmp_path: Path) -> None:
    wrong = f"{EULER}?wrong=True"
    assert run(wrong, "--json", "known.json").status == 1
    result = run(wrong, "--accept", "known.json", "--markdown", "audit.md", "--badge", "audit.svg")
    assert result.status == 0
    assert f"{wrong}: known: limit" in result.out.replace("\n", " ")
    assert "### Samplers: all pass" in (tmp_path / "audit.md").read_text()
    assert "no new error, " in (tmp_path / "audit.svg").read_text()
    assert run(SILENT, "--accept", "known.json", "--fail-on", "warning").status == 1


def test_a_skipped_check_is_named(run) -> None:
    result = run(
        SILENT, "--fail-on", "warning", "--skip", "callback", "--skip", "seeds", "--json", "-"
    )
    assert result.status == 0
    assert "not checked: callback, seeds" in result.err
    (record,) = no_constants(result.out)
    assert record["skipped"] == ["callback", "seeds"]


@pytest.mark.slow
def test_two_versions_are_compared(run, tmp_path: Path) -> None:
    """In processes of their own, which take the audit's full grids."""
    result = run(
        "--compare", EULER, f"{EULER}?wrong=True", "--json", "both.json", "--plot", "both.png"
    )
    assert result.status == 1
    assert "worse: a new finding, limit" in result.out
    record = json.loads((tmp_path / "both.json").read_text())
    assert record.keys() == {"first", "second", "difference", "error_ratio", "worse"}
    assert record["first"]["target"] == EULER
    assert (tmp_path / "both.png").exists()
    assert run("--compare", EULER, EULER).status == 0


def test_options_are_part_of_a_name(run) -> None:
    result = run(f"{EULER}?wrong=True")
    assert result.status == 1
    assert "error limit" in result.out


def test_the_list_names_all_of_this_library(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    result = run("--list")
    assert result.status == 0
    assert all(name in result.out for name in [*METHODS, *BASELINES])
    assert "module:function" in result.out


def test_help_has_an_example(run) -> None:
    result = run("--help")
    assert result.status == 0
    assert "Example" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one or more samplers"),
        (["seeds-9"], "unknown sampler 'seeds-9'"),
        ([EULER, "seeds-9"], "unknown sampler 'seeds-9'"),
        (["nowhere:sample"], "cannot import 'nowhere'"),
        (["my_samplers:sample_heun"], "it has sample_euler"),
        ([EULER, "--expect", "second"], "weak=2,strong=1"),
        ([EULER, "--json", "no/such/folder.json"], "folder"),
        ([EULER, "--plot", "audit.docx"], ".png"),
        ([EULER, "--plot", "."], "folder"),
        (["seeds-2?eta=-1"], "eta"),
        ([EULER, "--skip", "callbak"], "unknown check 'callbak'"),
        ([EULER, "--skip", "weak-order", "--expect", "ode=1"], "leave out the one or the other"),
        ([EULER, "--accept", "my_samplers.py"], "my_samplers.py is no record of known findings"),
        ([EULER, "--accept", "none.json"], "cannot use the file none.json"),
        ([EULER, "--badge", "audit.png"], "a badge is a .svg file"),
        ([EULER, "--markdown", "no/such/folder.md"], "folder"),
        (["--compare", EULER], "--compare takes two samplers"),
        (["--compare", EULER, EULER, "--badge", "a.svg"], "--compare takes two samplers"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(run, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.status == 2
    assert message in result.err
    assert result.err.startswith("seeds-audit: ")
    assert result.err.count("\n") == 1
    assert result.out == ""


def test_a_wrong_option_has_status_2(run) -> None:
    assert run(EULER, "--fail-on", "never").status == 2
    assert run("--no-such-option").status == 2
