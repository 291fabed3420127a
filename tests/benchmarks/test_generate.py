"""What generation costs beside the network: `pytest tests/benchmarks`.

The share of the processor time of a batch of 64 that is spent outside the network of the embedded
checkpoint: noise, solver, rounding, and writing PNGs. The network is what is to be waited for.
"""

import time

import torch

from gpu_runs.checkpoints.preconditioning import build_network
from gpu_runs.generation.run_folder import PngFolder
from gpu_runs.generation.sampler import Generation, ImageSampler
from gpu_runs.training.training import FASHION_MNIST

SETTINGS = Generation("seeds-3", 4)
SEEDS = range(64)


class Stub(torch.nn.Module):
    """A network of no cost: it returns what it is given."""

    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.map_layer0 = torch.nn.Linear(1, 1)  # whose type is the network's

    def forward(self, x, noise, labels):
        return x


def seconds(sampler, folder):
    start = time.process_time()
    PngFolder(folder).write(SEEDS, sampler(SEEDS))
    return time.process_time() - start


def test_less_than_a_twentieth_of_the_time_is_spent_outside_the_network(benchmark, tmp_path):
    network = ImageSampler(build_network(FASHION_MNIST), SETTINGS)
    stub = ImageSampler(build_network(FASHION_MNIST), SETTINGS)
    stub.network.model = Stub()
    seconds(stub, tmp_path / "warm")
    outside = min(seconds(stub, tmp_path / str(i)) for i in range(3))
    share = outside / seconds(network, tmp_path / "network")
    benchmark.extra_info["share outside the network"] = share
    benchmark.pedantic(stub, args=(SEEDS,), rounds=1)
    print(f"outside the network: {share:.1%} of the time")
    assert share < 0.05
