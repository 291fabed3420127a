"""A method as the writers of other languages get it: its step at numeric nodes, and what belongs to it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from seeds_theory.emit.program import Expression, Name
from seeds_theory.emit.step import StepProgram, step_program
from seeds_theory.errors import unknown
from seeds_theory.exact import FORMS
from seeds_theory.formula import degrees, paths
from seeds_theory.methods import SEEDS, method
from seeds_theory.tableau import Tableau


@dataclass(frozen=True)
class MethodProgram:
    """One method in one prediction.

    Parameters
    ----------
    tableau, prediction : what it was made from; the prediction is "data" or "noise".
    step : the program of a step, whose names `intervals` uses too.
    intervals : the stretches of a step's noise in time order, from one level down to the next.
    degree : how many standard normals a stretch has, in turn: the noise itself, then what the path's moment
        of power 1 adds, ... The normals n_j1, n_j2, ... of a row are those of all stretches in this order.
    claims : ids of the claims that say what is proved of it.
    """

    tableau: Tableau
    prediction: str
    step: StepProgram
    intervals: tuple[tuple[Expression, Expression], ...]
    degree: int
    claims: tuple[str, ...]

    @property
    def name(self) -> str:
        """The method's name."""
        return self.tableau.name

    @property
    def calls(self) -> int:
        """Model calls of a step."""
        return self.tableau.calls

    @property
    def normals(self) -> int:
        """Normals of a step."""
        return len(self.intervals) * self.degree


def method_program(name: str, prediction: str = "data") -> MethodProgram:
    """A registered method, nodes allowed, for the writers.

    Raises
    ------
    UnknownNameError, TableauError : the name, its nodes, or a prediction that it has not.
    """
    if prediction not in ("data", "noise"):
        raise unknown("prediction", prediction, ("data", "noise"))
    tableau, form = method(name), FORMS[prediction]
    step = step_program(tableau, form, name="step")
    assert paths(tableau, form) == (0,)  # of every registered method
    ends = {node: row.sigma for node, row in zip(tableau.nodes, step.rows, strict=False)}
    levels = [Name("s"), *(ends[cut] for cut in tableau.cuts[1:-1]), Name("t")]
    return MethodProgram(
        tableau,
        prediction,
        step,
        tuple(itertools.pairwise(levels)),
        degrees(tableau, form),
        _claims(name.partition("@")[0], prediction),
    )


def _claims(base: str, prediction: str) -> tuple[str, ...]:
    if base in SEEDS:
        return (f"methods-{base}-{prediction}", f"taylor-orders-{base}")
    return (f"beyond-formula-{base}", f"beyond-orders-{base}")
