"""The committed record of other libraries' samplers, and how it is made."""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from proofs_checks.audit import survey
from proofs_checks.audit.entries import Entry, by_order, entries_of, of, sde
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.names import LIBRARIES
from proofs_checks.audit.peers import checkout, flux
from proofs_checks.audit.peers.checkout import VARIABLE
from proofs_checks.audit.report import Report
from proofs_checks.audit.reproductions import PROGRAMS, library_of, reproduce, scripts
from seeds_theory.errors import LibraryError, UnknownNameError

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "book" / "survey.json"

SDE_3 = "algorithm_type=sde-dpmsolver++&solver_order=3"
KNOWN = [
    (f"diffusers:DPMSolverMultistepScheduler?{SDE_3}", "convergence", "error"),
    (f"diffusers:EDMDPMSolverMultistepScheduler?{SDE_3}", "runs", "error"),
    ("kdiffusion:dpmpp_3m_sde?eta=0", "weak-order", "error"),
    ("kdiffusion:dpmpp_sde", "noise-source", "warning"),
    ("diffusers:DDPMScheduler?variance_type=fixed_large_log", "runs", "error"),
    ("azula:REABSampler?order=2", "weak-order", "error"),
]
SCRIPTS = scripts()
ROW = {"library", "claims", "made", *Report("name").to_json()}


@pytest.fixture(scope="module")
def record():
    def refuse(constant):
        raise ValueError(f"{constant} is not strict JSON")

    return json.loads(RECORD.read_text(), parse_constant=refuse)


def test_record_has_its_rows_once_in_order_and_all_keys(record):
    targets = [row["target"] for row in record["reports"]]
    assert targets == [entry.target for entry in survey.ENTRIES if entry.target in set(targets)]
    assert len(set(targets)) == len(targets)
    assert set(record) == {
        *("command", "date", "versions", "reproductions", "reports", "densities")
    }
    assert set(record["versions"]) == {"torch", *(row["library"] for row in record["reports"])}
    assert all(record["versions"].values())
    for row in record["reports"]:
        assert set(row) == ROW
        assert row["library"] in LIBRARIES
        assert row["made"]["version"] == record["versions"][row["library"]]
        assert {f["severity"] for f in row["findings"]} <= {level.value for level in Severity}
        assert not any("reproduction" in finding for finding in row["findings"])


@pytest.mark.parametrize(("target", "finding", "severity"), KNOWN)
def test_known_defects_are_in_the_record(record, target, finding, severity):
    row = next((row for row in record["reports"] if row["target"] == target), None)
    if row is None:
        pytest.skip("not in this record, which is made library by library")
    assert (finding, severity) in {(f["id"], f["severity"]) for f in row["findings"]}


def test_record_keeps_the_output_of_scripts_that_are_here(record):
    assert set(record["reproductions"]) <= set(SCRIPTS)
    assert len(record["reproductions"]) > len(SCRIPTS) / 2


def numbers(text):
    return [float(found) for found in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", text)]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_reproductions_run_and_print_what_the_record_says(record, name):
    try:
        printed = reproduce(SCRIPTS[name])
    except ImportError as absent:
        pytest.skip(str(absent))
    kept = record["reproductions"][name]
    assert re.sub(r"[-+\d.e]+", "", printed) == re.sub(r"[-+\d.e]+", "", kept)
    # Other versions of torch may draw other numbers: samples are of 30,000 and more.
    assert numbers(printed) == pytest.approx(numbers(kept), rel=0.1, abs=1.5)


@pytest.mark.slow
def test_a_script_changes_nothing_here_and_its_failure_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    script = tmp_path / "alone.py"
    script.write_text(
        "import torch, sys\ntorch.randn = None\nprint(1)\nprint(2, file=sys.stderr)\n"
    )
    assert reproduce(script) == "1\n" and torch.randn
    with pytest.raises(LibraryError, match="there is no checkout"):
        reproduce(SCRIPTS["ersde_clip"])
    script.write_text("import surely_not_there\n")
    monkeypatch.setattr(survey, "scripts", lambda: {"alone": script})
    told = []
    assert survey._outputs(None, told.append) == {}
    assert told == ["alone.py: left out: No module named 'surely_not_there'"]


def test_a_script_is_of_the_library_that_its_name_begins_with():
    assert library_of("diffusers_pndm_v_prediction") == "diffusers"
    assert library_of("dpmsolver_third_order") == "dpmsolver"
    assert library_of("er_sde_quadrature") is None
    checkouts = [name for name, path in SCRIPTS.items() if path.parent.name == "checkouts"]
    others = tuple(f"{program}_" for program in PROGRAMS)
    assert checkouts and all(library_of(name) or name.startswith(others) for name in checkouts)


def test_the_third_order_term_is_half_of_what_it_should_be(record):
    for library in ("diffusers", "kdiffusion"):
        lines = record["reproductions"][f"{library}_third_order_multistep"].splitlines()
        assert [float(line.split()[-1]) for line in lines] == pytest.approx([0.5] * 3, abs=0.002)


def test_every_library_has_entries_which_are_its_own():
    for name in LIBRARIES:
        assert {entry.library for entry in entries_of(name)} == {name}
    targets = [entry.target for entry in survey.ENTRIES]
    assert len(set(targets)) == len(targets) > 450
    assert Entry("proofs_checks.audit.entries.diffusers:sa_solver").library == "diffusers"


def test_claims_follow_the_options():
    by_target = {entry.target: entry.claims for entry in survey.ENTRIES}
    multistep = "diffusers:DPMSolverMultistepScheduler"
    assert by_target[f"{multistep}?solver_order=3"] == Expectation(ode=3)
    assert by_target[f"{multistep}?{SDE_3}"] == Expectation(weak=2)
    assert by_target["kdiffusion:dpmpp_sde"] is None


def test_options_join_those_of_the_name():
    assert of("l", "f").target == "l:f"
    assert of("l", "f", a=1, b="x").target == "l:f?a=1&b=x"
    assert of("l", "f?a=1", b=2).target == "l:f?a=1&b=2"
    orders = by_order("l", "f", "order", (1, 3), flow=True)
    assert [e.target for e in orders] == ["l:f?order=1&flow=True", "l:f?order=3&flow=True"]
    assert [e.claims for e in orders] == [Expectation(ode=1), Expectation(ode=3)]
    assert sde(3) == sde(2) == Expectation(weak=2)


# ------------------------------------------------------------------------------------ how it is made


@pytest.fixture
def small(monkeypatch):
    """Three entries of two libraries, whose audits are made up, both at version 1; keeps what was audited."""
    asked, versions = [], {"torchsde": "1", "azula": "1"}

    def audit_all(targets, claims, *, jobs, progress):
        asked.extend(targets)
        return [Report(target) for target in targets]

    def find_target(target):
        if versions[target.partition(":")[0]] is None:
            raise LibraryError("not here: get it")

    entries = (Entry("torchsde:a", Expectation(ode=1)), Entry("torchsde:b"), Entry("azula:c"))
    monkeypatch.setattr(survey, "ENTRIES", entries)
    monkeypatch.setattr(survey, "LIBRARIES", ("torchsde", "azula"))
    monkeypatch.setattr(survey, "scripts", dict)
    monkeypatch.setattr(survey, "audit_all", audit_all)
    monkeypatch.setattr(survey, "find_target", find_target)
    monkeypatch.setattr(survey, "version", lambda name: versions[name])
    return asked, versions


@pytest.fixture
def path(tmp_path):
    return tmp_path / "survey.json"


BOTH = ("torchsde", "azula")


def made(path, libraries=BOTH):
    """The record, and what was told."""
    told = []
    return survey.make(path, libraries, tell=told.append), told


def test_a_record_is_made_and_read(small, path):
    asked, _ = small
    record, told = made(path)
    assert asked == ["torchsde:a", "torchsde:b", "azula:c"]
    assert record["reports"][0]["claims"] == {"ode": 1}
    assert survey.survey(path) == json.loads(path.read_text()) == record
    assert told[0] == "torchsde: 2 samplers, 0 errors, 0 warnings, 0 notes"
    assert survey.outdated(record) == survey.missing(record) == {}
    assert asked == ["torchsde:a", "torchsde:b", "azula:c"]  # reading audits nothing
    assert list(path.parent.iterdir()) == [path]


def test_a_part_keeps_the_rows_of_others(small, path):
    asked, versions = small
    first, _ = made(path)
    versions.update(azula="2", torchsde="2")
    asked.clear()
    second, _ = made(path, ["azula"])
    assert asked == ["azula:c"]
    assert second["versions"]["azula"] == "2" and second["versions"]["torchsde"] == "1"
    assert second["reports"][:2] == first["reports"][:2]
    assert survey.outdated(second) == {"torchsde": 2}


def test_parts_come_in_the_order_of_the_entries(small, path):
    made(path, ["azula"])
    record, _ = made(path, ["torchsde"])
    assert [row["target"] for row in record["reports"]] == ["torchsde:a", "torchsde:b", "azula:c"]


def test_a_row_whose_entry_has_gone_goes(small, path, monkeypatch):
    made(path)
    monkeypatch.setattr(survey, "ENTRIES", survey.ENTRIES[1:])
    record, _ = made(path, ["azula"])
    assert [row["target"] for row in record["reports"]] == ["torchsde:b", "azula:c"]


def test_rows_of_other_code_are_outdated(small, path, monkeypatch):
    record, _ = made(path)
    monkeypatch.setattr(survey, "fingerprint", lambda library: "another")
    assert survey.outdated(record) == {"torchsde": 2, "azula": 1}


def test_entries_without_a_row_are_missing(small, path):
    record, _ = made(path, ["azula"])
    assert survey.missing(record) == {"torchsde": 2}
    assert survey.outdated(record) == {}


def test_a_library_that_is_not_here_is_left_out_and_keeps_its_rows(small, path):
    _, versions = small
    first, _ = made(path)
    versions["torchsde"] = None
    second, told = made(path)
    assert told[0] == "torchsde: left out: not here: get it"
    assert second["reports"] == first["reports"]
    assert survey.outdated(second) == {}  # nothing here says that they are old


def test_what_is_done_is_written_when_a_later_library_fails(small, path, monkeypatch):
    def audit_all(targets, claims, **_):
        if targets == ["azula:c"]:
            raise RuntimeError("stop")
        return [Report(target) for target in targets]

    monkeypatch.setattr(survey, "audit_all", audit_all)
    with pytest.raises(RuntimeError, match="stop"):
        made(path)
    assert len(survey.survey(path)["reports"]) == 2


def test_a_record_is_strict_json_and_whole(small, path, monkeypatch):
    made(path)
    before = path.read_text()
    monkeypatch.setattr(
        survey, "_brief", lambda report: {"target": report["target"], "x": math.nan}
    )
    with pytest.raises(ValueError, match="JSON"):
        made(path)
    assert path.read_text() == before


def test_a_row_is_brief():
    finding = {"id": "runs", "found": "x", "reproduction": "print()"}
    alone = {"findings": [finding], "errors": None, "alone": None}
    report = {
        "findings": [finding],
        "errors": {"steps": [1, 2], "weak": [0.123456, None]},
        "alone": alone,
    }
    brief = survey._brief(report)
    assert brief["findings"] == brief["alone"]["findings"] == [{"id": "runs", "found": "x"}]
    assert brief["errors"] == {"steps": [1, 2], "weak": [0.1235, None]}


def test_the_fingerprint_is_of_the_code_that_the_library_meets():
    assert re.fullmatch("[0-9a-f]{16}", survey.fingerprint("azula"))
    assert survey.fingerprint("azula") != survey.fingerprint("flux")
    assert survey._adapters("res4lyf") == {"res4lyf", "comfyui", "kdiffusion"}
    assert survey._adapters("flux") == {"flux"}


def test_the_version_of_a_checkout_is_its_commit(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert survey.version("flux") is None
    (tmp_path / flux.CHECKOUT.directory).mkdir()
    monkeypatch.setattr(checkout, "_head", lambda folder: flux.CHECKOUT.commit)
    assert survey.version("flux") == f"black-forest-labs/flux@{flux.CHECKOUT.commit[:12]}"


# ------------------------------------------------------------------------------------- the command


def test_command_writes_the_record(small, path):
    result = CliRunner().invoke(survey.app, [str(path), "--library", "azula"])
    assert result.exit_code == 0
    assert f"{path}: 1 samplers, 0 errors, 0 warnings, 0 notes" in result.output
    assert json.loads(path.read_text())["command"] == "make survey"


def test_command_knows_the_libraries(small, path):
    result = CliRunner().invoke(survey.app, [str(path), "--library", "azule"])
    assert isinstance(result.exception, UnknownNameError)
    assert "azula" in str(result.exception) and not path.exists()


def test_help_has_an_example():
    result = CliRunner().invoke(survey.app, ["--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
