"""Two versions of a sampler side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from proofs_checks.audit import Finding, Report, Severity, compare
from proofs_checks.audit.comparison import Comparison, Examined, PathNoise
from proofs_checks.audit.evidence import EVEN, GAUSSIAN, Evidence, Study
from proofs_checks.audit.measure import Limit
from proofs_checks.audit.orders import curve
from seeds_theory.errors import UnknownNameError

STEPS = (16, 32, 64, 128)
ERROR = Finding("limit", Severity.error, "the exact law", "another")
ENDS = (np.ones(3), np.zeros(3))


def version(
    order: float, constant: float = 1.0, calls: float = 1.0, *findings: Finding, ends=ENDS
) -> Examined:
    """A sampler whose errors are constant / steps^order."""
    errors = [constant * n**-order for n in STEPS]
    measured = Evidence((Study(GAUSSIAN, EVEN, curve(STEPS, errors)),))
    limit = Limit(0.0, True, 0.0, (0.0,), None, None)
    report = Report(
        "mine:sample", calls, True, measured, strong=measured, limit=limit, findings=findings
    )
    return Examined(report, ends)


def versus(first: Examined, second: Examined, fail_on: Severity = Severity.error) -> Comparison:
    return Comparison(first, second, fail_on)


@pytest.mark.parametrize(
    ("second", "worse"),
    [
        (version(2), ()),
        (version(2, 0.5), ()),
        (version(2, 1.04), ()),
        (version(2, 1.2), ("an error 1.20 times as large for the same model calls",)),
        (version(2, 1.0, 2.0), ("an error 4.00 times as large for the same model calls",)),
        (version(2, 0.25, 2.0), ()),  # twice the calls, the error of half the step
        (version(3, 1.0, 2.0), ()),
        (version(3, 1e4), ()),  # a higher order is not called worse
        (version(1.9, 0.1), ("weak order 1.90 after 2.00",)),
        (version(2, 1.0, 1.0, ERROR), ("a new finding, limit",)),
        (Examined(Report("mine:sample"), ENDS), ("weak order unknown after 2.00",)),
    ],
)
def test_what_is_worse(second: Examined, worse: tuple[str, ...]) -> None:
    comparison = versus(version(2), second)
    assert comparison.worse == worse
    assert comparison.lines()[1] == (f"worse: {'; '.join(worse)}" if worse else "no worse")


def test_a_finding_of_both_is_not_new() -> None:
    known, other = version(2, 1.0, 1.0, ERROR), version(2, 1.0, 1.0, ERROR)
    assert versus(known, other).worse == ()
    note = Finding("seeds", Severity.note, "a parameter", "none")
    assert versus(version(2), version(2, 1.0, 1.0, note)).worse == ()
    assert versus(version(2), version(2, 1.0, 1.0, note), Severity.note).worse


@pytest.mark.parametrize(
    ("ends", "difference", "says"),
    [
        (ENDS, 0.0, "the same result on the same noise, to the bit"),
        ((np.ones(3), np.array([0, 0.25, 0])), 0.25, "differ by up to 0.25 deviations"),
        ((np.ones(3), "fails"), None, "one fails where the other does not"),
    ],
)
def test_the_same_noise_gives_the_same_result_or_not(ends, difference, says: str) -> None:
    comparison = versus(version(2), version(2, ends=ends))
    assert comparison.difference == difference
    assert says in comparison.lines()[0]
    assert comparison.to_json()["difference"] == difference


def test_two_that_fail_alike_do_not_differ() -> None:
    fails = version(2, ends=("fails", np.ones(3)))
    assert versus(fails, fails).difference == 0.0


def test_the_path_is_one_function_of_the_level() -> None:
    like = torch.zeros(3, 2, 1, 1, dtype=torch.float64)
    asked, again = PathNoise(True, 2), PathNoise(True, 2)
    for level in (40.0, 3.0, 0.1, 0.0):
        asked.stretch(2 * level + 1, level, like)
    whole = 3.0**0.5 * asked.stretch(4.0, 1.0, like)
    parts = 2.0**0.5 * again.stretch(4.0, 2.0, like) + again.stretch(2.0, 1.0, like)
    assert torch.allclose(whole, parts)
    assert torch.equal(asked.stretch(1.0, 1.0, like), like)
    pieces = torch.stack([asked.stretch(s, 0.9 * s, like) for s in np.geomspace(20, 0.02, 500)])
    assert pieces.square().mean() == pytest.approx(1, abs=4 * (2 / pieces.numel()) ** 0.5)


MODULE = """
from weights import WEIGHT

def sample(model, x, sigmas, extra_args=None, callback=None, disable=None):
    for s, t in zip(sigmas, sigmas[1:]):
        D = model(x, s * x.new_ones(len(x)), **(extra_args or {}))
        x = D + (t / s) * (x - D) * WEIGHT
    return x
"""


@pytest.mark.slow
def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    """Nor do the modules of one name that they import."""
    for name, weight in (("old", 1.0), ("new", 1.001)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(MODULE)
        (tmp_path / name / "weights.py").write_text(f"WEIGHT = {weight}\n")
    old, new = (f"{tmp_path / name}/mine.py:sample" for name in ("old", "new"))
    skip = ("mixture", "grid-to-zero", "uneven-steps")
    comparison = compare(old, new, skip=skip, jobs=2)
    assert comparison.difference is not None and comparison.difference > 1e-3
    assert any("limit" in text for text in comparison.worse)
    assert [report.skipped for report in comparison.reports] == [skip, skip]
    same = compare(old, old, skip=skip, jobs=1)
    assert (same.difference, same.worse) == (0.0, ())
    assert same.to_json()["first"] == same.to_json()["second"]
    with pytest.raises(UnknownNameError, match="no file"):
        compare(old, f"{tmp_path}/none.py:sample")
