"""What is tracked is in the source distribution, and what the packages read is in the wheel."""

import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("seeds_theory", "toy_models", "proofs_checks", "gpu_runs")


@pytest.fixture(scope="module")
def tracked():
    if not (ROOT / ".git").exists():
        pytest.skip("no repository")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


def test_the_source_distribution_has_everything(tracked):
    lines = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines()]
    files = {name for kind, *names in lines if kind == "include" for name in names}
    folders = {name for kind, *names in lines if kind == "graft" for name in names}
    missing = [
        path
        for path in tracked
        if path not in files | {"pyproject.toml", "MANIFEST.in"}
        and path.partition("/")[0] not in folders
    ]
    assert missing == []


def test_the_wheel_has_the_data_of_the_packages(tracked):
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]

    def covered(package, inside):
        own = [*patterns["*"], *patterns.get(package, ())]
        name = inside.rpartition("/")[2]
        return any(fnmatch(inside, pattern) or fnmatch(name, pattern) for pattern in own)

    data = [path.partition("/") for path in tracked if not path.endswith(".py")]
    missing = [
        f"{package}/{inside}"
        for package, _, inside in data
        if package in PACKAGES and not covered(package, inside)
    ]
    assert missing == []


def test_one_address_is_to_be_filled_in_and_nobody_can_own_it():
    (address,) = SETTINGS["project"]["urls"].values()
    assert address.split("/")[2].endswith(".example")


def test_a_public_host_runs_what_every_machine_runs():
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    runs = [step["run"] for step in workflow["jobs"]["ci"]["steps"] if "run" in step]
    assert runs == [".ci/run"]
    for template in (ROOT / ".github/ISSUE_TEMPLATE").iterdir():
        head = yaml.safe_load(template.read_text().split("---")[1])
        assert set(head) == {"name", "about"}, template
