"""The exported file for k-diffusion: it gives what `follow` gives, and keeps that signature's contracts."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from exported import CASES, GRIDS, VARIANTS, Run, curved, module, program, text
from torch import Tensor

from proofs_checks.catalogue import claim_names


def of_k_diffusion(x: Tensor, sigma: Tensor) -> Tensor:
    assert sigma.shape == (len(x),)
    assert sigma.dtype == x.dtype
    return curved(x, sigma[0].item())


def sampler(name: str, prediction: str = "data") -> Any:
    function = f"sample_{name.partition('@')[0].replace('-', '_')}"
    return getattr(module(name, prediction, "torch"), function)


def injected(rows: Tensor, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """torch's draws answered by rows; returns those that are left."""
    left = list(rows)
    monkeypatch.setattr(torch, "randn_like", lambda x: left.pop(0).to(x))
    return left


@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_it_gives_what_follow_gives(
    name: str, prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = sampler(name, prediction)
    for grid, eta in CASES:
        run = Run(name, prediction, grid, eta)
        left = injected(run.normals, monkeypatch)
        sigmas = torch.tensor(run.sigmas, dtype=torch.float64)
        assert run.error(sample(of_k_diffusion, run.x, sigmas, eta=eta)) < 1e-14
        assert left == []


@pytest.mark.parametrize(
    ("dtype", "accuracy"), [(torch.float32, 1e-6), (torch.float16, 5e-3), (torch.bfloat16, 5e-2)]
)
@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_states_keep_their_type(
    name: str, prediction: str, dtype: Any, accuracy: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(name, prediction, GRIDS["even"], 1.0)
    injected(run.normals, monkeypatch)
    sigmas, x = torch.tensor(run.sigmas), run.x.to(dtype)
    found = sampler(name, prediction)(of_k_diffusion, x, sigmas)
    assert found.dtype == dtype
    assert torch.equal(x, run.x.to(dtype))
    assert run.error(found.double()) < accuracy


@pytest.mark.parametrize("name", ["seeds-1", "seeds-3", "seeds-3@0.8,0.3"])
def test_the_noise_sampler_is_asked_once_a_stretch_in_time_order(name: str) -> None:
    run = Run(name, "data", GRIDS["uneven to zero"], 1.0)
    asked, rows = [], iter(run.normals)

    def noise_sampler(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        assert sigma.ndim == sigma_next.ndim == 0
        asked.append((sigma.item(), sigma_next.item()))
        return next(rows)

    sigmas = torch.tensor(run.sigmas, dtype=torch.float64)
    found = sampler(name)(of_k_diffusion, run.x, sigmas, noise_sampler=noise_sampler)
    assert run.error(found) < 1e-14
    expected = [(i.sigma, i.sigma_next) for i in run.plan.intervals]
    torch.testing.assert_close(torch.tensor(asked), torch.tensor(expected), rtol=1e-15, atol=0.0)


@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_the_parameters_are_those_of_the_library(name: str, prediction: str) -> None:
    parameters = inspect.signature(sampler(name, prediction)).parameters
    expected = ["model", "x", "sigmas", "extra_args", "callback", "disable", "eta", "s_noise"]
    values = program(name, prediction).degree == 1
    assert list(parameters) == expected + ["noise_sampler"] * values


def test_callback_arguments_and_scaled_noise() -> None:
    x, sigmas, seen = torch.randn(2, 3), torch.tensor([4.0, 1.0, 0.0]), []
    found = sampler("seeds-2")(
        lambda x, sigma, factor: factor * x,
        x,
        sigmas,
        extra_args={"factor": 0.5},
        callback=seen.append,
        disable=True,
        s_noise=0.0,
        noise_sampler=None,
    )
    assert [info["i"] for info in seen] == [0, 1]
    assert set(seen[0]) == {"x", "i", "sigma", "sigma_hat", "denoised"}
    assert torch.equal(seen[0]["denoised"], 0.5 * x)
    assert torch.equal(seen[1]["denoised"], found)
    assert [info["sigma"].item() for info in seen] == [4.0, 1.0]


def test_nothing_records_gradients() -> None:
    x = torch.randn(2, 1, requires_grad=True)
    assert not sampler("seeds-3")(of_k_diffusion, x, torch.tensor([2.0, 1.0])).requires_grad


@pytest.mark.parametrize(
    "sigmas",
    [
        [1.0],
        [],
        [1.0, 1.0],
        [1.0, 2.0],
        [1.0, -1.0],
        [math.nan, 1.0],
        [math.inf, 0.0],
        [[2.0, 1.0]],
        1.0,
    ],
)
def test_grids_that_no_sampler_can_follow(sigmas: Any) -> None:
    with pytest.raises(ValueError, match="sigmas are two or more levels"):
        sampler("seeds-1")(of_k_diffusion, torch.zeros(1, 1), torch.tensor(sigmas))


@pytest.mark.parametrize("eta", [-1.0, math.inf, math.nan])
def test_an_eta_out_of_range(eta: float) -> None:
    with pytest.raises(ValueError, match="eta and s_noise are finite numbers >= 0"):
        sampler("seeds-1")(of_k_diffusion, torch.zeros(1, 1), torch.tensor([2.0, 1.0]), eta=eta)


@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_the_file_is_short_and_says_what_it_is(name: str, prediction: str) -> None:
    file, written = text(name, prediction, "torch")
    assert len(written.splitlines()) <= 120
    assert file == f"sample_{name.partition('@')[0].replace('-', '_')}.py"
    doc = sampler(name, prediction).__doc__
    claims = program(name, prediction).claims
    assert claims
    assert set(claims) <= set(claim_names())
    assert all(claim in doc for claim in claims)
    assert "x_t = " in doc and f"in {prediction} prediction" in doc
    assert "SPDX-License-Identifier: MIT" in written
    assert written.count("seeds-export") == 1


ALONE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sympy", "scipy", "numpy", "tqdm", "matplotlib", "seeds_theory"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
import torch
from sample_seeds_3s import sample_seeds_3s
x = sample_seeds_3s(lambda x, sigma: 0 * x, torch.ones(2, 3), torch.tensor([2.0, 1.0, 0.0]))
assert torch.equal(x, torch.zeros(2, 3))
assert not {"sympy", "scipy", "numpy", "seeds_theory"} & set(sys.modules)
"""


@pytest.mark.slow
def test_the_file_needs_torch_alone(tmp_path: Any) -> None:
    file, written = text("seeds-3s", "data", "torch")
    (tmp_path / file).write_text(written)
    (tmp_path / "alone.py").write_text(ALONE)
    command = [sys.executable, "-W", "ignore", "alone.py"]
    end = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stderr
