"""A file that is not there: every command that takes one says so, and which, in one line."""

import importlib

import pytest
from typer.testing import CliRunner

from seeds_theory.errors import SeedsError

CASES = {
    "gpu_runs.fid": [
        "score nowhere/ --ref fashion-mnist",
        "score nowhere.zip --ref fashion-mnist",
        "score fashion-mnist-test --ref nowhere.npz",
        "stats fashion-mnist --out x.npz --features nowhere",
        "stats fashion-mnist --out x.npz --features inception --weights nowhere.pth",
    ],
    "gpu_runs.bench": [
        "run nowhere.toml --out x",
        "run edm-cifar10-32x32-uncond-vp --ref nowhere.npz --out x",
        "run edm-cifar10-32x32-uncond-vp --network nowhere.pkl --out x",
        "plot nowhere",
        "micro --network nowhere.pkl",
    ],
    "gpu_runs.generate": [
        "--network nowhere.pkl --method seeds-1 --steps 2 --seeds 0 --out x",
        "--network nowhere.py:network --method seeds-1 --steps 2 --seeds 0 --out x",
        "--pipeline nowhere --prompts pyproject.toml --method seeds-1 --steps 2 --seeds 0 --out x",
        "--pipeline book --prompts nowhere.txt --method seeds-1 --steps 2 --seeds 0 --out x",
    ],
    "toy_models.tune": ["fit seeds-2 --nfe 10 --spectrum nowhere.npy"],
    "proofs_checks.audit.command": ["seeds-2 --accept nowhere.json", "nowhere.py:sample"],
}
WORDS = ("there is no", "No such file", "no checkpoint file")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line"), [(module, line) for module, lines in CASES.items() for line in lines]
)
def test_a_missing_file_is_named(module, line, monkeypatch):
    pytest.importorskip("transformers" if "--pipeline" in line else "torch")
    result = CliRunner().invoke(importlib.import_module(module).app, line.split())
    assert isinstance(result.exception, SeedsError | OSError), result.output
    said = " ".join(str(result.exception).split("\n"))
    assert "nowhere" in said and any(words in said for words in WORDS), said
