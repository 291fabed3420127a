"""What the densities of a run's steps cost beside the run: twenty steps of a model that does nothing.

Densities are computed in double precision, which states in single precision pay for.
"""

import pytest
import torch

from seeds_theory import GeneratorNoise, follow, make_plan, rollout, uniform_log_snr

SIGMAS = uniform_log_snr(20.0, 0.02, 20)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 3.0), (torch.float64, 2.0)])
@pytest.mark.parametrize("name", ["seeds-1", "seeds-3"])
def test_a_rollout_against_a_run(compare, name, dtype, limit):
    x, plan = 20 * torch.randn(4, 4, 64, 64, dtype=dtype), make_plan(name, SIGMAS)
    generator = torch.Generator().manual_seed(0)
    ratio = compare(
        lambda: rollout(lambda x, _: x, x, plan, GeneratorNoise(generator)),
        lambda: follow(lambda x, _: x, x, plan, GeneratorNoise(generator)),
        rounds=15,
        ours=f"rollout of {name}",
        peer=f"follow of {name}",
        shape="4x4x64x64",
        noise=f"drawn, {dtype}",
    )
    assert ratio < limit
