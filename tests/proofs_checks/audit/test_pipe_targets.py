"""Programs behind a pipe under audit: what it says of them is what it says of the sampler itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from proofs_checks.audit import check, correlations
from proofs_checks.audit import subject as subjects
from proofs_checks.audit.affine import LinearModel, Source, probe
from proofs_checks.audit.checks import CHECKS, run_check
from proofs_checks.audit.measure import MEANS, VARIANCES, Measurement, grid
from proofs_checks.audit.pipe import PipeSampler
from proofs_checks.audit.protocol import Target, call
from proofs_checks.audit.subject import Subject
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import SeedsError

EXAMPLE = Path(__file__).parents[3] / "book" / "_static" / "seeds.py"
PYTHON = f"{sys.executable} -S"
GRID = [8.0, 3.0, 1.5, 0.4]


def program_of(target: Target) -> PipeSampler:
    assert isinstance(target.sampler, PipeSampler)
    return target.sampler


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Makes a target of the example's text, changed; its program ends with the test."""
    made = []

    def make(change: tuple[str, str] = ("", ""), query: str = "") -> Target:
        file = tmp_path / f"program-{len(made)}.py"
        text = EXAMPLE.read_text()
        assert change[0] in text
        file.write_text(text.replace(*change) if change[0] else text)
        made.append(find_target(f"pipe:{PYTHON} {file}{query}"))
        return made[-1]

    yield make
    for each in made:
        program_of(each).program.kill()


def test_the_map_of_a_program_is_that_of_the_sampler(target: Callable[..., Target]) -> None:
    for method, eta in (("seeds-1", 1.0), ("seeds-3", 0.5)):
        piped = target(query=f"?method={method}&eta={eta}")
        assert piped.keywords == {
            "model",
            "x",
            "sigmas",
            "extra_args",
            "disable",
            "eta",
            "noise_sampler",
        }
        assert piped.eta == eta and piped.costly
        for source in Source:
            ours = probe(find_target(f"{method}?eta={eta}"), MEANS, VARIANCES, GRID, source)
            theirs = probe(piped, MEANS, VARIANCES, GRID, source)
            for name in ("gain", "offset", "other"):
                found, expected = getattr(theirs, name), getattr(ours, name)
                assert torch.allclose(found, expected, rtol=1e-10, atol=1e-10)
            assert theirs.density == pytest.approx(ours.density, rel=1e-9, abs=1e-12)
            assert np.array(theirs.stretches) == pytest.approx(np.array(ours.stretches), rel=1e-12)
            assert theirs.calls == pytest.approx(ours.calls, rel=1e-12)


@pytest.mark.slow
def test_a_sound_program_has_no_findings(
    target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "TRIANGULAR_STEPS", (8, 16, 32, 64, 128))
    monkeypatch.setattr(correlations, "COSTLY_RUNS", 4)
    subject = Subject(target(query="?method=seeds-2"))
    slow = ("grid-to-zero", "uneven-steps")  # they run on 128 steps
    findings = [f for name in CHECKS if name not in slow for f in run_check(subject, name)]
    assert findings == []
    assert subject.measurement.weak_curve.slopes[-1] == pytest.approx(2.0, abs=0.1)
    assert subject.measurement.nfe_per_step == 2


def test_wrong_noise_in_a_program_is_found(target: Callable[..., Target]) -> None:
    wrong = target(("spread = t *", "spread = 1.2 * t *"), "?method=seeds-1")
    measured = Measurement(wrong, (8, 16, 32, 64))
    assert not measured.limit.law


def test_a_program_without_an_eta_and_without_noise(target: Callable[..., Target]) -> None:
    plain = target(('options.pop("eta", 1.0)', "0.0"))
    assert plain.keywords == {"model", "x", "sigmas", "extra_args", "disable"}
    assert plain.eta is None


def test_averages_are_draws_of_torch() -> None:
    """A program that asks for two normals of a stretch is given no noise sampler."""
    serve = f"pipe:{sys.executable} -m proofs_checks.conformance.command serve?method=seeds-2s"
    piped = find_target(serve)
    try:
        assert not piped.takes_noise_sampler and "eta" in piped.keywords
        ours = probe(find_target("seeds-2s"), MEANS, VARIANCES, GRID, Source.OWN)
        theirs = probe(piped, MEANS, VARIANCES, GRID, Source.OWN)
        assert torch.allclose(theirs.other, ours.other, rtol=1e-10, atol=1e-10)
        assert len(theirs.other) == 2 * (len(GRID) - 1)
    finally:
        program_of(piped).program.kill()


def test_a_failure_in_the_middle_is_a_finding_and_the_next_run_begins_anew(
    target: Callable[..., Target],
) -> None:
    # More rows than the trial has: in the first run of the audit it dies.
    dies = target(("    x = METHODS", "    if len(x) > 3: 1 / 0\n        x = METHODS"))
    subject = Subject(dies)
    assert run_check(subject, "runs") == []
    (finding,) = run_check(subject, "weak-order")
    assert "the program ends with status 1: ZeroDivisionError" in finding.found
    assert run_check(subject, "runs") == []


def test_a_program_that_hangs_is_ended_by_the_audit(target: Callable[..., Target]) -> None:
    hangs = target(("    for s, t", "    while len(x) > 1:\n        pass\n    for s, t"))
    with pytest.raises(Exception, match=r"does not return within 0.5 s of the processor"):
        call(
            hangs,
            LinearModel(MEANS, VARIANCES),
            torch.zeros(2, 5, 1, 1),
            torch.tensor(grid(2)),
            _NoNoise(),
            seconds=0.5,
        )
    assert program_of(hangs).program.running is False


class _NoNoise:
    injects = False

    def stretch(self, sigma: float, sigma_next: float, like: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def draw(self, number: int, like: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(like)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pipe:", "named by a command"),
        ("pipe:./no-such-program", "cannot start './no-such-program'"),
        ("pipe:'unclosed", "cannot be split into words: No closing quotation"),
        ("pipe:false", "in a trial run the program ends with status 1"),
        ("pipe:echo hello", "'hello'"),
        ("pipe:cat", "none of"),
        (f"pipe:{PYTHON} {EXAMPLE}?rho=7", "answers with an error: no seeds-3 with eta"),
        (f"pipe:{PYTHON} {EXAMPLE}?x=7", "x is given by the audit"),
    ],
)
def test_a_program_that_does_not_get_through_the_trial_is_one_typed_line(
    name: str, says: str
) -> None:
    with pytest.raises(SeedsError) as caught:
        find_target(name)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_command_may_have_colons_and_question_marks(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("import sys\nassert sys.argv[1] == 'a?b=c.py:main'\n" + EXAMPLE.read_text())
    piped = find_target(f"pipe:{PYTHON} {file} a?b=c.py:main?method=seeds-1")
    program_of(piped).program.kill()
    assert program_of(piped).options == {"method": "seeds-1"}
    with pytest.raises(SeedsError, match="in a trial run the program ends with status"):
        find_target("pipe:python3 no-such.py:main")


def test_a_check_by_name() -> None:
    assert check(f"pipe:{PYTHON} {EXAMPLE}", "short-grids") == []
