"""`seeds-export`: what it writes and where, and how it refuses a wrong call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from exported import VARIANTS, text

from seeds_theory.emit import command, targets


@pytest.fixture
def export(monkeypatch, capsys):
    """A function that runs the command and returns its exit status, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["seeds-export", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            command.main()
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return run


def test_one_file_goes_to_stdout_or_where_it_is_told(export, tmp_path):
    file, expected = text("seeds-2", "noise", "torch")
    call = ("seeds-2", "--to", "torch", "--prediction", "noise")
    assert export(*call) == (0, expected, "")
    assert export(*call, "--out", tmp_path / "mine.py")[0] == 0
    assert (tmp_path / "mine.py").read_text() == expected
    assert export(*call, "--out", tmp_path)[1] == f"{tmp_path / file}\n"
    assert (tmp_path / file).read_text() == expected


def test_a_slash_at_the_end_names_a_folder(export, tmp_path):
    file, expected = text("seeds-2", "data", "torch")
    call = ("seeds-2", "--to", "torch", "--out", f"{tmp_path}/new/")
    assert export(*call) == (0, f"{tmp_path / 'new' / file}\n", "")
    status, printed, message = export(*call, "--prediction", "noise")  # a file of the same name
    assert (status, printed, message.count("\n")) == (2, "", 1)
    assert f"{tmp_path / 'new' / file} is there already" in message
    assert (tmp_path / "new" / file).read_text() == expected
    (tmp_path / "file").touch()
    status, _, message = export(*call[:-1], f"{tmp_path}/file/")
    assert status == 2
    assert "is a file, no folder for" in message


def test_nothing_is_replaced_silently(export, tmp_path):
    target = tmp_path / "there.py"
    target.write_text("mine")
    status, _, message = export("seeds-1", "--to", "numpy", "--out", target)
    assert (status, message.count("\n")) == (2, 1)
    assert "--force" in message
    assert target.read_text() == "mine"
    assert export("seeds-1", "--to", "numpy", "--out", target, "--force")[0] == 0
    assert target.read_text() == text("seeds-1", "data", "numpy")[1]


def test_several_files_need_a_folder(export, tmp_path, monkeypatch):
    several = SimpleNamespace(files=lambda method: {"a.h": "one", "src/a.c": "two"})
    monkeypatch.setattr(targets, "target", lambda name: several)
    status, printed, message = export("seeds-1", "--to", "c")
    assert (status, printed) == (2, "")
    assert message == "seeds-export: c is 2 files, a.h, src/a.c: name a folder, --out FOLDER\n"
    (tmp_path / "file").touch()
    assert export("seeds-1", "--to", "c", "--out", tmp_path / "file")[0] == 2
    assert export("seeds-1", "--to", "c", "--out", tmp_path / "new")[0] == 0
    assert (tmp_path / "new" / "src" / "a.c").read_text() == "two"
    (tmp_path / "new" / "a.h").unlink()
    assert export("seeds-1", "--to", "c", "--out", tmp_path / "new")[0] == 2
    assert not (tmp_path / "new" / "a.h").exists()  # all or nothing


def test_a_plan_takes_levels_and_eta(export):
    status, printed, _ = export("seeds-3", "--to", "json", "--sigmas", "inf,10,1,0", "--eta", "0.5")
    assert status == 0
    plan = json.loads(printed)
    assert (plan["sigmas"], plan["eta"]) == (["inf", 10.0, 1.0, 0.0], 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a method and a target"),
        (("seeds-3",), "name a method and a target"),
        (("seeds-9", "--to", "torch"), "did you mean 'seeds-"),
        (("seeds-3", "--to", "troch"), "did you mean 'torch'?"),
        (("seeds-3@0.5", "--to", "torch"), "takes 2 node(s)"),
        (("seeds-2@1.5", "--to", "torch"), "nodes lie in (0, 1]"),
        (("seeds-4s", "--to", "torch", "--prediction", "noise"), "asked for 'noise'"),
        (("seeds-2m", "--to", "c"), "is not written for c: --to torch or numpy"),
        (("seeds-2m", "--to", "torch", "--prediction", "noise"), "asked for 'noise'"),
        (("seeds-2m@0.7", "--to", "torch"), "finds its nodes itself"),
        (("seeds-3", "--to", "json"), "--sigmas 10,3,1,0"),
        (("seeds-3", "--to", "json", "--sigmas", "10,x"), "written as 10,5,1,0"),
        (("seeds-3", "--to", "json", "--sigmas", "1,10"), "descend strictly"),
        (("seeds-3", "--to", "json", "--sigmas", "2,1", "--eta", "-1"), "eta is a finite number"),
        (("seeds-3", "--to", "torch", "--eta", "1"), "--sigmas and --eta are for --to json"),
        (("seeds-3", "--to", "torch", "--out", "no/such/folder.py"), "create it"),
    ],
)
def test_a_wrong_call_is_one_line(export, arguments, message):
    status, printed, line = export(*arguments)
    assert (status, printed) == (2, "")
    assert message in line
    assert line.startswith("seeds-export: ")
    assert line.count("\n") == 1


def test_what_there_is_is_listed(export):
    status, printed, _ = export("--list")
    assert status == 0
    assert all(name in printed for name in ("seeds-4s", "seeds-2m", *targets.TARGETS))


@pytest.mark.parametrize("to", targets.MULTISTEP["seeds-2m"])
def test_the_method_with_memory_is_written_like_the_others(export, to, tmp_path):
    status, printed, _ = export("seeds-2m", "--to", to)
    assert status == 0
    file = tmp_path / "written.py"
    file.write_text(printed)
    _require_clean(tmp_path)


@pytest.mark.parametrize("to", ["torch", "numpy", "jax"])
def test_files_of_python_are_clean(to, tmp_path):
    for name, prediction in VARIANTS:
        folder = (
            tmp_path / f"{name.replace('@', '_').replace(',', '_').replace('.', '')}_{prediction}"
        )
        folder.mkdir()
        file, written = text(name, prediction, to)
        (folder / file).write_text(written)
    _require_clean(tmp_path)


def _require_clean(folder):
    project = Path(__file__).parents[3] / "pyproject.toml"
    for check in (["check", "--no-cache"], ["format", "--no-cache", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *check, "--config", str(project), str(folder)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
