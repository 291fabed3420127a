"""Adams weights against their integrals, classical tables and small steps."""

import math

import mpmath as mp
import numpy as np
import pytest

from seeds_theory.baselines.adams import adams_weights, exponential_weights

NODES = [
    [0.0],
    [0.0, -1.0],
    [0.0, -0.7, -2.1],
    [1.0, 0.0, -1.1, -2.5],
    [1.0, 0.0, -0.5, -1.0, -2.0],
]


def integral(nodes: list[float], j: int, z: float) -> float:
    points, weights = np.polynomial.legendre.leggauss(40)
    theta = (1 + points) / 2
    basis = math.prod((theta - node) / (nodes[j] - node) for i, node in enumerate(nodes) if i != j)
    return float((weights * np.exp((1 - theta) * z) * basis).sum() / 2)


@pytest.mark.parametrize("z", [0.0, -1e-6, -0.3, -2.0, -20.0, 1.5])
@pytest.mark.parametrize("nodes", NODES, ids=lambda nodes: f"{len(nodes)} nodes")
def test_weights_are_their_integrals(nodes: list[float], z: float) -> None:
    exact = [integral(nodes, j, z) for j in range(len(nodes))]
    assert adams_weights(nodes, z) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("nodes", "table"),
    [
        ([0, -1], [3 / 2, -1 / 2]),
        ([0, -1, -2], [23 / 12, -16 / 12, 5 / 12]),
        ([0, -1, -2, -3], [55 / 24, -59 / 24, 37 / 24, -9 / 24]),
        ([1, 0], [1 / 2, 1 / 2]),
        ([1, 0, -1], [5 / 12, 8 / 12, -1 / 12]),
        ([1, 0, -1, -2], [9 / 24, 19 / 24, -5 / 24, 1 / 24]),
    ],
)
def test_without_an_exponential_they_are_the_tables_of_adams(
    nodes: list[float], table: list[float]
) -> None:
    assert adams_weights(nodes) == pytest.approx(table, rel=1e-14)


@pytest.mark.parametrize("kappa", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("h", [1e-6, 1e-3, 0.5, 3.0])
def test_small_steps_lose_no_digits(kappa: float, h: float) -> None:
    lengths = [0, h, 2.5 * h, 3 * h, 4.7 * h]  # before 0.7, whence the step of length h goes on
    levels = [0.7 * math.exp(length) for length in lengths]
    t = 0.7 * math.exp(-h)
    with mp.workdps(40):
        log_snr = [-mp.log(level) for level in levels]
        end = -mp.log(t)
        exact = []
        for j in range(3):
            others = [l for i, l in enumerate(log_snr[:3]) if i != j]

            def integrand(l: mp.mpf, j: int = j, others: list = others) -> mp.mpf:
                basis = mp.fprod((l - other) / (log_snr[j] - other) for other in others)
                return kappa * mp.exp(-kappa * (end - l)) * basis

            exact.append(float(mp.quad(integrand, [log_snr[0], end])))
    found = exponential_weights(kappa, levels[0], t, levels[:3])
    assert found == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(("s", "t"), [(20.0, 3.0), (3.0, 2.999), (2.999, 0.01)])
def test_a_constant_is_integrated_exactly(s: float, t: float) -> None:
    weights = exponential_weights(2.0, s, t, [s, 1.3 * s, 2 * s])
    assert sum(weights) == pytest.approx(-math.expm1(2 * math.log1p((t - s) / s)), rel=1e-11)
