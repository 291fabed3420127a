"""The rows of a step in plain Python, on numbers, with the module math alone: for hosts that run torch."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files as resources
from string import Template

from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.python import Python

_PHI = '''\
def phi(k, z):
    """(e^z - sum_{j<k} z^j / j!) / z^k without cancellation: a series of one sign, or a recurrence."""
    if 0 <= z <= 3:
        return sum(z**n / math.factorial(n + k) for n in range(30))
    if -3 <= z < 0:
        terms = (k / (k + n) * (-z) ** n / math.factorial(n) for n in range(30))
        return math.exp(z) * sum(terms) / math.factorial(k)
    value = math.expm1(z) / z
    for j in range(1, k):
        value = (value - 1 / math.factorial(j)) / z
    return value
'''
_DAMPED_PHI = '''\
def damped_phi(k, z):
    """e^{-z} phi(k, z) for z >= 0, which stays finite where phi does not."""
    if z <= 3:
        return math.exp(-z) * phi(k, z)
    value = phi(1, -z)
    for j in range(1, k):
        value = (value - math.exp(-z) / math.factorial(j)) / z
    return value
'''


class PythonMath(Python):
    """Expressions for floats."""

    def call(self, function: str, order: int | None, argument: str) -> str:  # noqa: D102
        return super().call(function if order is not None else f"math.{function}", order, argument)


def identifier(method: MethodProgram) -> str:
    """What its function is called: seeds_3, or seeds_2_0_7 for seeds-2@0.7."""
    return re.sub(r"\W", "_", method.name)


def rows(method: MethodProgram) -> str:
    """The function of a step: a tuple (level, state, drift weights, noise weights) for each model call."""
    step, name = method.step, identifier(method)
    claims = ", ".join(method.claims)
    calls = "one model call" if method.calls == 1 else f"{method.calls} model calls"
    doc = f"{method.name}: {calls} from noise level s down to t.\n\nClaims: {claims}.\n"
    text = PythonMath().step(replace(step, program=replace(step.program, name=name)), doc)
    # A single row stays on its line, as ruff sets it.
    return re.sub(r"\(\n +(.*)\n +\)", r"(\1)", text) if method.calls == 1 else text


def helpers(*methods: MethodProgram) -> list[str]:
    """The functions that the rows of these methods call beside those of math."""
    called = {function for one in methods for function, _ in one.step.program.calls()}
    damped = [_DAMPED_PHI] if "damped_phi" in called else []
    return [_PHI, *damped] if damped or "phi" in called else []


def template(name: str) -> Template:
    """A file of the folder templates."""
    return Template((resources(__package__) / "templates" / name).read_text("utf-8"))
