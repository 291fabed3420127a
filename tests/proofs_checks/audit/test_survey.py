"""The committed record of other libraries' samplers, and when it is made anew."""

import importlib.util
import json
import math
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proofs_checks.audit import survey
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.report import Report

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "book" / "survey.json"

SDE_3 = "algorithm_type=sde-dpmsolver++&solver_order=3"
KNOWN = [
    (f"diffusers:DPMSolverMultistepScheduler?{SDE_3}", "weak-order", "error"),
    (f"diffusers:EDMDPMSolverMultistepScheduler?{SDE_3}", "runs", "error"),
    ("kdiffusion:dpmpp_3m_sde?eta=0", "weak-order", "error"),
    ("kdiffusion:dpmpp_sde", "noise-source", "warning"),
    ("diffusers:DDPMScheduler?variance_type=fixed_large_log", "runs", "error"),
    ("azula:REABSampler?order=2", "weak-order", "error"),
]
SCRIPTS = sorted(survey.SCRIPTS.glob("*.py"))
NEEDS = {"kdiffusion": "k_diffusion", "diffusers": "diffusers", "azula": "azula", "er": "torch"}


@pytest.fixture(scope="module")
def record():
    def refuse(constant):
        raise ValueError(f"{constant} is not strict JSON")

    return json.loads(RECORD.read_text(), parse_constant=refuse)


def test_record_has_every_entry_once_and_all_keys(record):
    targets = [row["target"] for row in record["reports"]]
    assert targets == [entry.target for entry in survey.ENTRIES]
    assert len(set(targets)) == len(targets)
    assert set(record) == {
        *("command", "date", "versions", "audit", "reproductions", "reports"),
    }
    assert set(record["versions"]) == {*survey.PACKAGES.values(), "torch"}
    assert all(record["versions"].values())
    keys = {"library", "claims", *Report("name").to_json()}
    for row in record["reports"]:
        assert set(row) == keys
        assert row["library"] in survey.PACKAGES
        assert {f["severity"] for f in row["findings"]} <= {level.value for level in Severity}


@pytest.mark.parametrize(("target", "finding", "severity"), KNOWN)
def test_known_defects_are_in_the_record(record, target, finding, severity):
    row = next(row for row in record["reports"] if row["target"] == target)
    assert (finding, severity) in {(f["id"], f["severity"]) for f in row["findings"]}


def test_record_keeps_the_output_of_every_script(record):
    assert set(record["reproductions"]) == {script.stem for script in SCRIPTS}


def numbers(text):
    return [float(found) for found in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", text)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_reproductions_run_and_print_what_the_record_says(record, script):
    module = NEEDS[script.stem.partition("_")[0]]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module}")
    printed, kept = survey.reproduce(script), record["reproductions"][script.stem]
    assert re.sub(r"[-+\d.e]+", "", printed) == re.sub(r"[-+\d.e]+", "", kept)
    # Other versions of torch may draw other numbers: samples are of 30,000 and more.
    assert numbers(printed) == pytest.approx(numbers(kept), rel=0.1, abs=1.5)


def test_the_third_order_term_is_half_of_what_it_should_be(record):
    for library in ("diffusers", "kdiffusion"):
        lines = record["reproductions"][f"{library}_third_order_multistep"].splitlines()
        assert [float(line.split()[-1]) for line in lines] == pytest.approx([0.5] * 3, abs=0.002)


def test_a_library_is_the_one_of_the_adapter():
    libraries = {entry.library for entry in survey.ENTRIES}
    assert libraries == set(survey.PACKAGES)
    entry = survey.Entry("proofs_checks.audit.survey:sa_solver?tau=1&order=2")
    assert entry.library == "diffusers"


def test_claims_follow_the_options():
    by_target = {entry.target: entry.claims for entry in survey.ENTRIES}
    multistep = "diffusers:DPMSolverMultistepScheduler"
    assert by_target[f"{multistep}?solver_order=3"] == Expectation(ode=3)
    assert by_target[f"{multistep}?{SDE_3}"] == Expectation(weak=2)
    assert by_target["kdiffusion:dpmpp_sde"] is None


# -------------------------------------------------------------------------------- when it is made anew


@pytest.fixture
def small(monkeypatch):
    """One entry, whose audit is made up, all libraries at version 1; keeps what was audited."""
    asked = []

    def audit_all(targets, claims, *, jobs, progress):
        asked.extend(targets)
        return [Report(target) for target in targets]

    monkeypatch.setattr(survey, "ENTRIES", (survey.Entry("torchsde:euler", Expectation(ode=1)),))
    monkeypatch.setattr(survey, "SCRIPTS", Path("none"))
    monkeypatch.setattr(survey, "audit_all", audit_all)
    installed = dict.fromkeys([*survey.PACKAGES.values(), "torch"], "1")
    monkeypatch.setattr(survey, "versions", lambda: dict(installed))
    return asked, installed


def test_a_current_record_is_read(small, tmp_path):
    asked, _ = small
    path = tmp_path / "survey.json"
    made = survey.make(path)
    assert made["reports"][0]["claims"] == {"ode": 1}
    assert survey.survey(path) == json.loads(path.read_text()) == made
    assert asked == ["torchsde:euler"]


def test_a_record_of_another_version_is_made_anew(small, tmp_path):
    asked, installed = small
    path = tmp_path / "survey.json"
    survey.make(path)
    installed["diffusers"] = "2"
    assert survey.survey(path)["versions"]["diffusers"] == "2"
    assert len(asked) == 2


def test_a_record_of_other_code_is_made_anew(small, tmp_path, monkeypatch):
    asked, _ = small
    path = tmp_path / "survey.json"
    survey.make(path)
    monkeypatch.setattr(survey, "fingerprint", lambda: "another")
    assert survey.survey(path)["audit"] == "another"
    assert len(asked) == 2


def test_a_record_of_other_entries_is_not_current(small, tmp_path, monkeypatch):
    made = survey.make(tmp_path / "survey.json")
    assert survey.is_current(made)
    monkeypatch.setattr(survey, "ENTRIES", (survey.Entry("torchsde:heun"),))
    assert not survey.is_current(made)


def test_an_old_record_is_kept_where_a_library_is_missing(small, tmp_path):
    asked, installed = small
    path = tmp_path / "survey.json"
    made = survey.make(path)
    installed["azula"] = None
    assert survey.survey(path) == made
    assert len(asked) == 1


def test_a_record_is_strict_json(small, tmp_path, monkeypatch):
    monkeypatch.setattr(Report, "to_json", lambda report: {"figure": math.nan})
    with pytest.raises(ValueError, match="JSON"):
        survey.make(tmp_path / "survey.json")
    assert not (tmp_path / "survey.json").exists()


def test_fingerprint_is_of_the_audit_only():
    assert survey.fingerprint() == survey.fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", survey.fingerprint())


def test_command_writes_the_record(small, tmp_path):
    path = tmp_path / "survey.json"
    result = CliRunner().invoke(survey.app, [str(path)])
    assert result.exit_code == 0
    assert "1 samplers, 0 errors, 0 warnings, 0 notes" in result.output
    assert json.loads(path.read_text())["command"] == "make survey"


def test_command_names_what_is_missing(small, tmp_path):
    _, installed = small
    installed["diffrax"] = None
    result = CliRunner().invoke(survey.app, [str(tmp_path / "survey.json")])
    assert result.exit_code != 0
    assert "diffrax" in str(result.exception)


def test_help_has_an_example():
    result = CliRunner().invoke(survey.app, ["--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
