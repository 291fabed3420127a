"""Scheme: a method in one prediction as numbers, made of emitted code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seeds_theory.errors import (
    TableauError,
    UnknownNameError,
    other_prediction,
    unknown_method,
)
from seeds_theory.nodes import listed_nodes
from seeds_theory.orders import Orders

if TYPE_CHECKING:
    from seeds_theory.tableau import Tableau

StepCode = Callable[..., tuple[tuple[Any, Any, tuple[Any, ...], tuple[Any, ...]], ...]]
"""Emitted code of a step: levels s and t and eta in; for each row its level, state, drift and noise out."""


@dataclass(frozen=True)
class Emitted:
    """A registered method: what its emitted code does not say.

    nodes : the default ones. fixed : nodes after them that cannot be chosen.
    predictions : those it has.
    degrees : the number of normals of each interval.
    cuts_at_nodes : whether the path is cut at all nodes, or at none.
    """

    nodes: tuple[Fraction, ...]
    fixed: tuple[Fraction, ...]
    predictions: tuple[str, ...]
    degrees: int
    cuts_at_nodes: bool


@dataclass(frozen=True)
class Scheme:
    """A method in one prediction as numbers.

    name : of the method, nodes included if they are not the default ones.
    nodes : where its rows are: those of its stages, then 1.
    cuts : where the intervals of its noise begin and end.
    paths, degrees : the Brownian paths that its noise is of, and the number of normals of each interval.
    code : its emitted step. arguments : further arguments of the code.
    orders : what it declares, if it is not a registered method.
    """

    name: str
    prediction: str
    nodes: tuple[float, ...]
    cuts: tuple[float, ...]
    paths: tuple[int, ...]
    degrees: int
    code: StepCode
    arguments: tuple[float, ...] = ()
    orders: Orders | None = None

    def rows(self, s: Any, t: Any, eta: Any) -> Any:
        """The rows of steps from levels s to t at eta, numbers or arrays."""
        return self.code(s, t, eta, *self.arguments)


def registered() -> dict[str, Emitted]:
    """The registered methods by name."""
    found: dict[str, Emitted] = importlib.import_module("seeds_theory.emitted.methods").EMITTED
    return found


def emitted_module(name: str) -> ModuleType:
    """The emitted code of a registered method."""
    return importlib.import_module(f"seeds_theory.emitted.{name.replace('-', '_')}")


def is_method(name: str) -> bool:
    """Whether a name, nodes allowed, is one of a method: emitted, or added to `METHODS` in this process."""
    base = name.partition("@")[0]
    if base in registered():
        return True
    symbols = sys.modules.get("seeds_theory.methods")  # who has added one has imported it
    return symbols is not None and base in symbols.METHODS


@lru_cache(maxsize=256)
def named_scheme(name: str, prediction: str) -> Scheme:
    """A registered method, with nodes after ``@`` if they are not the default ones.

    Raises
    ------
    UnknownNameError : the name is not registered; lists those that are.
    TableauError : its nodes, or a prediction that it has not.
    """
    base, at, listed = name.partition("@")
    known = registered()
    if base not in known:
        raise unknown_method(name, known)
    entry = known[base]
    if prediction not in entry.predictions:
        raise other_prediction(name, entry.predictions, prediction)
    free = listed_nodes(name, listed, len(entry.nodes)) if at else entry.nodes
    rising = sorted(free)
    places = tuple(rising.index(node) for node in free)
    suffix = "" if free == tuple(rising) else "_" + "".join(map(str, places))
    module = emitted_module(base)
    nodes = (*free, *entry.fixed)
    inner = sorted({node for node in nodes if node != 1}) if entry.cuts_at_nodes else []
    return Scheme(
        name=name,
        prediction=prediction,
        nodes=(*map(float, nodes), 1.0),
        cuts=(0.0, *map(float, inner), 1.0),
        paths=(0,),
        degrees=entry.degrees,
        code=getattr(module, prediction + suffix),
        arguments=tuple(map(float, rising)),
    )


def tableau_scheme(tableau: Tableau, prediction: str) -> Scheme:
    """A tableau with numeric nodes: a registered one by its name, any other emitted now; their errors."""
    from seeds_theory.methods import method

    try:
        known = method(tableau.name) == tableau
    except (UnknownNameError, TableauError):  # a name of its own
        known = False
    return named_scheme(tableau.name, prediction) if known else emitted_now(tableau, prediction)


@lru_cache(maxsize=256)
def emitted_now(tableau: Tableau, prediction: str) -> Scheme:
    """A tableau with numeric nodes, emitted in this process.

    Raises
    ------
    TableauError : its nodes are symbols, or it has a coefficient that is no formula of a step.
    """
    from seeds_theory.emit.compiled import compiled
    from seeds_theory.emit.python import Python
    from seeds_theory.emit.step import step_program
    from seeds_theory.exact import FORMS
    from seeds_theory.formula import degrees, paths

    if any(not node.is_number for node in tableau.nodes):
        raise TableauError(
            f"a plan needs numeric nodes; {tableau.name!r} has {tableau.nodes}: build it with numbers"
        )
    form = FORMS[prediction]
    step = step_program(tableau, form, "step")
    return Scheme(
        name=tableau.name,
        prediction=prediction,
        nodes=tuple(float(node) for node, _ in tableau.rows),
        cuts=tuple(map(float, tableau.cuts)),
        paths=paths(tableau, form),
        degrees=degrees(tableau, form),
        code=compiled(Python().step(step), "step"),
        orders=tableau.orders,
    )


def scheme_of(method: str | Tableau, prediction: str) -> Scheme:
    """A method by name or as a tableau; errors as of `named_scheme` and `tableau_scheme`."""
    if isinstance(method, str):
        if method.partition("@")[0] not in registered() and is_method(method):
            from seeds_theory.methods import method as tableau_of

            return emitted_now(tableau_of(method), prediction)
        return named_scheme(method, prediction)
    if not hasattr(method, "stages"):
        raise TableauError(f"a method is a name or a Tableau; got {method!r}")
    return tableau_scheme(method, prediction)
