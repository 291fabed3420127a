"""A run compiled into one graph by inductor, which fuses the solver's sums with a small model."""

import shutil

import pytest
import torch

from seeds_theory import InjectedNoise, follow, make_plan, rho_grid

SHAPES = {"4 numbers": (4, 1), "4x64x64": (1, 4, 64, 64)}


def model(x, sigma):
    return x / (1 + sigma)


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_compiled_run(compare, shape):
    plan = make_plan("seeds-2", rho_grid(80.0, 0.002, 10, to_zero=True))
    x = 80 * torch.randn(SHAPES[shape])
    rows = torch.randn(plan.normals, *x.shape)

    def run(x, rows):
        return follow(model, x, plan, InjectedNoise(rows))

    compiled = torch.compile(run, fullgraph=True)
    torch.testing.assert_close(compiled(x, rows), run(x, rows))
    compare(
        lambda: compiled(x, rows),
        lambda: run(x, rows),
        ours="seeds-2, torch.compile",
        peer="seeds-2",
        shape=shape,
        noise="given",
    )
