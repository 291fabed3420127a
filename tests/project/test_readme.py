"""The README's Python runs as it stands, but for what needs a pipeline or a module of the reader's."""

import re
from pathlib import Path

import torch

from seeds_theory import VariancePreservingLinear

README = Path(__file__).parents[2] / "README.md"
ELSEWHERE = ("pipe(", "my_sampler")
BLOCKS = [
    block
    for block in re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S)
    if not any(text in block for text in ELSEWHERE)
]


def of_k_diffusion(x, sigma, seed):
    return x / (1 + sigma[:, None] ** 2)


def network(x, t):
    """Of data N(0, 1)."""
    return VariancePreservingLinear().sigma(float(t[0])) * x


def labelled(x, t, labels):
    assert labels is None or len(x) == len(t) == len(labels) <= 4
    return network(x, t)


def test_the_blocks_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the last one writes a picture
    names = {"network": network, "labelled": labelled}
    sampled = {"x": 80 * torch.randn(4, 1), "sigmas": torch.tensor([80.0, 9.0, 1.0, 0.0])}
    for block in BLOCKS:
        own = {"model": of_k_diffusion, **sampled} if "kdiffusion" in block else names
        exec(compile(block, str(README), "exec"), own)
        assert own.get("images", torch.zeros(1)).isfinite().all()
    assert (tmp_path / "four.png").exists()
    assert len(BLOCKS) >= 9
