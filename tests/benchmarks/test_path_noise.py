"""Noise of one path for 20 and for 40 steps, against independent noise for each of the two runs.

The whole cost of the solver, with the path made anew each time; the model returns what it is given. In
comparison, the Brownian tree of k-diffusion against independent noise in its own sampler.
"""

import pytest
import torch

from proofs_checks.audit.peers import LibraryError
from proofs_checks.audit.peers.kdiffusion import sampling_module
from seeds_theory import (
    BrownianPath,
    GeneratorNoise,
    SeededNoise,
    follow,
    make_plan,
    path_points,
    rho_grid,
)

SHAPES = {"4 numbers": (4, 1), "4x64x64": (1, 4, 64, 64)}
SOURCES = {
    "GeneratorNoise": lambda batch: GeneratorNoise(),
    "SeededNoise": lambda batch: SeededNoise(range(batch)),
}
PLANS = [
    make_plan("seeds-2", rho_grid(80.0, 0.002, steps, to_zero=True), eta=1.0) for steps in (20, 40)
]

every_shape = pytest.mark.parametrize("shape", SHAPES)


def model(x, sigma):
    return x


@every_shape
@pytest.mark.parametrize("source", SOURCES)
def test_a_path_costs_at_most_three_times_independent_noise(compare, shape, source):
    x = 80 * torch.randn(SHAPES[shape])
    new = SOURCES[source]

    def on_a_path():
        path = BrownianPath(path_points(PLANS), 1.0, x, new(len(x)))
        return [follow(model, x, plan, path) for plan in PLANS]

    ratio = compare(
        on_a_path,
        lambda: [follow(model, x, plan, new(len(x))) for plan in PLANS],
        ours=f"BrownianPath of {source}",
        peer="independent noise",
        shape=shape,
        noise="drawn",
    )
    assert ratio < 3.0


@pytest.mark.filterwarnings("ignore:Should have t[ab]:UserWarning")
@every_shape
def test_the_tree_of_k_diffusion(compare, shape):
    """For comparison: `sample_dpmpp_sde`, 40 steps, with its own tree and with independent noise."""
    pytest.importorskip("torchsde")
    try:
        sample = sampling_module().sample_dpmpp_sde
    except LibraryError as error:
        pytest.skip(str(error))
    x = 20 * torch.randn(SHAPES[shape])
    sigmas = torch.cat([torch.logspace(1.3, -1.7, 41), torch.zeros(1)])
    compare(
        lambda: sample(lambda x, sigma: x, x, sigmas, disable=True),
        lambda: sample(
            lambda x, sigma: x,
            x,
            sigmas,
            disable=True,
            noise_sampler=lambda sigma, sigma_next: torch.randn_like(x),
        ),
        rounds=7,
        ours="k-diffusion's BrownianTree",
        peer="independent noise",
        shape=shape,
        noise="drawn",
    )
