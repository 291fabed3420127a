"""Which grids a sampler may refuse, and what is a crash and not a refusal."""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import samplers as s
import torch

from proofs_checks.audit import Expectation, Finding, Severity, check
from proofs_checks.audit.raising import is_deliberate
from proofs_checks.audit.targets import find_target


class NeedsTwoSteps(ValueError):
    """A sampler's own error."""


def require(condition: bool) -> None:
    if not condition:
        raise NeedsTwoSteps("two steps at least")


def in_cleanup(sigmas) -> None:
    with contextlib.ExitStack() as stack:
        stack.callback(len, sigmas)
        try:
            raise NeedsTwoSteps
        finally:
            len(sigmas)


def again(sigmas) -> None:
    try:
        require(len(sigmas) > 2)
    except NeedsTwoSteps:
        raise


def from_a_crash(sigmas) -> None:
    try:
        sigmas[2]
    except IndexError as error:
        raise NeedsTwoSteps from error


def asserting(sigmas) -> None:
    assert len(sigmas) > 2, "two steps"


DELIBERATE: dict[str, Callable] = {
    "raise": lambda sigmas: require(len(sigmas) > 2),
    "assert": asserting,
    "through with and finally": in_cleanup,
    "raised again": again,
    "for a crash": from_a_crash,
}


def unbound(sigmas) -> None:
    if len(sigmas) > 2:
        h = 1.0
    print(h)


def crash_in_a_handler(sigmas) -> None:
    try:
        require(len(sigmas) > 2)
    except NeedsTwoSteps as error:
        print(error.steps)  # type: ignore[attr-defined]


CRASHES: dict[str, Callable] = {
    "no value": unbound,
    "division": lambda sigmas: 1 / (len(sigmas) - 2),
    "index": lambda sigmas: [0, 1][len(sigmas)],
    "index of a tensor": lambda sigmas: sigmas[len(sigmas)],
    "logarithm": lambda sigmas: math.log(0.0),
    "shapes": lambda sigmas: np.ones(2) + np.ones(3),
    "raised by torch": lambda sigmas: torch.nn.Linear(2, 3)(torch.zeros(len(sigmas), 5)),
    "raised by numpy": lambda sigmas: np.linalg.inv(np.zeros((2, 2))),
    "raised by Python's library": lambda sigmas: shlex.split("'"),
    "in a handler": crash_in_a_handler,
    "exit": lambda sigmas: sys.exit(1),
}


def caught(run: Callable) -> BaseException:
    with pytest.raises(BaseException) as error:
        run(torch.tensor([2.0, 1.0]))
    return error.value


@pytest.mark.parametrize("name", DELIBERATE)
def test_a_statement_that_raises_is_deliberate(name: str) -> None:
    assert is_deliberate(caught(DELIBERATE[name]))


@pytest.mark.parametrize("name", CRASHES)
def test_all_else_is_a_crash(name: str) -> None:
    assert not is_deliberate(caught(CRASHES[name]))


# --------------------------------------------------------------------------------- what may be refused


def refusing(refuse: Callable[[torch.Tensor], object], when: Callable[[torch.Tensor], bool]):
    """Euler, but for the grids on which it does something else."""

    def sampler(model, x, sigmas, extra_args=None, callback=None, disable=None):
        if when(sigmas):
            refuse(sigmas)
        return s.euler(model, x, sigmas, extra_args=extra_args, callback=callback)

    return sampler


def short(sigmas) -> bool:
    return len(sigmas) < 3


def to_zero(sigmas) -> bool:
    return bool(sigmas[-1] == 0)


def found(sampler, expect: str = "") -> list[Finding]:
    expectation = Expectation.parse(expect) if expect else None
    checks = ("short-grids", "grid-to-zero")
    findings = [found for name in checks for found in check(sampler, name, expect=expectation)]
    assert all(finding.severity is Severity.error for finding in findings)
    return findings


def raising(sigmas) -> None:
    raise NeedsTwoSteps("no")


def test_a_refusal_is_a_finding_where_the_grid_is_claimed() -> None:
    no_zero, no_short = refusing(raising, to_zero), refusing(raising, short)
    assert found(no_zero) == found(no_short) == []
    assert found(no_zero, "ode=1,one-step") == found(no_short, "ode=1,zero") == []
    assert [f.expected for f in found(no_zero, "zero")] == [
        "a sampler that can be measured here",  # of two grids that end at 0 and are not short
    ]
    assert [f.expected for f in found(no_short, "one-step")] == ["a result for one step"]
    both = [f.expected for f in found(no_zero, "zero,one-step")]
    assert both[:2] == ["a result for one step to 0", "a result for two steps to 0"]
    assert "NeedsTwoSteps: no" in found(no_short, "one-step")[0].found


def test_a_crash_is_a_finding_whatever_is_claimed() -> None:
    broken = refusing(CRASHES["no value"], lambda sigmas: short(sigmas) and to_zero(sigmas))
    (finding,) = found(broken)
    assert finding.expected == "a result for one step to 0"
    assert "UnboundLocalError" in finding.found


def test_states_that_are_not_finite_are_no_refusal() -> None:
    assert {f.found for f in found(s.nan_at_zero(s.euler))} == {"returns NaN or infinity"}


def test_a_result_that_is_wrong_at_zero_is_no_refusal() -> None:
    assert [f.id for f in found(s.stops_before_zero(s.euler))] == ["grid-to-zero"]


def test_a_longer_grid_is_never_refused_without_a_finding() -> None:
    refuses_all = refusing(raising, lambda sigmas: len(sigmas) > 4 and not to_zero(sigmas))
    (finding,) = check(refuses_all, "runs")
    assert finding.severity is Severity.error


PROGRAM = """
import json, sys
tell = lambda message: print(json.dumps(message), flush=True)
for line in sys.stdin:
    run = json.loads(line)["run"]
    x, sigmas = run["x"], run["sigmas"]
    if sigmas[-1] == 0 and {late}:
        tell({{"denoise": {{"x": x, "sigma": sigmas[0]}}}})
        sys.stdin.readline()
    if sigmas[-1] == 0:
        tell({{"error": "not to 0"}})
        continue
    tell({{"result": x}})
"""


@pytest.mark.parametrize(("late", "count"), [(False, 0), (True, 2)])
def test_a_program_refuses_before_it_asks_for_anything(
    late: bool, count: int, tmp_path: Path
) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.format(late=late))
    findings = check(f"pipe:{sys.executable} -S {file}", "short-grids")
    assert len(findings) == count
    assert all("not to 0" in finding.found for finding in findings)


def test_samplers_of_this_library_claim_all_grids() -> None:
    assert find_target("seeds-2").declared is not None
