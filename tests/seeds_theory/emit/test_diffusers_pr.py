"""The pull request to diffusers: its own tests pass on its scheduler, and fail on a wrong one."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
# Its schedulers make numpy arrays of tensors in a way that numpy is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

from seeds_theory import ParameterError, UnknownNameError  # noqa: E402
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.emit.method import method_program  # noqa: E402
from seeds_theory.emit.targets import target  # noqa: E402

SCHEDULER = "src/diffusers/schedulers/scheduling_seeds.py"
TESTS = "tests/schedulers/test_scheduler_seeds.py"
PAGE = "docs/source/en/api/schedulers/seeds.md"


class SchedulerCommonTest(unittest.TestCase):
    """What the class of that name of diffusers' repository has and the tests use; it is in no package."""

    scheduler_classes: tuple[Any, ...] = ()
    forward_default_kwargs: tuple[tuple[str, Any], ...] = ()

    @property
    def dummy_sample(self) -> Tensor:
        return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    @property
    def dummy_sample_deter(self) -> Tensor:
        return torch.linspace(0, 1, 4 * 3 * 8 * 8).reshape(4, 3, 8, 8)

    @property
    def dummy_noise_deter(self) -> Tensor:
        return self.dummy_sample_deter.flip(-1)

    def dummy_model(self) -> Any:
        return lambda sample, t: sample * t / (t + 1)

    def check_over_configs(self, time_step: int, **config: Any) -> None:
        self.compare(time_step, dict(self.forward_default_kwargs)["num_inference_steps"], config)

    def check_over_forward(self, time_step: int, num_inference_steps: int) -> None:
        self.compare(time_step, num_inference_steps, {})

    def compare(self, time_step: int, steps: int, config: dict[str, Any]) -> None:
        """A scheduler that was saved and loaded does the same."""
        for kind in self.scheduler_classes:
            first = kind(**self.get_scheduler_config(**config))  # type: ignore[attr-defined]
            with tempfile.TemporaryDirectory() as folder:
                first.save_config(folder)
                second = kind.from_pretrained(folder)
            results = []
            for scheduler in (first, second):
                scheduler.set_timesteps(steps)
                sample, generator = self.dummy_sample, torch.manual_seed(0)
                results.append(scheduler.step(0.1 * sample, time_step, sample, generator))
            assert torch.equal(*(result.prev_sample for result in results))


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return target("diffusers_pr").files(method_program("seeds-2"))


def module(name: str, text: str, folder: Path) -> ModuleType:
    path = folder / f"{name.rpartition('.')[-1]}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


def outcome(
    scheduler: str, tests: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> unittest.TestResult:
    common = ModuleType("pull_request.test_schedulers")
    common.SchedulerCommonTest = SchedulerCommonTest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pull_request", ModuleType("pull_request"))
    monkeypatch.setitem(sys.modules, "pull_request.test_schedulers", common)
    made = module("scheduling_seeds_of_the_pull_request", scheduler, folder)
    monkeypatch.setattr(diffusers, "SEEDSScheduler", made.SEEDSScheduler, raising=False)
    asked = module("pull_request.test_scheduler_seeds", tests, folder)
    result = unittest.TestResult()
    with torch.random.fork_rng():
        unittest.defaultTestLoader.loadTestsFromTestCase(asked.SEEDSSchedulerTest).run(result)
    return result


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_tests_pass_on_the_scheduler(
    order: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = target("diffusers_pr").files(method_program(f"seeds-{order}"))
    result = outcome(files[SCHEDULER], files[TESTS], tmp_path, monkeypatch)
    assert not result.errors and not result.failures, result.errors + result.failures
    assert result.testsRun == files[TESTS].count("def test_") > 15


@pytest.mark.parametrize(
    ("right", "wrong", "found_by"),
    [
        ("[[alpha * weight for", "[[1.01 * alpha * weight for", "order_of_convergence"),
        (
            "device=x.device, dtype=dtype) for",
            "device=x.device, dtype=dtype) * 1.1 for",
            "variance",
        ),
        ("clean.clamp(-limit, limit) / limit", "clean / limit", "thresholding"),
        ("model_output = model_output[:, :", "model_output = 2 * model_output[:, :", "learned"),
        ("generator=generator, device", "generator=None, device", "batch"),
        ("prev_sample = prev_sample.to(sample.dtype)", "pass", "fp16"),
        ("(count // (steps + 1)) + config.steps_offset", "(count // (steps + 1))", "spacings"),
    ],
)
def test_a_wrong_scheduler_is_found(
    right: str,
    wrong: str,
    found_by: str,
    written: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert written[SCHEDULER].count(right) == 1
    faulty = written[SCHEDULER].replace(right, wrong)
    result = outcome(faulty, written[TESTS], tmp_path, monkeypatch)
    assert any(found_by in str(case) for case, _ in result.errors + result.failures)


def test_the_files_are_in_their_places_and_formatted(
    written: dict[str, str], tmp_path: Path
) -> None:
    assert set(written) == {SCHEDULER, TESTS, PAGE, "PULL_REQUEST.md"}
    path = tmp_path / "test_scheduler_seeds.py"
    path.write_text(written[TESTS])
    style = (
        "--isolated",
        "--line-length",
        "119",
        "--config",
        'lint.isort.known-first-party=["diffusers"]',
    )
    for command in (
        ("check", "--select", "E,F,I,W,UP", "--config", "lint.isort.lines-after-imports=2"),
        ("format", "--check"),
    ):
        ruff = [sys.executable, "-m", "ruff", *command, *style, str(path)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_and_the_text_are_about_the_scheduler(written: dict[str, str]) -> None:
    page, text = written[PAGE], written["PULL_REQUEST.md"]
    assert page.count("[[autodoc]]") == 2 and "# SEEDSScheduler" in page
    for line in (
        '"SEEDSScheduler",',
        '_import_structure["scheduling_seeds"]',
        "api/schedulers/seeds",
    ):
        assert line in text
    (scheduler,) = target("diffusers").files(method_program("seeds-2")).values()
    assert written[SCHEDULER] == scheduler


def test_the_text_names_every_setting_that_the_scheduler_lacks(
    written: dict[str, str], tmp_path: Path
) -> None:
    scheduler = module("scheduling_seeds_of_the_text", written[SCHEDULER], tmp_path).SEEDSScheduler
    ours, theirs = (
        set(inspect.signature(kind.__init__).parameters) for kind in (SEEDSScheduler, scheduler)
    )
    text = written["PULL_REQUEST.md"].partition("### What it leaves out")[2]
    listed = {
        name for name in ours | theirs if f"`{name}`" in text.partition("* `set_timesteps`")[0]
    }
    assert listed == ours - theirs and not theirs - ours


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
def test_the_table_of_the_text_is_what_its_lines_print(
    written: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = written["PULL_REQUEST.md"]
    (lines,) = re.findall(r"^```py\n(.*?)^```", text, re.M | re.S)
    exec(compile(lines, "the lines of the text", "exec"), {})
    printed = [row.split(" | ")[1:] for row in capsys.readouterr().out.splitlines()]
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if " ± " in row]
    assert len(rows) == 7
    assert [row[2:] for row in rows] == printed


def test_an_output_of_another_shape_is_refused(written: dict[str, str], tmp_path: Path) -> None:
    scheduler = module("scheduling_seeds_of_shapes", written[SCHEDULER], tmp_path).SEEDSScheduler()
    scheduler.set_timesteps(3)
    with pytest.raises(ValueError, match="set `variance_type`"):
        scheduler.step(torch.zeros(2, 2, 4, 4), scheduler.timesteps[0], torch.zeros(2, 1, 4, 4))
    assert not any(name.startswith("EDM") for name in scheduler._compatibles)


def test_only_orders_in_data_prediction_are_written() -> None:
    with pytest.raises(ParameterError, match="leave it out"):
        target("diffusers_pr").files(method_program("seeds-2", "noise"))
    with pytest.raises(UnknownNameError, match="known: seeds-1, seeds-2, seeds-3"):
        target("diffusers_pr").files(method_program("seeds-2s"))
