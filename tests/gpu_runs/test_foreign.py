"""Networks of other projects in files of torch.save: read without running anything, and as the originals."""

import numpy as np
import pytest
import torch
from foreign_files import (
    DATA,
    FLAGS,
    content,
    saved,
    states,
    with_flags,
)

from gpu_runs import load_checkpoint


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a file NAME.pt of each network."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in FLAGS:
        (folder / f"{name}.pt").write_bytes(saved(content(name)))
    return folder


@pytest.mark.parametrize("name", FLAGS)
def test_outputs_are_those_of_the_original(name, files):
    net = load_checkpoint(with_flags(files / f"{name}.pt", name), dtype=torch.float64)
    with np.load(DATA / f"{name}.npz") as file:
        sigma, expected = torch.from_numpy(file["sigma"]), torch.from_numpy(file["D"])
    x = states(sigma, (net.channels, net.resolution, net.resolution)).double()
    classes = torch.arange(len(x)) % net.label_dim if net.label_dim else None
    found = net(x, sigma, classes)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max() / other.abs().max()) < 2e-7
