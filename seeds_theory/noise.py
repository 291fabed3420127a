r"""Functionals of the Brownian path over one step, and their joint law.

The noise of an exponential form at :math:`\lambda_t`, started from :math:`\lambda_s`, is
:math:`\sqrt{2\eta}\,e^{-\lambda_t} G^r_0` with the *moments of white noise*

.. math::  G^r_k(s, t) = \int_s^t e^{-r(\lambda_t-u)} \frac{(\lambda_t-u)^k}{k!}\,dW_u,

:math:`r = \eta` for data and :math:`r = -1` for noise prediction. Path averages of the data-prediction
noise are moments with k > 0. Two rules say everything about them:

* one covariance, for any two rates and powers, on an interval of length h,

  .. math::  \mathrm{Cov}(G^r_j, G^q_k) = \binom{j+k}{j} h^{j+k+1} e^{-\rho h}\varphi_{j+k+1}(\rho h),
             \qquad \rho = r + q;

* one way to join an interval to the next one, of length :math:`h_2`,

  .. math::  G^r_k(s, t) = e^{-r h_2} \sum_{j \le k} \frac{h_2^{k-j}}{(k-j)!}\, G^r_j(s, m) + G^r_k(m, t).

On one interval the moments of one rate are made of independent standard normals, :math:`G_k = \sum_j
L_{kj} z_j`: z_j is the functional whose kernel is :math:`e^{-r x}` times the orthonormal polynomial of
degree j.

Claims: ``noise-*``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from seeds_theory.exact import DATA, SemilinearForm, diffusion, lam, lam_t
from seeds_theory.extras import optional_imports
from seeds_theory.phi import DampedPhi

with optional_imports():
    import sympy as sp

h = sp.Symbol("h", positive=True)
"""Length of a step in log-SNR."""


@dataclass(frozen=True)
class Moment:
    r"""The white-noise moment :math:`G^r_k` on one of the consecutive intervals of a step.

    path 0 is the solution's own Brownian motion; others are independent of it and of each other.
    """

    rate: sp.Expr
    power: int
    interval: int = 0
    path: int = 0

    def kernel(self, distance: sp.Expr, length: sp.Expr = h) -> sp.Expr:
        r"""The integrand :math:`e^{-r x} x^k / k!` at the distance x from the end of the interval."""
        return sp.exp(-self.rate * distance) * distance**self.power / sp.factorial(self.power)


@dataclass(frozen=True)
class Normal(Moment):
    r"""What the moment of this power adds to those below it: :math:`\sqrt h\,z_k` over a length h."""

    def kernel(self, distance: sp.Expr, length: sp.Expr = h) -> sp.Expr:
        r"""The integrand: :math:`e^{-r x}` times a polynomial of degree k."""
        unit = _unit_factor(self.rate, self.power + 1, length)
        kernels: list[sp.Expr] = []
        for k, row in enumerate(unit):
            own = Moment(self.rate, k).kernel(distance, length) / length**k
            lower = sp.Add(*(w * other for w, other in zip(row, kernels, strict=False)))
            kernels.append((own - lower) / row[k])
        return kernels[-1]


def moment_covariance(a: Moment, b: Moment, length: sp.Expr) -> sp.Expr:
    """The covariance of two moments on an interval of that length; 0 on others or on other paths."""
    if (a.interval, a.path) != (b.interval, b.path):
        return sp.Integer(0)
    if isinstance(a, Normal) and isinstance(b, Normal):
        return length if a.power == b.power else sp.Integer(0)
    if isinstance(a, Normal):
        a, b = b, a
    if isinstance(b, Normal):
        share = moment_factor(a.rate, 1 + max(a.power, b.power), length)[a.power, b.power]
        return sp.sqrt(length) * share
    order = a.power + b.power + 1
    rho = sp.expand(a.rate + b.rate)
    weight = sp.binomial(a.power + b.power, a.power)
    return weight * length**order * DampedPhi(order, rho * length)


@dataclass(frozen=True)
class Functional:
    """A linear combination of `Moment` objects: a Gaussian functional of the path over a step."""

    terms: Mapping[Moment, sp.Expr] = field(default_factory=dict)

    def __add__(self, other: Functional) -> Functional:
        terms = dict(self.terms)
        for moment, weight in other.terms.items():
            terms[moment] = terms.get(moment, sp.Integer(0)) + weight
        return Functional({moment: weight for moment, weight in terms.items() if weight != 0})

    def __rmul__(self, factor: sp.Expr) -> Functional:
        return Functional({moment: factor * weight for moment, weight in self.terms.items()})

    def covariance(self, other: Functional, lengths: Sequence[sp.Expr]) -> sp.Expr:
        """The covariance, given the lengths of the step's intervals."""
        return sp.Add(
            *(
                u * v * moment_covariance(a, b, lengths[a.interval])
                for a, u in self.terms.items()
                for b, v in other.terms.items()
            )
        )

    def split(self, second: sp.Expr) -> Functional:
        """The same functional of a one-interval step, cut in two; `second` is the later length."""
        result = Functional()
        for moment, weight in self.terms.items():
            result += weight * joined(moment, second)
        return result


def joined(moment: Moment, second: sp.Expr) -> Functional:
    """A moment over two intervals, in the moments of each (0 the earlier, 1 the later one)."""
    return step_moment(moment.rate, (h, second), 1, power=moment.power, path=moment.path)


def step_moment(
    rate: sp.Expr, lengths: Sequence[sp.Expr], last: int, *, power: int = 0, path: int = 0
) -> Functional:
    r"""The moment :math:`G^r_k` from the step's start to the end of interval `last`, k = `power`.

    Joined over the intervals 0 to `last` of a step, whose lengths are given. With power 0 and a form's
    noise rate it is the solution's noise there, over :math:`\sqrt{2\eta}\,e^{-\lambda}`.
    """
    terms = {}
    for i in range(last + 1):
        rest = sp.Add(*lengths[i + 1 : last + 1])  # from the end of interval i
        for k in range(power + 1):
            carried = rest ** (power - k) / sp.factorial(power - k)
            if carried != 0:
                terms[Moment(rate, k, i, path)] = sp.exp(-rate * rest) * carried
    return Functional(terms)


def moment_factor(rate: sp.Expr, count: int, length: sp.Expr) -> sp.ImmutableMatrix:
    """The lower triangular L (count, count) of the moments of powers 0, ..., count - 1 on an interval."""
    rows = []
    for power, (*lower, diagonal) in enumerate(_unit_factor(rate, count, length)):
        # One root of a product: sympy joins two only where it knows their signs.
        entries = [*(sp.sqrt(length) * entry for entry in lower), sp.sqrt(length * diagonal**2)]
        rows.append([*(length**power * entry for entry in entries), *[0] * (count - power - 1)])
    return sp.ImmutableMatrix(rows)


def _unit_factor(rate: sp.Expr, count: int, length: sp.Expr) -> list[list[sp.Expr]]:
    r"""Cholesky's factor of the covariances of :math:`G_k / (\sqrt{h}\,h^k)`, row by row."""
    moments = [Moment(rate, power) for power in range(count)]
    rows: list[list[sp.Expr]] = []
    for a in moments:
        row: list[sp.Expr] = []
        for b in moments[: a.power + 1]:
            left = moment_covariance(a, b, length) / length ** (a.power + b.power + 1)
            left -= sp.Add(*(u * v for u, v in zip(row, [*rows, row][b.power], strict=False)))
            row.append(sp.sqrt(left) if a is b else left / rows[b.power][-1])
        rows.append(row)
    return rows


def cuts(nodes: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """Where the intervals of a step begin and end: 0, the distinct nodes, 1.

    Symbolic nodes are taken to ascend as their names do: c_2 < c_3 < 1.
    """
    inner = dict.fromkeys(node for node in nodes if node != 1)
    ascending = sorted(inner, key=None if all(node.is_number for node in inner) else str)
    return (sp.Integer(0), *ascending, sp.Integer(1))


def interval_lengths(nodes: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    """The lengths of the intervals between `cuts`, in log-SNR."""
    return tuple((b - a) * h for a, b in itertools.pairwise(cuts(nodes)))


NoiseRule = Callable[[sp.Expr, tuple[sp.Expr, ...]], tuple[Functional, ...]]
r"""What noise the rows of a step get: ``rule(rate, nodes)``, with the form's noise rate, is a `Functional`
for each node and for the end, on the intervals between `cuts`, in units of
:math:`\sqrt{2\eta}\,e^{-\lambda}` at that row's time."""


def path_values(rate: sp.Expr, nodes: tuple[sp.Expr, ...]) -> tuple[Functional, ...]:
    """The exact joint noise: the values of one path of the solution's noise at the nodes and the end."""
    points, lengths = cuts(nodes), interval_lengths(nodes)
    return tuple(
        step_moment(rate, lengths, points.index(node) - 1) for node in (*nodes, sp.Integer(1))
    )


def path_averages(rate: sp.Expr = DATA.noise_rate) -> dict[str, Functional]:
    r"""The drift-weighted averages of the data-prediction noise, rate :math:`\eta`, over a step of length h.

    With E(l) the drift kernel, N_l the noise at l and :math:`\tau = (l-\lambda_s)/h`:

    * N: the noise at the end, M: :math:`\int E N_l\,dl`, M1: :math:`\int E \tau N_l\,dl`,
    * J: :math:`\int E(l) \int_{\lambda_s}^l (1+\eta) e^{-(1+\eta)(l-k)} N_k\,dk\,dl`,

    all in units of :math:`\sqrt{2\eta}\,e^{-\lambda_t}`. J is (1+eta) h (M - M1).
    """
    first, second, third = (Functional({Moment(rate, k): sp.Integer(1)}) for k in range(3))
    return {
        "N": first,
        "M": (1 + rate) * second,
        "M1": (1 + rate) * (second + (-1 / h) * third),
        "J": (1 + rate) ** 2 * third,
    }


def deviation(form: SemilinearForm) -> sp.Expr:
    r"""The standard deviation of a form's noise at :math:`\lambda_t` after a stretch of length h."""
    moment = Moment(form.noise_rate, 0)
    return noise_scale() * sp.sqrt(moment_covariance(moment, moment, h))


def noise_scale(time: sp.Expr = lam_t) -> sp.Expr:
    r"""The unit of all functionals here: :math:`g = \sqrt{2\eta}\,e^{-\lambda}` at the step's end."""
    return diffusion.subs(lam, time)
