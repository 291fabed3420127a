"""The rows of a step in plain Python, on numbers, with the module math alone: for hosts that run torch."""

from __future__ import annotations

import re
from dataclasses import replace

from seeds_theory.emit.description import identifier
from seeds_theory.emit.function import FunctionProgram
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.multistep import WEIGHTS, MultistepProgram
from seeds_theory.emit.python import Python
from seeds_theory.emit.targets import python_text


def functions(*methods: MethodProgram, memory: MultistepProgram | None = None) -> str:
    """A function of a step for each method, and before them what they call beside math."""
    programs = [method.step.program for method in methods]
    steps = list(map(_rows, methods))
    if memory is not None:
        programs.append(memory.program)
        steps.append(_weights(memory))
    texts = [python_text.helpers(*programs), *(f"\n\n{step}" for step in steps)]
    called = r"\b(exp|expm1|factorial|log|log1p|sqrt)\("
    return re.sub(called, r"math.\1(", "".join(texts)).strip("\n")


def _weights(method: MultistepProgram) -> str:
    """The function of a step with memory: the level of the stage and the weights, as of `WEIGHTS`."""
    doc = (
        f"{method.name}: one model call from noise level s down to t, those before it at last, before.\n\n"
        "The level of the stage, its weights of the state and of the last two estimates, those of the step\n"
        "of the state, the new and the last estimate, of the normals in its noise and its average.\n\n"
        f"Claims: {', '.join(method.claims)}.\n"
    )
    program = replace(method.program, name=identifier(method))
    return Python().function(FunctionProgram(program, WEIGHTS), doc)


def _rows(method: MethodProgram) -> str:
    """The function of a step: a tuple (level, state, drift weights, noise weights) for each model call."""
    step, name = method.step, identifier(method, with_nodes=True)
    claims = ", ".join(method.claims)
    calls = "one model call" if method.calls == 1 else f"{method.calls} model calls"
    doc = f"{method.name}: {calls} from noise level s down to t.\n\nClaims: {claims}.\n"
    text = Python().step(replace(step, program=replace(step.program, name=name)), doc)
    # A single row stays on its line, as ruff sets it.
    return re.sub(r"\(\n +(.*)\n +\)", r"(\1)", text) if method.calls == 1 else text
