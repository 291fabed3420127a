"""SRA1, ShARK and Lawson's form of it: the path's increment and area, and each step written out again."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from seeds_theory.baselines.run import Baseline, Run
from seeds_theory.baselines.shark import LAWSON_SHARK, SHARK
from seeds_theory.baselines.sra1 import SRA1, increment_and_area
from seeds_theory.exact import DATA, INCREMENTS
from seeds_theory.plan import Interval
from seeds_theory.solver import Solver
from seeds_theory.sources import InjectedNoise

S, T = 3.0, 1.2
LAM, H_STEP = -math.log(S), math.log(S / T)


def curved(x: Tensor, sigma: float) -> Tensor:
    """A denoiser that is not linear, and depends on the level."""
    return torch.tanh(x / (1 + sigma))


def drawn() -> tuple[Tensor, Tensor, InjectedNoise]:
    """States, two normals for a step, and the source that hands them out."""
    rows = torch.randn(3, 5, 1, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return 3 * rows[0], rows[1:], InjectedNoise(rows[1:])


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("end", [0.3, 0.9999])
def test_the_normals_are_increment_and_area(eta: float, end: float) -> None:
    """H = int (W_u - u/h W) du / h has the kernel (h - u)/h - 1/2, over sqrt(h/12)."""
    h = -math.log(end)
    u = np.linspace(0, h, 7)
    increment, area = (Interval(1.0, end, INCREMENTS, eta, degree=k).kernel(u) for k in (0, 1))
    assert increment == pytest.approx(np.full(7, 1 / math.sqrt(h)), rel=1e-12)
    expected = ((h - u) / h - 0.5) / math.sqrt(h / 12)
    assert area == pytest.approx(expected, rel=1e-9, abs=1e-10 / math.sqrt(h))


@pytest.mark.parametrize("eta", [1e-3, 0.3, 1.0, 2.0])
def test_the_area_in_the_clock(eta: float) -> None:
    """The same in the clock exp(2 eta lambda): dB has the density sqrt(2 eta) exp(eta lambda) to dW."""
    h, u = H_STEP, np.linspace(0, H_STEP, 7)
    clock, whole = np.expm1(2 * eta * u), math.expm1(2 * eta * h)
    density = np.sqrt(2 * eta) * np.exp(eta * u)
    values, area = (Interval(S, T, DATA, eta, area=which) for which in (False, True))
    assert values.kernel(LAM + u) == pytest.approx(density / math.sqrt(whole), rel=1e-12)
    expected = density * ((whole - clock) / whole - 0.5) / math.sqrt(whole / 12)
    assert area.kernel(LAM + u) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_scale_of_increment_and_area() -> None:
    def noise_only(run: Run) -> Tensor:
        W, H = increment_and_area(run, S, T)
        return torch.stack([W, H])

    x, z, source = drawn()
    W, H = Baseline("noise", noise_only, SRA1.declared, "")(curved, x, [S, T], source, eta=0.7)
    scale = math.sqrt(2 * 0.7 * H_STEP)
    assert torch.allclose(W, scale * z[0], rtol=1e-14)
    assert torch.allclose(H, scale / math.sqrt(12) * z[1], rtol=1e-14)


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
def test_sra1_is_its_tableau(eta: float) -> None:
    """Roessler's tableau with c1 = (1, 0), B0 = 3/2, beta1 = (1, 0), beta2 = (-1, 1)."""
    x, z, source = drawn()
    h, k = H_STEP, 1 + eta
    I1 = math.sqrt(h) * z[0]
    I10 = h * (I1 + math.sqrt(h / 3) * z[1]) / 2
    c0, c1 = (0.0, 0.75), (1.0, 0.0)

    def f(y: Tensor, c: float) -> Tensor:
        return k * (curved(y, math.exp(-LAM - c * h)) - y)

    g = [math.sqrt(2 * eta) * math.exp(-LAM - c * h) for c in c1]
    f1 = f(x, c0[0])
    f2 = f(x + 0.75 * h * f1 + 1.5 * g[0] * I10 / h, c0[1])
    noise = (I1 - I10 / h) * g[0] + I10 / h * g[1]
    expected = x + h * (f1 / 3 + 2 * f2 / 3) + noise
    found = SRA1(curved, x, [S, T], source, eta=eta)
    assert torch.allclose(found, expected, rtol=1e-13, atol=1e-13)


def shark_step(
    f: Callable[[float, Tensor], Tensor],
    g: Callable[[float], float],
    v: Tensor,
    start: float,
    length: float,
    W: Tensor,
    H: Tensor,
) -> Tensor:
    """ShARK for dv = f(time, v) dtime + g(time) dW, as its paper has it, with the correction for g."""
    g_0, g_1 = g(start), g(start + length)
    shifted = v + g_0 * H
    f_0 = f(start, shifted)
    stage = shifted + 5 / 6 * (f_0 * length + g_0 * W)
    f_1 = f(start + 5 / 6 * length, stage)
    return v + length * (0.4 * f_0 + 0.6 * f_1) + g_0 * W + (g_1 - g_0) * (0.5 * W - H)


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
def test_shark_is_its_formula(eta: float) -> None:
    x, z, source = drawn()
    deviation = math.sqrt(H_STEP)
    expected = shark_step(
        lambda l, y: (1 + eta) * (curved(y, math.exp(-l)) - y),
        lambda l: math.sqrt(2 * eta) * math.exp(-l),
        x,
        LAM,
        H_STEP,
        deviation * z[0],
        deviation / math.sqrt(12) * z[1],
    )
    found = SHARK(curved, x, [S, T], source, eta=eta)
    assert torch.allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("eta", [0.3, 1.0, 2.0])
def test_lawson_shark_is_shark_in_the_transformed_variables(eta: float) -> None:
    """dv = k/(2 eta) e^{(1 - eta) lambda} D dclock + dB, v = e^{k lambda} x, clock = e^{2 eta lambda}."""
    x, z, source = drawn()
    k, clock = 1 + eta, [math.exp(2 * eta * l) for l in (LAM, LAM + H_STEP)]

    def f(time: float, v: Tensor) -> Tensor:
        l = math.log(time) / (2 * eta)
        return k / (2 * eta) * math.exp((1 - eta) * l) * curved(v * math.exp(-k * l), math.exp(-l))

    length = clock[1] - clock[0]
    deviation = math.sqrt(length)
    v = shark_step(
        f,
        lambda time: 1.0,
        math.exp(k * LAM) * x,
        clock[0],
        length,
        deviation * z[0],
        deviation / math.sqrt(12) * z[1],
    )
    found = LAWSON_SHARK(curved, x, [S, T], source, eta=eta)
    expected = math.exp(-k * (LAM + H_STEP)) * v
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("baseline", [SRA1, SHARK, LAWSON_SHARK], ids=str)
def test_eta_goes_to_zero_without_a_jump(baseline: Baseline) -> None:
    x, z, _ = drawn()
    ode = baseline(curved, x, [S, T], eta=0.0)
    for eta in (1e-9, 1e-14, 1e-300):
        near = baseline(curved, x, [S, T], InjectedNoise(0 * z), eta=eta)
        assert torch.allclose(near, ode, rtol=0, atol=10 * eta + 1e-14)


@pytest.mark.parametrize("name", ["sra1", "shark", "lawson-shark"])
def test_a_sampler_of_increments_does_not_serve_them(name: str) -> None:
    solver = Solver(name)
    assert not solver.follows_values
    assert solver.declared is not None
    assert (solver.declared.strong, solver.declared.weak, solver.declared.ode) == (None, 2, 2)
