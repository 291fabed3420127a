"""SEEDS-2M, emitted: its digits, the exported files against the loop of the library, and their contracts."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from exported import CASES, GRIDS, curved
from torch import Tensor

from proofs_checks.audit import assert_order
from proofs_checks.catalogue import claim_names
from proofs_checks.multistep import identities, worst_error
from seeds_theory import InjectedNoise
from seeds_theory.baselines import BASELINES
from seeds_theory.emit.multistep import multistep_program
from seeds_theory.emit.targets import numpy as numpy_target
from seeds_theory.emit.targets import torch as torch_target
from seeds_theory.emitted import seeds_2m
from seeds_theory.multistep import line_weights
from seeds_theory.phi import Phi
from seeds_theory.solver import Solver
from seeds_theory.tableau import z

TARGETS = {"torch": torch_target, "numpy": numpy_target}


@cache
def text(to: str) -> tuple[str, str]:
    """The exported file: its name and its text."""
    ((file, found),) = TARGETS[to].multistep_files(multistep_program()).items()
    return file, found


@cache
def module(to: str) -> ModuleType:
    file, found = text(to)
    loaded = ModuleType(Path(file).stem)
    exec(compile(found, file, "exec"), loaded.__dict__)
    return loaded


class Run:
    """A run of the library's loop, the noise of its steps, and the level of every model call."""

    def __init__(self, sigmas: list[float], eta: float, dtype: Any = torch.float64) -> None:
        self.calls: list[float] = []
        self._scale = 1.0
        generator = torch.Generator().manual_seed(5)
        rows = torch.randn(len(sigmas), 2, 3, 2, generator=generator, dtype=torch.float64)
        self.x = (rows[-1, 0] * (1.0 if math.isinf(sigmas[0]) else sigmas[0])).to(dtype)
        self.per_step = rows[:-1].to(dtype)
        self.drawn = list(self._drawn(sigmas)) if eta > 0 else []
        self.expected = Solver("seeds-2m")(
            self._watched,
            self.x,
            sigmas,
            InjectedNoise(torch.stack(self.drawn) if self.drawn else rows[:0, 0]),
            eta=eta,
        ).numpy()

    def _drawn(self, sigmas: list[float]) -> Iterator[Tensor]:
        for s, t, pair in zip(sigmas, sigmas[1:], self.per_step, strict=False):
            if t > 0:
                yield from pair[:1] if math.isinf(s) else pair

    def _watched(self, x: Tensor, sigma: float) -> Tensor:
        self.calls.append(sigma)
        self._scale = max(self._scale, x.abs().max().item())
        return curved(x, sigma)

    def error(self, found: Any) -> float:
        """The largest difference, relative to the scale of the states."""
        states = np.asarray(found)
        assert (states.shape, states.dtype) == (self.expected.shape, self.expected.dtype)
        return float(np.abs(states - self.expected).max() / self._scale)


# ------------------------------------------------------------------------------------- the emitted code


def test_the_code_is_the_formula() -> None:
    for ours, formula in identities():
        assert sp.simplify(ours - formula) == 0


def test_its_numbers_have_their_digits() -> None:
    assert worst_error() <= 1e-14


def test_weights_are_the_integrals_of_the_interpolating_polynomials() -> None:
    points, end, theta = (
        (sp.Rational(3, 4), sp.Rational(-1, 5), sp.Integer(-2)),
        sp.S.One,
        sp.Symbol("t"),
    )
    for weight, point in zip(line_weights(points, end), points, strict=True):
        basis = sp.Mul(*((theta - q) / (point - q) for q in points if q != point))
        integral = sp.integrate(sp.expand(-2 * sp.exp((end - theta) * 2) * basis), (theta, 0, end))
        assert sp.simplify(weight.subs(z, 2).doit() - integral) == 0
    assert list(line_weights((sp.S.Zero,), end)) == [-z * Phi(1, z)]


def test_a_first_step_has_one_estimate() -> None:
    _, (_, a_1, a_2), (_, b_0, b_1), _, _ = seeds_2m.step(2.0, 0.5, 1.0, 0.75, 0.0, math.inf)
    h = math.log(4.0)
    assert a_2 == 0
    assert a_1 == pytest.approx(-math.expm1(-1.5 * h), rel=1e-15)
    assert b_0 + b_1 == pytest.approx(-math.expm1(-2 * h), rel=1e-15)


# ------------------------------------------------------------------------------------ the exported files


def of_k_diffusion(x: Tensor, sigma: Tensor) -> Tensor:
    assert sigma.shape == (len(x),)
    return curved(x, sigma[0].item())


def injected(rows: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    left = list(rows)
    monkeypatch.setattr(torch, "randn_like", lambda x: left.pop(0).to(x))
    return left


@pytest.mark.parametrize(("grid", "eta"), CASES)
def test_torch_gives_what_the_solver_gives(
    grid: list[float], eta: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(grid, eta)
    left = injected(run.drawn, monkeypatch)
    sigmas = torch.tensor(grid, dtype=torch.float64)
    assert (
        run.error(module("torch").sample_seeds_2m(of_k_diffusion, run.x, sigmas, eta=eta)) < 1e-14
    )
    assert left == []


@pytest.mark.parametrize(("grid", "eta"), CASES)
def test_numpy_gives_what_the_solver_gives(grid: list[float], eta: float) -> None:
    run = Run(grid, eta)
    calls: list[float] = []

    def denoiser(x: np.ndarray, sigma: float) -> np.ndarray:
        calls.append(sigma)
        return curved(x, sigma, np)

    normals = run.per_step.numpy() if eta > 0 else None
    assert run.error(module("numpy").sample(denoiser, run.x.numpy(), grid, normals, eta)) < 1e-14
    assert calls == pytest.approx(run.calls, rel=1e-14)


@pytest.mark.parametrize(
    ("dtype", "accuracy"), [(torch.float32, 1e-6), (torch.float16, 5e-3), (torch.bfloat16, 5e-2)]
)
def test_states_keep_their_type(
    dtype: Any, accuracy: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = GRIDS["even"]
    run = Run(grid, 1.0)
    injected(run.drawn, monkeypatch)
    x = run.x.to(dtype)
    found = module("torch").sample_seeds_2m(of_k_diffusion, x, torch.tensor(grid))
    assert found.dtype == dtype
    assert torch.equal(x, run.x.to(dtype))
    assert run.error(found.double()) < accuracy


@pytest.mark.parametrize("grid", GRIDS.values())
def test_every_step_is_reported_once_with_its_first_estimate(grid: list[float]) -> None:
    seen: list[dict[str, Any]] = []
    estimates: list[Tensor] = []

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        estimates.append(of_k_diffusion(x, sigma))
        return estimates[-1]

    x, sigmas = torch.randn(2, 3), torch.tensor(grid)
    found = module("torch").sample_seeds_2m(model, x, sigmas, callback=seen.append, disable=True)
    assert [info["i"] for info in seen] == list(range(len(grid) - 1))
    assert [info["sigma"].item() for info in seen] == sigmas[:-1].tolist()
    assert torch.equal(seen[0]["x"], x)
    assert seen[0]["denoised"] is estimates[0]
    assert all(any(info["denoised"] is e for e in estimates) for info in seen)
    if grid[-1] == 0:
        assert torch.equal(seen[-1]["denoised"], found)


def test_arguments_are_passed_on_and_noise_is_scaled() -> None:
    x, sigmas = torch.randn(2, 3), torch.tensor([4.0, 2.0, 1.0])
    sample = partial(module("torch").sample_seeds_2m, lambda x, sigma, factor: factor * x)
    still = sample(x, sigmas, extra_args={"factor": 0.5}, s_noise=0.0)
    assert torch.equal(still, sample(x, sigmas, extra_args={"factor": 0.5}, s_noise=0.0))
    assert not torch.equal(still, sample(x, sigmas, extra_args={"factor": 0.5}))


@pytest.mark.parametrize(
    "sigmas", [[1.0], [1.0, 1.0], [1.0, -1.0], [1.0, math.nan], [math.inf, 0.0]]
)
def test_grids_that_no_sampler_can_follow(sigmas: list[float]) -> None:
    with pytest.raises(ValueError, match="sigmas are two or more levels"):
        module("torch").sample_seeds_2m(of_k_diffusion, torch.zeros(1, 1), torch.tensor(sigmas))
    with pytest.raises(ValueError, match="sigmas are two or more levels"):
        module("numpy").sample(curved, np.zeros(1), sigmas, None)


@pytest.mark.parametrize("to", TARGETS)
def test_the_file_is_short_and_says_what_it_is(to: str) -> None:
    file, written = text(to)
    assert len(written.splitlines()) <= 120
    function = getattr(module(to), "sample_seeds_2m" if to == "torch" else "sample")
    assert file == ("sample_seeds_2m.py" if to == "torch" else "seeds_2m.py")
    claims = multistep_program().claims
    assert set(claims) <= set(claim_names())
    assert all(claim in function.__doc__ for claim in claims)
    assert "c_m = (3 + 8 d) / (4 + 12 d)" in function.__doc__
    assert "strong 1.5" in function.__doc__
    assert "SPDX-License-Identifier: MIT" in written
    assert written.count("seeds-export") == 1
    assert "noise_sampler" not in inspect.signature(function).parameters


@pytest.mark.slow
def test_the_audit_finds_the_declared_weak_order() -> None:
    """The strong one needs a noise sampler, which gives no averages; that of the ODE is the loop's, above."""
    assert_order(module("torch").sample_seeds_2m, weak=BASELINES["seeds-2m"].declared.weak)
