"""`seeds-tune` from the command line."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from seeds_theory import few_steps
from seeds_theory.errors import ParameterError
from seeds_theory.settings import Setting, settings
from toy_models import few_steps_study, tune, tuning
from toy_models.few_steps_study import HELD_OUT, trials_of

run = CliRunner().invoke


def test_fit_tunes_a_grid_to_a_spectrum_and_writes_it(tmp_path: Path) -> None:
    file, out = tmp_path / "values.npy", tmp_path / "setting.json"
    np.save(file, np.array([4.0, 1.0, 0.25]))
    arguments = ["fit", "seeds-2", "--nfe", "7", "--spectrum", str(file), "--json", str(out)]
    result = run(tune.app, arguments)
    assert result.exit_code == 0, result.output
    setting = json.loads(out.read_text())
    assert (setting["solver"], setting["steps"]) == ("seeds-2", 4)
    assert "7 model calls, 4 steps" in result.output
    assert "for data of width 2: --method seeds-2 --eta 1 --grid logsnr --steps 4" in result.output


def test_a_solver_with_one_eta_has_no_other() -> None:
    result = run(tune.app, ["fit", "ddim", "--nfe", "4", "--eta", "1"])
    assert result.exit_code == 0
    result = run(tune.app, ["fit", "unipc-3", "--nfe", "4", "--eta", "1"])
    assert "'unipc-3' has eta = 0 only; got --eta 1" in str(result.exception)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no array", "is no .npy file of numbers"),
        (np.ones((2, 2)), r"one row of eigenvalues; got shape \(2, 2\)"),
        (np.array([1.0, -1.0]), "finite and >= 0; got -1"),
        (np.array([np.nan, 1.0]), "finite and >= 0"),
        (np.array([np.inf, 1.0]), "finite and >= 0"),
        (np.zeros(3), "has no eigenvalue above 0"),
    ],
)
def test_what_is_no_spectrum_is_refused(
    tmp_path: Path, content: bytes | np.ndarray, message: str
) -> None:
    file = tmp_path / "values.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content)
    result = run(tune.app, ["fit", "seeds-2", "--spectrum", str(file)])
    with pytest.raises(type(result.exception), match=message):
        raise result.exception


def test_a_spectrum_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    said = {tmp_path / "x.npy": "there is no file", tmp_path: "is no .npy file of numbers"}
    (tmp_path / "empty.npy").write_bytes(b"")
    said[tmp_path / "empty.npy"] = "is no .npy file of numbers"
    for file, message in said.items():
        result = run(tune.app, ["fit", "seeds-2", "--spectrum", str(file)])
        assert isinstance(result.exception, ParameterError) and message in str(result.exception)


def test_show_lists_every_setting_at_a_width() -> None:
    result = run(tune.app, ["show", "--width", "2", "--highest", "80"])
    assert result.exit_code == 0
    assert f"--sigma-max {2 * few_steps(10).sigma_max:.4g} " in result.output
    assert result.output.count("--method") == len(settings())
    assert "the width of the data is positive" in str(
        run(tune.app, ["show", "--width", "0"]).exception
    )


def test_settings_searches_the_candidates_and_chooses_of_each_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few_steps_study, "SPACINGS", {None: 5})
    names = (("seeds-1", 1.0), ("seeds-2b", 1.0), ("ddim", 0.0), ("seeds-2b", 0.0))
    monkeypatch.setattr(
        tuning, "CANDIDATES", [Setting(name, 2, 9.0, 0.1, {"eta": eta}) for name, eta in names]
    )
    monkeypatch.setattr(tuning, "trials_of", partial(trials_of, count=64))
    out, trials = tmp_path / "settings.json", tmp_path / "trials.json"
    arguments = ["settings", "--out", str(out), "--trials", str(trials), "--calls", "6"]
    result = run(tune.app, arguments)
    assert result.exit_code == 0, result.output
    assert len(json.loads(trials.read_text())) == 4
    kinds = [entry["kind"] for entry in json.loads(out.read_text())]
    assert kinds == ["best", "sde", "ode"]
    assert few_steps(6, eta=1, settings_file=out).eta == 1.0


def test_compare_runs_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "HELD_OUT", HELD_OUT[:1])
    monkeypatch.setattr(
        tuning, "peers", lambda stochastic: ("er-sde-3",) if stochastic else ("ddim", "edm-heun")
    )
    out = tmp_path / "mixtures.json"
    result = run(tune.app, ["compare", "--out", str(out), "--count", "2000", "--calls", "10"])
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert [entry["sampler"] for entry in found] == [
        "best",
        "sde",
        "ode",
        "er-sde-3",
        "ddim",
        "edm-heun",
        "samples of the data",
    ]
    assert all(0 < entry["distances"]["frechet"] < 2 for entry in found)


def test_numbers_of_calls_are_whole(tmp_path: Path) -> None:
    result = run(tune.app, ["compare", "--out", str(tmp_path / "x.json"), "--calls", "ten"])
    assert "whole numbers are written as 8,16,32; got 'ten'" in str(result.exception)
