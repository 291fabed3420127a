"""The emitted code of SEEDS-2M against its formula: in symbols, and in digits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import mpmath
import sympy as sp

from proofs_checks.emission import (
    ETAS,
    LENGTHS,
    MPMATH,
    algebraic,
    distance,
    in_symbols,
)
from seeds_theory.emitted import seeds_2m
from seeds_theory.exact import DATA, eta, lam_s
from seeds_theory.multistep import c_m, d, gap, multistep_formula
from seeds_theory.noise import h
from seeds_theory.tableau import z

PLACES = (
    (0.0, math.inf),
    (0.3, 1.0),
    (0.29, 0.5),
    (1e-6, 2e-6),
    (1e6, 3e6),
    (2e3, 1e6),
    (1e-6, 0.7),
)
"""Distances d and gap at which digits are counted: those of a first step, and small and large ones."""

NODES = (None, 0.5, 1.0)
"""And the nodes; None is the best one."""

_FAR = mpmath.mpf(10) ** 60  # instead of infinity, of which a formula makes no number


def _rows() -> Iterator[tuple[sp.Expr, ...]]:
    """The formula, kind by kind: level of the stage, state and weights in it, those of the step, N, M."""
    formula = multistep_formula()
    level = (sp.exp(-formula.times[0]),)
    (to_stage, to_end), at = formula.states, {z: DATA.drift_rate * h}
    for row in (level, (to_stage,), formula.stage, (to_end,), formula.end, formula.noise[:1]):
        yield tuple(entry.subs(at) for entry in row)
    yield formula.average


def _kinds(code: Any) -> Iterator[tuple[Any, ...]]:
    """What the code returns, likewise."""
    level, (p_m, *stage), (p_t, *end), noise, average = code
    yield from ((level,), (p_m,), tuple(stage), (p_t,), tuple(end), (noise,), average)


def identities() -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """Every entry of the code, run on symbols, and of the formula; weights of normals squared."""
    code = in_symbols(seeds_2m.step)(sp.exp(-lam_s), sp.exp(-lam_s - h), eta, c_m, d, gap)
    for number, (ours, formula) in enumerate(zip(_kinds(code), _rows(), strict=True)):
        for a, b in zip(ours, formula, strict=True):
            power = 2 if number >= 5 else 1
            yield algebraic(sp.sympify(a) ** power), algebraic(b**power)


def worst_error() -> float:
    """The largest error of a step's numbers, each relative to the largest of its kind."""
    symbols = (lam_s, h, eta, c_m, d, gap)
    functions = [
        tuple(sp.lambdify(symbols, entry, modules=MPMATH) for entry in row) for row in _rows()
    ]
    worst = 0.0
    for length, at, (before, between), node in itertools.product(LENGTHS, ETAS, PLACES, NODES):
        s, t = 1.0, math.exp(-length)
        c = seeds_2m.node(before) if node is None else node
        code = seeds_2m.step(s, t, at, c, before, between)
        with mpmath.workdps(60):
            step = -mpmath.log(mpmath.mpf(t))  # between the two doubles
            far = _FAR if math.isinf(between) else mpmath.mpf(between)
            point = (mpmath.mpf(0), step, *map(mpmath.mpf, (at, c, before)), far)
            for ours, row in zip(_kinds(code), functions, strict=True):
                worst = max(worst, distance(ours, [entry(*point) for entry in row]))
    return worst
