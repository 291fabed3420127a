"""The checkouts are fetched at their commits, once, from whatever repository git can reach."""

import subprocess

import pytest
from typer.testing import CliRunner

from proofs_checks.audit import fetching
from proofs_checks.audit.names import LIBRARIES
from proofs_checks.audit.peers.checkout import VARIABLE, Checkout
from proofs_checks.audit.reproductions import PROGRAMS
from seeds_theory.errors import LibraryError


def git(folder, *words):
    command = [
        "git",
        "-C",
        str(folder),
        "-c",
        "user.name=n",
        "-c",
        "user.email=e@e.example",
        *words,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def source(tmp_path):
    """A repository owner/name with two commits, and its address without that."""
    folder = tmp_path / "source" / "owner" / "name"
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    commits = []
    for content in ("1", "2"):
        (folder / "module.py").write_text(f"number = {content}\n")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", content)
        commits.append(git(folder, "rev-parse", "HEAD"))
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    return f"file://{tmp_path / 'source'}", commits


def test_a_commit_is_fetched_once_and_can_be_imported(source, tmp_path, monkeypatch):
    address, (first, second) = source
    folder = tmp_path / "checkouts"
    monkeypatch.setenv(VARIABLE, str(folder))
    old = Checkout("owner/name", first)
    assert fetching.fetch(old, folder, address)
    assert old.module("module").number == 1
    assert not fetching.fetch(old, folder, "file:///nowhere")  # nothing is asked for
    assert fetching.fetch(
        Checkout("owner/name", second), folder, address
    )  # another commit is pinned
    assert (folder / "owner+name" / "module.py").read_text() == "number = 2\n"


def test_a_failure_is_one_line(source, tmp_path):
    address, (first, _) = source
    with pytest.raises(LibraryError, match=r"git fetch in .*other") as error:
        fetching.fetch(Checkout("owner/other", first), tmp_path / "checkouts", address)
    assert "\n" not in str(error.value)


def test_local_changes_are_not_overwritten(source, tmp_path):
    address, (first, second) = source
    folder = tmp_path / "checkouts"
    fetching.fetch(Checkout("owner/name", first), folder, address)
    (folder / "owner+name" / "module.py").write_text("mine\n")
    with pytest.raises(LibraryError, match="git checkout"):
        fetching.fetch(Checkout("owner/name", second), folder, address)
    assert (folder / "owner+name" / "module.py").read_text() == "mine\n"


def test_without_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LibraryError, match="git, which is not installed"):
        fetching.fetch(Checkout("owner/name", "0" * 40), tmp_path)


def test_all_checkouts_are_listed_with_a_whole_commit():
    found = fetching.checkouts()
    assert set(PROGRAMS) < set(found) < {*LIBRARIES, *PROGRAMS} and len(found) > 20
    assert all(len(checkout.commit) == 40 for checkout in found.values())
    assert len({checkout.directory for checkout in found.values()}) == len(found)


def test_command_fetches_all_and_names_those_that_fail(source, tmp_path, monkeypatch):
    address, (first, _) = source
    listed = {"here": Checkout("owner/name", first), "gone": Checkout("owner/other", first)}
    monkeypatch.setattr(fetching, "checkouts", lambda: listed)
    monkeypatch.setattr(fetching, "SOURCE", address)
    result = CliRunner().invoke(fetching.app, [str(tmp_path / "checkouts")])
    assert isinstance(result.exception, LibraryError) and "gone" in str(result.exception)
    assert f"here: owner/name at {first[:12]}: fetched" in result.output
    del listed["gone"]
    result = CliRunner().invoke(fetching.app, [str(tmp_path / "checkouts")])
    assert result.exit_code == 0
    assert "is there" in result.output and f"export {VARIABLE}=" in result.output


def test_command_lists(tmp_path):
    result = CliRunner().invoke(fetching.app, [str(tmp_path / "none"), "--list"])
    assert result.exit_code == 0 and "black-forest-labs+flux" in result.output
    assert not (tmp_path / "none").exists()


def test_help_has_an_example():
    assert "Example:" in CliRunner().invoke(fetching.app, ["--help"]).output
