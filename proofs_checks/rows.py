r"""Steps given row by row: several steps of a method as one, and methods with free coefficients.

The engine (`proofs_checks.taylor`) asks a step for its weights and for the covariances of its noises. A
`Rows` has them as they are given, where no tableau has: the first stage may have noise of its own, and
the rows may be those of many steps. Claims: ``necessity-*``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import sympy as sp

from proofs_checks.taylor import TERMS, LocalStep, Rates, Series, add, product, series
from seeds_theory.noise import h


class Rows(LocalStep):
    """A step in Lawson's variables whose rows are given.

    Parameters
    ----------
    nodes : the times of the stages and of the end, over h.
    weights : row by row, stages and end: the weight of f at each stage before it, over h.
    covariance : over h, of the noises of two rows, each pair once; rows that are not there have no noise.
    rates : of the SDE.
    """

    def __init__(
        self,
        nodes: Sequence[sp.Expr],
        weights: Sequence[Sequence[Series]],
        covariance: Mapping[tuple[int, int], Series],
        rates: Rates,
    ) -> None:
        self.nodes, self.rates = tuple(nodes), rates
        self.end = len(self.nodes) - 1
        self.weights = tuple(map(tuple, weights))
        self.covariance = {(j, i): value for (i, j), value in covariance.items()} | dict(covariance)
        self.singular = False


def repeated(step: LocalStep, times: int) -> Rows:
    """So many steps of a method as one step; lengths and powers of h are those of the single step."""
    own = step.weights[step.end]
    nodes = [k + node for k in range(times) for node in step.nodes[: step.end]]
    weights = [own * k + row for k in range(times) for row in step.weights[: step.end]]
    grown = [series(sp.exp(2 * step.rates.noise * k * h)) for k in range(times)]

    def shared(one: tuple[int, int], two: tuple[int, int]) -> Series:
        """The covariance of row i of step k with row j of step m, of all noise up to there."""
        (k, i), (m, j) = sorted((one, two))
        past = add(
            product((grown[n], step.covariance[step.end, step.end]), TERMS) for n in range(k)
        )
        pair = (i, j) if k == m else (i, step.end)
        return add([past, product((grown[k], step.covariance.get(pair, {})), TERMS)])

    places = [(k, i) for k in range(times) for i in range(step.end)] + [(times - 1, step.end)]
    pairs = itertools.combinations_with_replacement(range(len(places)), 2)
    covariance = {(a, b): shared(places[a], places[b]) for a, b in pairs}
    return Rows([*nodes, sp.Integer(times)], [*weights, own * times], covariance, step.rates)
