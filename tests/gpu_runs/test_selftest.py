import json
import re

import pytest
import torch
from typer.testing import CliRunner

from gpu_runs.benchmarks import selftest
from gpu_runs.benchmarks.selftest import (
    Fault,
    Machine,
    NotHere,
    report,
    run_checks,
    without_folders,
)
from gpu_runs.names import SELF_TESTS
from gpu_runs.selftest import app
from seeds_theory.errors import ParameterError, UnknownNameError
from seeds_theory.sources import SeededNoise

QUICK = ("environment", "noise", "products", "graph", "compile", "png")


@pytest.fixture
def machine(tmp_path):
    return Machine(torch.device("cpu"), 2, tmp_path)


def outcome(machine, name):
    (found,) = run_checks(machine, [name])
    return found


def test_the_quick_checks_pass_on_a_cpu(machine):
    outcomes = list(run_checks(machine, QUICK))
    assert [one.check for one in outcomes] == list(QUICK)
    verdicts = {one.check: one.verdict for one in outcomes}
    assert verdicts == dict.fromkeys(QUICK, "pass") | {"graph": "skipped", "compile": "skipped"}
    assert "cpu has no CUDA graphs" in outcomes[3].said
    assert report(machine, outcomes)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("error", "verdict", "said"),
    [
        (Fault("not the same"), "fail", "not the same"),
        (NotHere("no GPU"), "skipped", "no GPU"),
        (
            RuntimeError("CUDA error: unspecified\nmore\nlines"),
            "fail",
            "RuntimeError: CUDA error: unspec",
        ),
        (KeyError(), "fail", "KeyError: "),
        (
            OSError(2, "No such file", "/home/someone/x.png"),
            "fail",
            "FileNotFoundError: [Errno 2] No such file: 'x.png'",
        ),
    ],
)
def test_what_a_check_raises_is_its_line(machine, monkeypatch, error, verdict, said):
    def check(_):
        raise error

    monkeypatch.setitem(selftest._CHECKS, "png", check)
    found = outcome(machine, "png")
    assert found.verdict == verdict
    assert len(found.said.splitlines()) < 2 and "someone" not in found.said
    assert found.said.startswith(said)
    assert report(machine, [found])["verdict"] == ("fail" if verdict == "fail" else "pass")


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("cannot write /home/me/a b/x.png: full", "cannot write a b/x.png: full"),
        ("'/home/me/x.png'", "'x.png'"),
        (r"C:\Users\me\x.png is gone", "x.png is gone"),
        ("4 images/s at 7 calls, and 1/2", "4 images/s at 7 calls, and 1/2"),
        ("(/tmp/seeds-selftest-1/net.safetensors)", "(net.safetensors)"),
        ("no path", "no path"),
    ],
)
def test_folders_are_left_out(text, without):
    assert without_folders(text) == without


# ------------------------------------------------------------------- each check can fail


def test_another_noise_is_found(machine, monkeypatch):
    draw = SeededNoise.__call__
    monkeypatch.setattr(SeededNoise, "__call__", lambda s, i, like: draw(s, i, like) * len(like))
    assert outcome(machine, "noise").said == "the noise of a seed depends on the batch"


def test_a_network_that_computes_something_else_is_found(machine, monkeypatch):
    monkeypatch.setattr(selftest, "WITHIN", {"fp32": 1e-5, "bf16": 1e-4, "fp16": 1e-4})
    found = outcome(machine, "ddpmpp")
    assert found.verdict == "fail"
    assert found.said.startswith("apart from the CPU by fp32 0.0e+00 (limit 1e-05), bf16 1")


def test_inexact_products_and_flags_that_stay_are_found(machine, monkeypatch):
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("this torch has the older flags alone")
    monkeypatch.setattr(selftest, "arithmetic", Leaving)
    assert "flags of precision are not as they were" in outcome(machine, "products").said
    assert torch.backends.fp32_precision == "none"


class Leaving:
    def __init__(self, **_):
        pass

    def __enter__(self):
        torch.backends.fp32_precision = "none"

    def __exit__(self, *_):
        pass


def test_images_that_are_read_otherwise_are_found(machine, monkeypatch):
    monkeypatch.setattr(selftest, "_all", lambda images: torch.zeros(64, 3, 32, 32).byte())
    assert outcome(machine, "png").said == "images that were written are not read as they were"


def test_processes_that_fail_are_found(machine, monkeypatch):
    monkeypatch.setattr(selftest, "_run_here", lambda *_, **__: {})
    monkeypatch.setattr(selftest.sys, "executable", "/bin/false")
    assert outcome(machine, "several").said == "a process ended with status 1: it said nothing"
    assert outcome(machine, "resume").said == "a run made no images: it said nothing"


# ------------------------------------------------------------------------------- the command


def test_the_command_writes_a_report_without_folders(tmp_path):
    out = tmp_path / "report.json"
    result = CliRunner().invoke(app, ["environment", "png", "--device", "cpu", "--out", str(out)])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("pass    environment  system ") and lines[0].endswith("1 of 2]")
    assert lines[1].startswith("pass    png ") and lines[2].startswith("pass; the report is ")
    content = json.loads(out.read_text())
    assert [check["check"] for check in content["checks"]] == ["environment", "png"]
    assert str(tmp_path) not in out.read_text() and content["verdict"] == "pass"


def test_a_failing_check_is_status_1(tmp_path, monkeypatch):
    monkeypatch.setattr(selftest, "_all", lambda images: torch.zeros(1))
    arguments = ["png", "--device", "cpu", "--out", str(tmp_path / "x.json")]
    assert CliRunner().invoke(app, arguments).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["pngs"], UnknownNameError, r"unknown check 'pngs' \(did you mean 'png'\?\); known: env"),
        (["--processes", "0"], ParameterError, "processes are 1 to 64; got 0"),
        (["--processes", "1000000"], ParameterError, "processes are 1 to 64; got 1000000"),
        (["--device", "meta"], ParameterError, "device meta is not available here"),
        (["--device", "cpu\n"], ParameterError, r"device 'cpu\\n' is not available here"),
        (["--out", "no/such/folder/x.json"], ParameterError, "no folder no/such/folder"),
    ],
)
def test_wrong_input(arguments, error, message):
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, error)
    assert re.search(message, str(result.exception))


@pytest.mark.slow
def test_all_of_it_passes_on_a_cpu_with_two_processes(tmp_path):
    out = tmp_path / "report.json"
    arguments = ["--device", "cpu", "--processes", "2", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    verdicts = {one["check"]: one["verdict"] for one in json.loads(out.read_text())["checks"]}
    assert list(verdicts) == list(SELF_TESTS)
    assert {name for name, verdict in verdicts.items() if verdict == "skipped"} == {
        "graph",
        "compile",
    }
