r"""Methods that are not SEEDS: departures of published code, ablations, and classical methods.

Each is a tableau with weights, row sums or a noise rule of its own, so that the engine of
`proofs_checks.order_conditions` decides its orders and the loop of `seeds_theory` runs it. What departs
in the random numbers alone is a noise source: `SignNoise`, `ReseededNoise`. Claims: ``published-*``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from seeds_theory.errors import NoiseError
from seeds_theory.extras import optional_imports
from seeds_theory.methods import seeds_1, seeds_2a, seeds_3a
from seeds_theory.noise import (
    Functional,
    Moment,
    NoiseRule,
    cuts,
    h,
    interval_lengths,
    moment_covariance,
    path_values,
    step_moment,
)
from seeds_theory.phi import Phi
from seeds_theory.plan import Interval
from seeds_theory.sources import GeneratorNoise, NoiseSource
from seeds_theory.tableau import Orders, Tableau, z

with optional_imports():
    import sympy as sp

_half, _third = sp.Rational(1, 2), sp.Rational(1, 3)
_CODE = "authors' public code, June 2023"


def reversed_intervals(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
    """The published rule: a row's k-th normal is weighted as the k-th interval *from that row's end*.

    Every row has the right variance; the joint law is right where the nodes are equidistant. Nodes
    ascend; at a last node 1 the step's own normal is a further one.
    """
    points = (sp.Integer(0), *nodes, sp.Integer(1))
    normals = [Moment(rate, 0, i) for i in range(len(nodes) + 1)]
    if nodes[-1] == 1:
        normals[-1] = Moment(rate, 0, 0, path=1)
    lengths = interval_lengths(nodes)
    rows = []
    for row in range(1, len(points)):
        terms = {}
        for normal, near, far in zip(
            normals, points[row - 1 :: -1], points[row:0:-1], strict=False
        ):
            length = (far - near) * h
            share = sp.exp(-2 * rate * near * h) * length * Phi(1, -2 * rate * length)
            own = moment_covariance(normal, normal, lengths[normal.interval])
            terms[normal] = sp.sqrt(share / own)
        rows.append(Functional(terms))
    return tuple(rows)


def reread_intervals(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
    """`reversed_intervals` for one node c > 1/2, read as another path: the same law, another coupling.

    The nodes are 1 - c, where nothing is evaluated, and c. The first normal is the path up to 1 - c,
    so that the step's own noise is exact; the stage has that normal, at the variance of its own noise.
    """
    before, _, end = path_values(rate, nodes)
    moment = Moment(rate, 0, 0)
    wanted = moment_covariance(moment, moment, nodes[1] * h)
    share = wanted / moment_covariance(moment, moment, nodes[0] * h)
    return (before, Functional({moment: sp.sqrt(share)}), end)


def independent_stages(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
    """Every stage draws a noise of its own, of the right variance; the step's is the exact one."""
    points, lengths = cuts(nodes), interval_lengths(nodes)
    stages = (
        step_moment(rate, lengths, points.index(node) - 1, path=path)
        for path, node in enumerate(nodes, start=1)
    )
    return (*stages, path_values(rate, nodes)[-1])


def last_stage_only(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
    """The stages are computed without noise; it is added in the last line alone."""
    return (*(Functional() for _ in nodes), path_values(rate, nodes)[-1])


def swapped_thirds(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
    """The published noise of SEEDS-3 in noise prediction, at thirds.

    The second stage's noise has the scale of the step's end instead of its own, and in the last line
    the weights of the first two normals are exchanged.
    """
    first, second, end = path_values(rate, nodes)
    one, two, three = end.terms
    exchanged = {one: end.terms[two], two: end.terms[one], three: end.terms[three]}
    return (first, sp.exp(-(1 - nodes[1]) * h) * second, Functional(exchanged))


def lawson_2(c2: sp.Expr) -> Tableau:
    """The integrating-factor method: a Runge-Kutta method in Lawson's variables, with exact noise.

    The authors' parked file has the one-stage method of this kind, its noise frozen too.
    """
    slope = 1 / (2 * c2)
    later = slope * sp.exp((1 - c2) * z)
    return Tableau(
        "lawson-2",
        (c2,),
        ((),),
        (later,),
        Orders(Fraction(1), 2, 2),
        "Lawson (1967)",
        row_sums=(c2 * sp.exp(c2 * z), (1 - slope) * sp.exp(z) + later),
    )


def seeds_3_published_phi() -> Tableau:
    r"""SEEDS-3 in data prediction as published: :math:`\frac{E(-2c_2h)}{c_2h} + 1` where c_3 belongs."""
    c2, c3 = _third, 2 * _third
    exact = seeds_3a(c2, c3)
    # (c3/c2) (E(-2 c2 h)/(c2 h) + 1) F_2, over B h = 2 h, with z = -2 h.
    stage = (c3 / c2) * (2 * Phi(1, c2 * z) - 1) / z
    return replace(
        exact,
        name="seeds-3 (published phi)",
        stages=((), (stage,)),
        orders=Orders(Fraction(1), 1, 1),
        reference=_CODE,
    )


def seeds_3_published_noise() -> Tableau:
    """SEEDS-3 in noise prediction with the published noise."""
    exact = seeds_3a(_third, 2 * _third)
    return replace(exact, name="seeds-3 (published noise)", noise=swapped_thirds, reference=_CODE)


def with_noise(
    method: Tableau, rule: NoiseRule, label: str, strong: Fraction = Fraction(1)
) -> Tableau:
    """A method with a rule under which a stage noise and the step's have a wrong covariance: weak order 1.

    strong : 0 where the step's own noise is not the path's either.
    """
    return replace(
        method,
        name=f"{method.name} ({label})",
        noise=rule,
        orders=Orders(strong, 1, method.orders.ode),
        reference=_CODE,
    )


def with_published_rule(method: Tableau, strong: Fraction = Fraction(0)) -> Tableau:
    """A method with the published noise rule, at nodes that are not equidistant.

    strong : 1 where the intervals are symmetric, so that the step's own noise is right.
    """
    return with_noise(method, reversed_intervals, "published noise rule", strong)


def seeds_2_reread(c2: sp.Expr) -> Tableau:
    """SEEDS-2 with the published noise rule, its normals read as in `reread_intervals`: c2 > 1/2."""
    zero = sp.Integer(0)
    exact = seeds_2a(c2)
    return replace(
        exact,
        name=f"{exact.name} (published noise rule, reread)",
        nodes=(1 - c2, c2),
        stages=((), (zero,)),
        weights=(zero, *exact.weights),
        orders=Orders(Fraction(1), 1, exact.orders.ode),
        reference=_CODE,
        noise=reread_intervals,
    )


def sign_moment(order: int, threshold: sp.Expr) -> sp.Expr:
    r"""The moment :math:`\mathbb{E}\,s^k` of :math:`s = \mathrm{sign}(z - a)`, which is +1 or -1."""
    return sp.Integer(1) if order % 2 == 0 else -sp.erf(threshold / sp.sqrt(2))


class SignNoise:
    """The published "discrete" noise: the sign of z minus a threshold, published as 1/2.

    Parameters
    ----------
    source : who draws z. threshold : 0 gives mean 0 and variance 1.
    """

    def __init__(self, source: NoiseSource, threshold: float = 0.5) -> None:
        self.source, self.threshold = source, threshold

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Two-point variables in place of normals."""
        return torch.sign(self.source(intervals, like) - self.threshold)


class ThreePointNoise:
    r"""Discrete noise of three points, 0 and :math:`\pm\sqrt 3`: the moments of normals up to the fifth.

    Parameters
    ----------
    source : who draws z. A third of it, beyond the quantile of 5/6, becomes :math:`\pm\sqrt 3`, the rest 0.
    """

    def __init__(self, source: NoiseSource) -> None:
        self.source = source

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Three-point variables in place of normals."""
        z = self.source(intervals, like)
        quantile = math.sqrt(2) * torch.erfinv(z.new_tensor(2 / 3))
        return torch.where(z.abs() > quantile, math.sqrt(3) * z.sign(), 0.0)


class ReseededNoise:
    """The noise of a script that seeds its generator anew in every sampler call, many calls at once.

    The states are batches in a row: all have the normals that the first of them draws.

    Parameters
    ----------
    batch : the size of one call's batch; the number of states is a multiple of it.
    seed : what the generator is seeded with, published as 7.
    """

    def __init__(self, batch: int, seed: int = 7) -> None:
        self.batch = batch
        self.source = GeneratorNoise(torch.Generator().manual_seed(seed))

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        """Normals for the first batch, repeated for the others."""
        calls, rest = divmod(len(like), self.batch)
        if rest or not calls:
            raise NoiseError(f"{len(like)} states are no whole number of batches of {self.batch}")
        normals = self.source(intervals, like[: self.batch])
        return normals.repeat(1, calls, *(1 for _ in like.shape[1:]))


# Classical methods, for the engine to be checked on ----------------------------------------------


def sra_1() -> Tableau:
    """Roessler's SRA1 for additive noise: the stage noise is an average of the path."""

    def noise(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
        average = _average(rate, nodes)
        return (sp.Rational(3, 2) * average, path_values(rate, nodes)[-1])

    return Tableau(
        "sra1",
        (sp.Rational(3, 4),),
        ((),),
        (sp.Rational(2, 3),),
        Orders(Fraction(3, 2), 2, 2),
        "Roessler (2010), SRA1",
        noise=noise,
    )


def sra_3() -> Tableau:
    """Roessler's SRA3: deterministic order 3."""

    def noise(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
        average = _average(rate, nodes)
        return (
            Functional(),
            sp.Rational(3, 2) * average,
            path_values(rate, nodes)[-1],
        )

    return Tableau(
        "sra3",
        (sp.Integer(1), _half),
        ((), (sp.Rational(1, 4),)),
        (sp.Rational(1, 6), 2 * _third),
        Orders(Fraction(3, 2), 2, 3),
        "Roessler (2010), SRA3",
        noise=noise,
    )


def _average(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> Functional:
    r"""The average of a Brownian path over the step, :math:`I_{(1,0)}/h`."""
    lengths = interval_lengths(nodes)
    return (1 / h) * step_moment(rate, lengths, len(lengths) - 1, power=1)


def etd_3() -> Tableau:
    """The exponential Kutta method of Cox and Matthews (ETD3RK)."""
    return Tableau(
        "etd3rk",
        (_half, sp.Integer(1)),
        ((), (2 * Phi(1, z),)),
        (4 * Phi(2, z) - 8 * Phi(3, z), 4 * Phi(3, z) - Phi(2, z)),
        Orders(Fraction(1), 2, 3),
        "Cox and Matthews (2002)",
    )


PUBLISHED: dict[str, Tableau] = {
    "phi": seeds_3_published_phi(),
    "noise": seeds_3_published_noise(),
    "rule-2": with_published_rule(seeds_2a(sp.Rational(7, 10))),
    "rule-2-end": with_published_rule(seeds_2a(sp.Integer(1))),
    "rule-3": with_published_rule(seeds_3a(sp.Rational(1, 4), sp.Rational(3, 4)), Fraction(1)),
    "rule-3-skew": with_published_rule(seeds_3a(sp.Rational(1, 4), 2 * _third)),
    "independent": with_noise(seeds_2a(_half), independent_stages, "independent noise"),
    "last-line": with_noise(seeds_2a(_half), last_stage_only, "noise in the last line"),
    "lawson": lawson_2(_half),
}
"""Published variants and ablations by a short name."""

CLASSICAL: dict[str, Tableau] = {
    "euler-maruyama": replace(seeds_1(), name="euler-maruyama"),
    "midpoint": replace(seeds_2a(_half), name="midpoint"),
    "sra1": sra_1(),
    "sra3": sra_3(),
}
"""Methods of known order for an SDE without a linear part."""
