"""SEEDS-2M as programs: the one that its loop runs, and the one that the writers of other languages get.

Both compute the same names. ``s_m`` is the level of the stage, ``p_m, a_1, a_2`` are the weights of the state
and of the last two estimates in it, ``p_t, b_0, b_1`` those of the state and of the new and the last estimate
in the step, ``N_1`` and ``M_1, M_2`` those of the normals in the noise of the step and in its average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from seeds_theory.baselines.registered import BASELINES
from seeds_theory.emit.function import FunctionProgram, function_program
from seeds_theory.emit.lower import Lowering, add, log_ratio, multiply, negative, raised, with_names
from seeds_theory.emit.program import Expression, Name, Program, Statement
from seeds_theory.exact import DATA, lam_s
from seeds_theory.multistep import best_node, c_m, d, gap, multistep_formula, total
from seeds_theory.noise import h

if TYPE_CHECKING:
    from seeds_theory.baselines.run import Declared

CLAIMS = ("beyond-conditions-seeds-2m", "beyond-noise-seeds-2m")
"""What is proved of it."""

STAGE, END, NOISES = ("p_m", "a_1", "a_2"), ("p_t", "b_0", "b_1"), ("N_1", "M_1", "M_2")
"""The names of the weights, row by row."""

WEIGHTS = (
    Name("s_m"),
    *(tuple(map(Name, names)) for names in (STAGE, END)),
    Name(NOISES[0]),
    tuple(map(Name, NOISES[1:])),
)
"""The level of the stage, its weights, those of the step, N_1, and M_1 with M_2."""


@dataclass(frozen=True)
class MultistepProgram:
    """One step at the best node, from the levels of the earlier stages.

    Parameters
    ----------
    name, declared, reference : of the method.
    program : takes s, t, eta and the levels ``last`` and ``before`` of the last two stages; in a first step
        these are s and infinity. Computes the names of `STAGE`, `END` and `NOISES`.
    claims : ids of the claims that say what is proved of it.
    """

    name: str
    declared: Declared
    reference: str
    program: Program
    claims: tuple[str, ...] = CLAIMS


def multistep_program() -> MultistepProgram:
    """The whole step."""
    lower = Lowering("seeds-2m")
    length = raised(Name("h"), -1)
    statements = [
        Statement("d", multiply(log_ratio("last", "s"), length)),
        Statement("gap", multiply(log_ratio("before", "last"), length)),
        Statement("c_m", lower(best_node(d))),
    ]
    program, _ = with_names("step", ("s", "t", "eta", "last", "before"), _step(statements))
    baseline = BASELINES["seeds-2m"]
    return MultistepProgram(baseline.name, baseline.declared, baseline.reference, program)


def node_function() -> FunctionProgram:
    """The best node of a stage."""
    return function_program("node", (d,), best_node(d))


def step_function() -> FunctionProgram:
    """The step at any node: `WEIGHTS`."""
    inputs = ("s", "t", "eta", *(symbol.name for symbol in (c_m, d, gap)))
    program, _ = with_names("step", inputs, _step([]))
    return FunctionProgram(program, WEIGHTS)


def _step(place: list[Statement]) -> list[Statement]:
    """The statements of a step; `place` says where its stages are, if that is not given."""
    formula, lower = multistep_formula(), Lowering("seeds-2m")
    to_stage, to_end = formula.times
    (N_1, none), average = formula.noise, formula.average
    assert none == 0
    # A constant is integrated exactly: the other weight is what is left of it.
    of_stage, of_end = lower(total(formula.stage)), lower(total(formula.end))
    noises = [lower(sp.factor_terms(weight * sp.exp(to_end))) for weight in (N_1, *average)]
    values: dict[str, Expression] = {
        "s_m": multiply(Name("s"), lower(sp.exp(sp.factor(lam_s - to_stage)))),
        "p_m": lower(formula.states[0]),
        "a_2": lower(formula.stage[1]),
        "a_1": add(of_stage, negative(Name("a_2"))),
        "p_t": lower(formula.states[1]),
        "b_0": lower(formula.end[0]),
        "b_1": add(of_end, negative(Name("b_0"))),
        **{name: multiply(Name("t"), weight) for name, weight in zip(NOISES, noises, strict=True)},
    }
    return [
        Statement("h", log_ratio("s", "t")),
        Statement("z", lower(sp.factor(DATA.drift_rate * h))),
        *place,
        *(Statement(name, value) for name, value in values.items()),
    ]
