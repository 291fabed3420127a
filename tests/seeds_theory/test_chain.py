"""A plan's chain: it is of the plan as it is, and its price is that of its steps."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch

from seeds_theory import SeededNoise, chain, make_plan, rollout
from seeds_theory.chain import chain_of
from seeds_theory.solver import Solver

GRID = [2.0, 1.0, 0.5]


def test_the_options_of_a_plan_are_those_that_it_was_made_with() -> None:
    """Its chain is kept: an eta changed in place would run at one value, with densities of another."""
    given = {"eta": np.array([1.0, 0.5])}
    solver = Solver("ddim", given)
    plan = solver.on(GRID)
    given["eta"][0] = 0.3
    assert solver.on(GRID) == plan
    with pytest.raises(TypeError, match="does not support item assignment"):
        plan.solver.options["eta"] = 0.3  # type: ignore[union-attr, index]
    for same in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan)):
        assert same == plan
        first, second = (
            rollout(lambda x, s: x / 2, torch.ones(2, 3), p, SeededNoise([1, 2]))
            for p in (plan, same)
        )
        assert torch.equal(first.log_prob, second.log_prob)


def lines_run(call: Callable[[], Any]) -> int:
    """How many lines of the module of chains are run, a line of a loop each time."""
    count, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != chain.__file__:
            return None
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", ["seeds-3", "sde-dpm-solver++-2m"])
def test_a_chain_and_the_steps_that_densities_need_are_as_long_as_the_plan(name: str) -> None:
    lines = []
    for steps in (20, 40):
        plan = Solver(name).on(np.geomspace(7.3, 0.013, steps + 1), 1.0)
        made = lines_run(lambda: chain_of(plan))  # noqa: B023
        needed = lines_run(lambda: chain_of(plan).needed([steps - 1]))  # noqa: B023
        lines.append((made, needed))
    assert lines[1][0] < 2.1 * lines[0][0] and lines[1][1] < 2.1 * lines[0][1]


def test_needed_steps_are_those_that_give_what_a_step_uses() -> None:
    found = chain_of(make_plan("seeds-2", [*GRID, 0.2]))
    assert [found.needed([n]) for n in range(3)] == [[0], [1], [2]]
    found = chain_of(Solver("seeds-2m").on([*GRID, 0.2], 1.0))
    assert found.needed([2]) == [0, 1, 2] and found.needed([1, 0]) == [0, 1]
