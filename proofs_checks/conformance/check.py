"""A program run on the vectors: the first thing in each case that differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from proofs_checks.conformance.recording import mixture
from proofs_checks.conformance.vectors import Case
from proofs_checks.pipe import NoiseRequest, Program, ProgramError, Refusal, ended_by_signals
from seeds_theory.progress import with_bar

TOLERANCE = 1e-10
"""Of levels, relative; of states, relative and, below 1, absolute."""

MOST_BREAKS = 3
"""Broken conversations after which no further one is begun: each may cost the whole time limit."""


@dataclass(frozen=True)
class Outcome:
    """What a program did in a case: fault is None where all is right; refused if it said that it cannot."""

    case: Case
    fault: str | None = None
    refused: bool = False


@dataclass(frozen=True)
class Results:
    """The outcomes of a check.

    ended : the fault at the end of the input, or why the check was given up; None if there is neither.
    """

    outcomes: tuple[Outcome, ...]
    ended: str | None = None

    @property
    def variants(self) -> dict[str, list[Outcome]]:
        """The outcomes of each variant of a method."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault(outcome.case.variant, []).append(outcome)
        return groups

    @property
    def not_offered(self) -> tuple[str, ...]:
        """Variants of which every case is refused."""
        return tuple(name for name, group in self.variants.items() if all(o.refused for o in group))

    @property
    def faults(self) -> tuple[Outcome, ...]:
        """The cases that went wrong; a refused one is, if others of its variant are served."""
        absent = self.not_offered
        return tuple(o for o in self.outcomes if o.fault and o.case.variant not in absent)

    @property
    def passed(self) -> bool:
        """Whether something is offered and all of it is right."""
        served = len(self.not_offered) < len(self.variants)
        return served and not self.faults and self.ended is None


class Replay:
    """Answers a program's requests with what belongs to a case, and notes the first that differs.

    After that it answers on, with normals of zero, so that the program comes to the end of its run.
    """

    def __init__(self, case: Case) -> None:
        self._case, self._model = case, mixture(case.model)
        self._calls = self._requests = 0
        self.difference: str | None = None

    def denoised(self, x: np.ndarray, sigma: float) -> np.ndarray:
        """The model's estimate."""
        self._calls += 1
        self._note(self._call_differs(x, sigma))
        return self._model(torch.from_numpy(x), sigma).numpy()

    def noise(self, request: NoiseRequest) -> np.ndarray:
        """The normals of the case."""
        self._requests += 1
        self._note(self._request_differs(request))
        if self.difference:
            return np.zeros((request.degree, *np.shape(self._case.x)))
        return np.array(self._case.noise[self._requests - 1][1])

    def compare_end(self, result: np.ndarray) -> None:
        """Compare the final states, and what was never asked for."""
        calls, requests = len(self._case.calls), len(self._case.noise)
        if self._calls < calls:
            self._note(f"{self._calls} model calls instead of {calls}")
        if self._requests < requests:
            missing = describe(self._case.noise[self._requests][0])
            self._note(
                f"asks {self._requests} times for noise instead of {requests}: not for {missing}"
            )
        off = _distance(result, self._case.states[-1])
        if off:
            self._note(f"the result is off by {off:.2g}")

    def _note(self, difference: str | None) -> None:
        self.difference = self.difference or difference

    def _call_differs(self, x: np.ndarray, sigma: float) -> str | None:
        calls = self._case.calls
        if self._calls > len(calls):
            return f"call {self._calls}: the run has {len(calls)}"
        level, states = calls[self._calls - 1]
        if not _same(sigma, level):
            return f"call {self._calls}: level {_apart(sigma, level)}"
        off = _distance(x, states)
        if not off:
            return None
        after = [i for i, state in enumerate(self._case.states, 1) if state == states]
        which = f"the state after step {after[0]}" if after else "its state"
        return f"call {self._calls}, level {level:g}: {which} is off by {off:.2g}"

    def _request_differs(self, request: NoiseRequest) -> str | None:
        noise, number = self._case.noise, self._requests
        if number > len(noise):
            return f"noise request {number}, {describe(request)}: the run has {len(noise)}"
        due = noise[number - 1][0]
        same = (
            _same(request.sigma, due.sigma)
            and _same(request.sigma_next, due.sigma_next)
            and _kind(request) == _kind(due)
        )
        return (
            None
            if same
            else f"noise request {number}: {describe(request)} instead of {describe(due)}"
        )


def _kind(request: NoiseRequest) -> tuple[Any, ...]:
    return request.degree, request.form, request.path, request.area


def describe(request: NoiseRequest) -> str:
    """A request in words: what is not the default is named."""
    record = request.to_json()
    further = ", ".join(f"{k} {v}" for k, v in record.items() if k not in ("from", "to", "degree"))
    return (
        f"{request.degree} normal{'s' * (request.degree > 1)} of {request.sigma:.10g} to "
        f"{request.sigma_next:.10g}{f' ({further})' if further else ''}"
    )


def _same(level: float, due: float) -> bool:
    return math.isclose(level, due, rel_tol=TOLERANCE)


def _apart(level: float, due: float) -> str:
    """Both levels, with as many digits as it takes to tell them apart."""
    for digits in (4, 8, 12):
        if f"{level:.{digits}g}" != f"{due:.{digits}g}":
            return f"{level:.{digits}g} instead of {due:.{digits}g}"
    return f"{level!r} instead of {due!r}"


def _distance(x: np.ndarray, due: Any) -> float:
    """The largest deviation, relative where the number is larger than 1; 0 within the tolerance."""
    expected = np.array(due)
    off = float((np.abs(x - expected) / np.maximum(1.0, np.abs(expected))).max())
    return 0.0 if off <= TOLERANCE else off


def check(
    command: Sequence[str], cases: Sequence[Case], *, seconds: float = 30.0, progress: bool = False
) -> Results:
    """Run a program on all cases, and end it.

    seconds : the longest that a run may take, with the program's start, and the program's end.

    Raises
    ------
    ParameterError : the command cannot be started.
    """
    outcomes: list[Outcome] = []
    breaks = 0
    with ended_by_signals(), Program(command) as program:
        for case in with_bar(cases, show=progress, desc="cases", unit="case", leave=False):
            outcome, broken = _outcome(program, case, seconds)
            outcomes.append(outcome)
            breaks += broken
            if breaks == MOST_BREAKS:
                return Results(tuple(outcomes), f"given up after {breaks} runs that did not end")
        try:
            program.finish(seconds)
        except ProgramError as error:
            return Results(tuple(outcomes), str(error))
    return Results(tuple(outcomes))


def _outcome(program: Program, case: Case, seconds: float) -> tuple[Outcome, bool]:
    """What it does in a case, and whether it broke the protocol."""
    replay = Replay(case)
    start = np.array(case.x, dtype=np.float64)
    try:
        result = program.run(start, case.sigmas, case.options, replay, seconds=seconds)
    except Refusal as refusal:
        fault = replay.difference or str(refusal)
        return Outcome(case, fault, refused=not refusal.late), False
    except ProgramError as error:
        return Outcome(case, replay.difference or str(error)), True
    replay.compare_end(result)
    difference = replay.difference
    if difference and case.further_options:
        asked = ", ".join(f"{name}={value}" for name, value in case.further_options.items())
        difference += (
            f" (asked with {asked}: a program that has no such option answers with an error)"
        )
    return Outcome(case, difference), False
