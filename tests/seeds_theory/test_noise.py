"""Functionals of the Brownian path: covariances against quadrature, accuracy on tiny steps, joining."""

import itertools
import math
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad

from seeds_theory.exact import DATA, NOISE, SemilinearForm, eta, lam_t
from seeds_theory.noise import (
    Functional,
    Moment,
    cuts,
    deviation,
    h,
    interval_lengths,
    joined,
    moment_covariance,
    noise_scale,
    path_averages,
    step_moment,
)
from seeds_theory.phi import NUMERIC

RATES = (-1.0, 0.0, 0.3, 1.0, 2.5)
LENGTHS = (1e-4, 0.5, 4.0)
AVERAGES = path_averages()


@cache
def number(expression: sp.Expr, *arguments: sp.Symbol) -> Any:
    """The expression in float64, as the solvers evaluate it."""
    return sp.lambdify(arguments, expression, modules=NUMERIC)


def covariance(a: Moment, b: Moment, length: float) -> float:
    return float(number(moment_covariance(a, b, h), h)(length))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("powers", list(itertools.combinations_with_replacement(range(3), 2)))
def test_covariance_of_moments_by_quadrature(powers: tuple[int, int], length: float) -> None:
    j, k = powers
    for r, q in itertools.product(RATES, RATES):
        # x = length u: the integrand has its natural size on [0, 1].
        total, _ = quad(
            lambda u, rho=r + q: math.exp(-rho * length * u) * u ** (j + k), 0, 1, epsrel=1e-12
        )
        total *= length ** (j + k + 1) / math.factorial(j) / math.factorial(k)
        moments = Moment(sp.Float(r), j), Moment(sp.Float(q), k)
        assert covariance(*moments, length) == pytest.approx(total, rel=1e-11)
        assert covariance(*reversed(moments), length) == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("powers", [(0, 0), (0, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("rates", [(75.0, 75.0), (150.0, 1.0)])
def test_covariance_at_large_rates_keeps_its_digits(
    powers: tuple[int, int], rates: tuple[float, float]
) -> None:
    (j, k), length = powers, 4.0
    with mpmath.workdps(40):
        # The integral of x^n e^{-rho x} over [0, h], by the incomplete gamma function.
        rho, order = mpmath.mpf(sum(rates)), j + k + 1
        total = mpmath.gammainc(order, 0, rho * length) / rho**order
        expected = float(total / mpmath.factorial(j) / mpmath.factorial(k))
    moments = (Moment(sp.Float(r), p) for r, p in zip(rates, powers, strict=True))
    assert covariance(*moments, length) == pytest.approx(expected, rel=1e-12)


def test_moments_of_different_intervals_are_independent() -> None:
    assert moment_covariance(Moment(eta, 0, 0), Moment(eta, 0, 1), h) == 0


def test_moment_kernel_is_the_integrand() -> None:
    x = sp.Symbol("x")
    assert Moment(sp.Integer(2), 3).kernel(x) == sp.exp(-2 * x) * x**3 / 6


def test_linear_combinations() -> None:
    a, b = Moment(eta, 0), Moment(eta, 1)
    u = Functional({a: sp.Integer(2)}) + Functional({a: sp.Integer(1), b: sp.Integer(5)})
    assert u.terms == {a: 3, b: 5}
    assert (sp.Integer(2) * u).terms == {a: 6, b: 10}
    plain = u.covariance(Functional({b: sp.Integer(1)}), (h,))
    parts = 3 * moment_covariance(a, b, h) + 5 * moment_covariance(b, b, h)
    assert sp.simplify(plain - parts) == 0


# ----------------------------------------------------------------------------- tiny steps, 60 digits


def average_kernels(e: mpmath.mpf, length: mpmath.mpf) -> dict[str, Any]:
    """The kernels at the distance x from the step's end, where the units make lambda_t = 0.

    The noise at l is int e^{-l - eta (l - u)} dW_u, its drift weight (1 + eta) e^{(1 + eta) l}: at each
    u their product is (1 + eta) e^{-eta x}, whatever l, and M, M1 and J integrate it over l > u.
    """
    return {
        "N": lambda x: mpmath.exp(-e * x),
        "M": lambda x: (1 + e) * mpmath.exp(-e * x) * x,
        "M1": lambda x: (1 + e) * mpmath.exp(-e * x) * (x - x**2 / (2 * length)),
        "J": lambda x: (1 + e) ** 2 * mpmath.exp(-e * x) * x**2 / 2,
    }


@cache
def average_covariance(a: str, b: str) -> sp.Expr:
    return AVERAGES[a].covariance(AVERAGES[b], (h,))


@pytest.mark.parametrize("length", [1e-8, 1e-3, 1.0, 4.0])
@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5])
def test_joint_covariance_of_the_path_averages(eta_value: float, length: float) -> None:
    with mpmath.workdps(60):
        size = mpmath.mpf(length)
        kernels = average_kernels(mpmath.mpf(eta_value), size)
        for a, b in itertools.combinations_with_replacement(AVERAGES, 2):
            value = number(average_covariance(a, b), h, eta)(length, eta_value)

            def product(u: mpmath.mpf, one: Any = kernels[a], two: Any = kernels[b]) -> mpmath.mpf:
                return one(size * u) * two(size * u)

            exact = size * mpmath.quad(product, [0, 1])
            assert float(abs(value / exact - 1)) <= 1e-12, (a, b)


def test_averages_are_the_integrals_they_are_named_for() -> None:
    """The kernel of M, M1 and J at u: the integral over l > u of the drift weight times e^{-...}."""
    eta_value, length, x = 0.7, 0.9, 0.4
    e, s = 1 + eta_value, -length  # the step is [-length, 0], dW_u at u = -x

    def noise(l: float, u: float) -> float:
        # The noise at l in units of sqrt(2 eta) e^{-lambda_t}, with lambda_t = 0: e^{-l} e^{-eta(l-u)}.
        return math.exp(-l - eta_value * (l - u)) if l > u else 0.0

    def drift(l: float, end: float = 0.0) -> float:
        return e * math.exp(-e * (end - l))

    u = -x
    m, _ = quad(lambda l: drift(l) * noise(l, u), u, 0)
    m1, _ = quad(lambda l: drift(l) * (l - s) / length * noise(l, u), u, 0)
    j, _ = quad(lambda l: drift(l) * quad(lambda k: drift(k, l) * noise(k, u), u, l)[0], u, 0)
    found = {
        name: sum(
            float(weight.subs({eta: eta_value, h: length}))
            * float(moment.kernel(sp.Float(x)).subs(eta, eta_value))
            for moment, weight in functional.terms.items()
        )
        for name, functional in AVERAGES.items()
    }
    assert found["N"] == pytest.approx(noise(0.0, u), rel=1e-12)
    assert found["M"] == pytest.approx(m, rel=1e-9)
    assert found["M1"] == pytest.approx(m1, rel=1e-9)
    assert found["J"] == pytest.approx(j, rel=1e-9)


def test_the_double_integral_follows_from_the_averages() -> None:
    difference = AVERAGES["J"] + (-(1 + eta) * h) * (
        AVERAGES["M"] + sp.Integer(-1) * AVERAGES["M1"]
    )
    assert all(sp.simplify(weight) == 0 for weight in difference.terms.values())


@pytest.mark.parametrize("length", [1e-8, 1e-2, 2.0])
@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("form", (DATA, NOISE), ids=lambda form: form.name)
def test_joint_covariance_of_node_noises(
    form: SemilinearForm, eta_value: float, length: float
) -> None:
    nodes = [sp.Rational(c) for c in ("1/10", "1/2", "1")]
    cuts = [sp.Integer(0), *nodes]
    lengths = [(b - a) * h for a, b in itertools.pairwise(cuts)]
    noises = [step_moment(form.noise_rate, lengths, i) for i in range(3)]
    for i, j in itertools.combinations_with_replacement(range(3), 2):
        value = number(noises[i].covariance(noises[j], lengths), h, eta)(length, eta_value)
        with mpmath.workdps(60):
            rate = mpmath.mpf(eta_value) if form is DATA else mpmath.mpf(-1)
            a, b = (mpmath.mpf(nodes[n].p) / nodes[n].q * mpmath.mpf(length) for n in (i, j))
            # int_0^a e^{-rate (a-u)} e^{-rate (b-u)} du for a <= b.
            exact = mpmath.exp(-rate * (b - a)) * -mpmath.expm1(-2 * rate * a) / (2 * rate)
        assert float(abs(value / exact - 1)) <= 1e-12


@pytest.mark.parametrize("length", [1e-8, 0.3, 3.0])
@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5])
def test_joint_law_of_data_and_noise_prediction(eta_value: float, length: float) -> None:
    moments = Moment(DATA.noise_rate, 0), Moment(NOISE.noise_rate, 0)
    value = number(moment_covariance(*moments, h), h, eta)(length, eta_value)
    with mpmath.workdps(60):
        e, size = mpmath.mpf(eta_value), mpmath.mpf(length)
        exact = mpmath.quad(lambda u: size * mpmath.exp((1 - e) * size * u), [0, 1])
    assert float(abs(value / exact - 1)) <= 1e-12


@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("form", (DATA, NOISE), ids=lambda form: form.name)
def test_deviation_is_the_unit_times_the_root_of_the_variance(
    form: SemilinearForm, eta_value: float
) -> None:
    time, length = 0.4, 0.8
    value = float(number(deviation(form), lam_t, h, eta)(time, length, eta_value))
    unit = float(noise_scale().subs({lam_t: time, eta: eta_value}))
    assert unit == pytest.approx(math.sqrt(2 * eta_value) * math.exp(-time), rel=1e-14)
    if form is DATA:
        expected = math.exp(-time) * math.sqrt(-math.expm1(-2 * eta_value * length))
    else:
        expected = math.exp(-time) * math.sqrt(eta_value * math.expm1(2 * length))
    assert value == pytest.approx(expected, rel=1e-14)


# ------------------------------------------------------------------------------- joining intervals

first, second, distance = sp.symbols("h_1 h_2 x", positive=True)
rate = sp.Symbol("r", real=True)


@pytest.mark.parametrize("power", range(4))
def test_joining_is_exact_kernel_by_kernel(power: int) -> None:
    """At each u the kernel over two intervals is that of the whole: the same functional of the path."""
    whole = Moment(rate, power)
    parts = joined(whole, second).terms
    late = sum(weight * m.kernel(distance) for m, weight in parts.items() if m.interval == 1)
    early = sum(weight * m.kernel(distance) for m, weight in parts.items() if m.interval == 0)
    assert sp.simplify(late - whole.kernel(distance)) == 0
    assert sp.simplify(sp.expand(early - whole.kernel(distance + second))) == 0


@pytest.mark.parametrize("name", AVERAGES)
def test_splitting_a_functional_keeps_its_kernel(name: str) -> None:
    functional = AVERAGES[name]
    parts = functional.split(second).terms
    late = sum(weight * m.kernel(distance) for m, weight in parts.items() if m.interval == 1)
    early = sum(weight * m.kernel(distance) for m, weight in parts.items() if m.interval == 0)
    whole = sum(weight * m.kernel(distance) for m, weight in functional.terms.items())
    assert sp.simplify(late - whole) == 0
    assert sp.simplify(sp.expand(early - whole.subs(distance, distance + second))) == 0


@cache
def joined_covariances(a: str, b: str) -> tuple[Any, Any]:
    """The covariance of two averages over h_1 + h_2, as a whole and from the parts."""
    whole = average_covariance(a, b)
    parts = AVERAGES[a].split(second).covariance(AVERAGES[b].split(second), (first, second))
    left, right = (x.subs(h, first + second) for x in (whole, parts))
    return number(left, first, second, eta), number(right, first, second, eta)


@pytest.mark.parametrize("lengths", [(1e-8, 3e-8), (0.2, 1.1), (2.0, 0.01)])
@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5])
def test_joint_covariance_of_averages_is_kept_by_joining(
    eta_value: float, lengths: tuple[float, float]
) -> None:
    for a, b in itertools.combinations_with_replacement(AVERAGES, 2):
        whole, parts = joined_covariances(a, b)
        assert parts(*lengths, eta_value) == pytest.approx(whole(*lengths, eta_value), rel=1e-12)


def test_joint_covariance_is_positive_semidefinite_on_short_steps() -> None:
    names = ("N", "M", "M1")
    matrix = np.array(
        [
            [
                number(average_covariance(a, b), h, eta)(1e-6, 1.0)
                / 1e-6 ** (1 + (a != "N") + (b != "N"))
                for b in names
            ]
            for a in names
        ],
        dtype=float,
    )
    assert np.linalg.eigvalsh(matrix).min() > 1e-3


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [((), (0, 1)), ((1,), (0, 1)), ((sp.Rational(2, 3), sp.Rational(1, 3)), (0, "1/3", "2/3", 1))],
)
def test_cuts_are_the_distinct_nodes_in_order(nodes, expected):
    assert cuts([sp.sympify(node) for node in nodes]) == tuple(map(sp.Rational, expected))


def test_the_lengths_between_cuts_add_up_to_the_step():
    third = sp.Rational(1, 3)
    assert interval_lengths((2 * third, third / 2)) == (h / 6, h / 2, h / 3)


def test_symbolic_cuts_ascend_as_their_names_do_and_end_at_one():
    c2, c3 = sp.symbols("c_2 c_3", positive=True)
    assert cuts((c3, sp.Integer(1), c2)) == (0, c2, c3, 1)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_a_moment_of_the_step_does_not_depend_on_how_the_step_is_cut(power):
    rate, thirds = sp.Rational(1, 2), (h / 3, h / 3, h / 3)
    whole = step_moment(rate, (h,), 0, power=power)
    pieces = step_moment(rate, thirds, 2, power=power)
    exact, found = whole.covariance(whole, (h,)), pieces.covariance(pieces, thirds)
    assert float(found.subs(h, 0.7).evalf()) == pytest.approx(float(exact.subs(h, 0.7).evalf()))


def test_noises_of_different_paths_are_independent():
    one, two = (step_moment(sp.Integer(1), (h,), 0, path=path) for path in (0, 1))
    assert one.covariance(two, (h,)) == 0
    assert two.covariance(two, (h,)) == one.covariance(one, (h,))
