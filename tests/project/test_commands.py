"""Every command: its help has an example, and the shell completes its options and names."""

import importlib
import sys
import tomllib
from pathlib import Path

import pytest

import seeds_theory
from seeds_theory.methods import METHODS
from seeds_theory.solver import SOLVERS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCRIPTS = PROJECT["scripts"]
GROUPS = {
    "seeds-tune": ["fit", "show", "settings", "compare"],
    "seeds-fid": ["stats", "score"],
    "seeds-bench": ["run", "plot", "compare", "presets", "micro", "tuned"],
    "seeds-conformance": ["write", "check", "serve"],
}


@pytest.fixture
def run(monkeypatch, capsys):
    """A function that runs a console script as the shell does, and returns what it prints."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("NO_COLOR", "1")

    def output(script, *arguments):
        module, _, function = SCRIPTS[script].partition(":")
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as end:
            getattr(importlib.import_module(module), function)()
        assert end.value.code == 0
        return capsys.readouterr().out

    return output


@pytest.fixture
def complete(run, monkeypatch):
    """A function that completes the last word of a command line, as bash asks for it."""

    def found(line):
        script, *_ = words = line.split(" ")
        monkeypatch.setenv(f"_{script.replace('-', '_').upper()}_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        return run(script).split()

    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_has_an_example_and_the_completion_is_there(script, run, monkeypatch):
    text = run(script, "--help")
    assert f"Example: {script}" in text
    assert "--install-completion" in text
    name = script.replace("-", "_")
    monkeypatch.setenv(f"_{name.upper()}_COMPLETE", "source_bash")
    assert f"complete -o default -F _{name}_completion" in run(script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_command_has_a_version(script, run):
    assert run(script, "--version") == f"{script} {seeds_theory.__version__}\n"
    assert "--version" in run(script, "--help")


def test_the_version_is_that_of_the_project_and_of_the_citation():
    assert seeds_theory.__version__ == PROJECT["version"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\n## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("script", GROUPS)
def test_help_of_every_command_of_a_group_has_an_example(script, run, complete):
    for command in GROUPS[script]:
        assert f"Example: {script} {command}" in run(script, command, "--help")
    assert complete(f"{script} ") == GROUPS[script]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("seeds-order seeds-3", [name for name in SOLVERS if name.startswith("seeds-3")]),
        ("seeds-order seeds-1 sa", ["sa-solver"]),
        ("seeds-order --prediction ", ["data", "noise"]),
        ("seeds-tune fit unipc", ["unipc-2", "unipc-3"]),
        ("seeds-mutate ", list(METHODS)),
        ("seeds-export seeds-3", [name for name in METHODS if name.startswith("seeds-3")]),
        ("seeds-export seeds-3 --to j", ["jax", "javascript", "json"]),
        ("seeds-audit seeds-2 edm", ["edm-heun"]),
        ("seeds-verify noise-join", ["noise-joining", "noise-joining-averages"]),
        ("seeds-generate --network ", ["fashion-mnist"]),
        ("seeds-generate --method seeds-4", ["seeds-4s"]),
        ("seeds-generate --precision t", ["tf32"]),
        ("seeds-inspect ", ["fashion-mnist"]),
        ("seeds-fid score --ref ", ["fashion-mnist"]),
        ("seeds-fid stats ", ["fashion-mnist", "fashion-mnist-test"]),
        (
            "seeds-bench run edm-cifar10-32x32-c",
            ["edm-cifar10-32x32-cond-vp", "edm-cifar10-32x32-cond-ve"],
        ),
        ("seeds-bench micro seeds-3b", ["seeds-3b"]),
        ("seeds-conformance check --method deis", ["deis-tab2", "deis-tab3"]),
    ],
)
def test_names_are_completed(line, names, complete):
    assert complete(line) == names
