"""The composite action and the workflow that uses it: well-formed, and its steps run as they stand."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW_FILE = ROOT / "book" / "_static" / "sampler-audit.yml"
WORKFLOW = yaml.safe_load(WORKFLOW_FILE.read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
DEFAULTS = {name: given.get("default", "") for name, given in ACTION["inputs"].items()}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

SAMPLERS = """
def sample(model, x, sigmas, extra_args=None, callback=None, disable=None):
    for i, (s, t) in enumerate(zip(sigmas, sigmas[1:])):
        D = model(x, s * x.new_ones(len(x)), **(extra_args or {}))
        if callback:
            callback({"x": x, "i": i, "sigma": s, "sigma_hat": s, "denoised": D})
        x = D + (t / s) * (x - D)
    return x
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a `python` and a `seeds-audit` that write down how they are called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    record = f"import json, sys; open({str(tmp_path / 'calls')!r}, 'a').write(json.dumps(sys.argv) + '\\n')"
    for name in ("python", "seeds-audit"):
        program = folder / name
        program.write_text(f"#!{sys.executable} -S\n{record}\n")
        program.chmod(0o755)
    return folder


def run(name: str, folder: Path, path: Path, **inputs: str) -> subprocess.CompletedProcess:
    """A step, as GitHub's runner runs it: its expressions are values of inputs, in its environment only."""
    given, step = DEFAULTS | inputs, STEPS[name]
    values = {
        variable: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda found: given[found[1]], text)
        for variable, text in step["env"].items()
    }
    assert "${{" not in "".join(values.values()) + step["run"]
    environment = os.environ | values
    environment |= {
        "PATH": f"{path}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def called(programs: Path, tmp_path: Path):
    """The arguments that a step gives to its program."""

    def arguments(name: str, **inputs: str) -> list[str]:
        done = run(name, tmp_path, programs, **inputs)
        assert done.returncode == 0, done.stderr
        (line,) = (tmp_path / "calls").read_text().splitlines()
        (tmp_path / "calls").unlink()
        return json.loads(line)[1:]

    return arguments


def test_it_is_a_composite_action() -> None:
    assert ACTION["runs"]["using"] == "composite"
    assert ACTION["name"] and ACTION["description"]
    for given in ACTION["inputs"].values():
        assert given["description"]
        assert given.get("required") or isinstance(given["default"], str)
    for step in STEPS.values():
        assert step["shell"] == "bash"
    used = set(re.findall(r"inputs\.([a-z-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


def test_torch_comes_from_the_index_that_is_named(called) -> None:
    install = ["-m", "pip", "install"]
    assert called("Install torch") == [*install, "torch"]
    index = "an index/of torch"
    assert called("Install torch", **{"torch-index-url": index}) == [
        *install,
        *("--index-url", index, "torch"),
    ]


def test_the_audit_is_installed_from_the_action_itself(called) -> None:
    install = ["-m", "pip", "install", f"{ROOT}[commands,toys]"]
    assert called("Install the audit and the samplers") == [*install, "."]
    assert called("Install the audit and the samplers", package="my folder") == [
        *install,
        "my folder",
    ]
    assert called("Install the audit and the samplers", package="") == install


def test_inputs_are_arguments_and_nothing_of_them_is_run(called, tmp_path: Path) -> None:
    written = ["--json", "seeds-audit.json", "--markdown", str(tmp_path / "summary.md")]
    hostile = 'a b.py:sample?kind="; touch evil #$(touch evil)'
    assert called("Audit", samplers=f"one:two\n  {hostile}\n\n") == [
        *("--fail-on", "error", *written, "--", "one:two", hostile),
    ]
    given = {
        "expect": "weak=2",
        "accept": "known.json",
        "skip": "seeds\ncallback",
        "fail-on": "note",
    }
    assert called("Audit", samplers="-x", **given) == [
        *("--fail-on", "note", *written, "--expect", "weak=2", "--accept", "known.json"),
        *("--skip", "seeds", "--skip", "callback", "--", "-x"),
    ]
    assert not (tmp_path / "evil").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("expect", "status"), [("ode=1,zero", 0), ("ode=2", 1), ("second", 2)])
def test_the_audit_runs(expect: str, status: int, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "seeds-audit"
    command.write_text(f"#!{sys.executable}\nfrom seeds_theory.launcher import audit\naudit()\n")
    command.chmod(0o755)
    (tmp_path / "mine.py").write_text(SAMPLERS)
    inputs = {"samplers": "mine.py:sample", "expect": expect, "skip": "mixture"}
    done = run("Audit", tmp_path, programs, **inputs)
    assert done.returncode == status, done.stderr
    if status < 2:
        (record,) = json.loads((tmp_path / "seeds-audit.json").read_text())
        assert record["target"] == "mine.py:sample"
        assert "mine.py:sample" in (tmp_path / "summary.md").read_text()


def test_the_workflow_uses_it_with_inputs_that_it_has() -> None:
    steps = WORKFLOW["jobs"]["audit"]["steps"]
    (use,) = [step for step in steps if "with" in step and "samplers" in step["with"]]
    assert set(use["with"]) <= set(ACTION["inputs"])
    assert {name for name, given in ACTION["inputs"].items() if given.get("required")} <= set(
        use["with"]
    )
    upload = steps[-1]
    assert upload["with"]["path"] == DEFAULTS["report"]


def test_one_place_is_to_be_filled_in_and_nobody_can_own_it() -> None:
    """No name of a repository or a package has such brackets."""
    assert re.findall(r"<.*>.*", WORKFLOW_FILE.read_text()) == ["<owner>/<repository>@<commit>"]


def test_nothing_installs_the_project_by_a_bare_name() -> None:
    """Whoever registered it would run code there."""
    pages = [ROOT / "README.md", ROOT / "action.yml", *(ROOT / "book").glob("*.md")]
    pages += (ROOT / "book" / "_static").rglob("*.*")
    for package in ("seeds_theory", "toy_models", "proofs_checks", "gpu_runs"):
        pages += (ROOT / package).rglob("*.py")
    bare = re.compile(
        r"pip install[^\n`]*(?<![/\w.-])seeds[-_]theory(?![\w\]/-])(?!\[?[\w,]*\]? @)"
    )
    texts = {page: page.read_text(errors="ignore") for page in pages if page.is_file()}
    assert not [page for page, text in texts.items() if bare.search(text)]
    assert bare.search("pip install seeds-theory .") and bare.search("pip install -U seeds-theory")
    assert not bare.search('pip install "seeds-theory[toys] @ $SEEDS_THEORY" .')
