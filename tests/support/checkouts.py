"""What tests of adapters for checkouts share: a skip where there is none, local orders, the grid followed."""

import math
from types import ModuleType

import pytest
import torch

from proofs_checks.audit.affine import LinearModel
from proofs_checks.audit.measure import MEANS, SIGMA_MAX, VARIANCES, Measurement, grid
from proofs_checks.audit.peers.checkout import VARIABLE
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import LibraryError


def checked_out(adapter: ModuleType) -> None:
    """Skip the test where the repository is not checked out, or lacks what it imports."""
    try:
        adapter.load(adapter.names()[0], {})
    except LibraryError as error:
        pytest.skip(str(error))


def local_order(target: str, steps: int = 64) -> float:
    """The order of the law's error on Gaussian data between that many steps and twice as many."""
    measured = Measurement(find_target(target), (steps, 2 * steps))
    first, second = (float(measured.law_errors(measured.map(n)).norm()) for n in (steps, 2 * steps))
    return math.log2(first / second)


def levels_asked(target: str, *, to_zero: bool = False, steps: int = 6) -> tuple[list[int], bool]:
    """The steps that the callback is told of, and whether the model was asked at each of their levels."""
    levels = grid(steps) + [0.0] * to_zero
    sigmas = torch.tensor(levels, dtype=torch.float64)
    model, told = LinearModel(MEANS, VARIANCES), []
    x = SIGMA_MAX * torch.linspace(-1, 2, 15, dtype=torch.float64).reshape(3, 5, 1, 1)
    torch.manual_seed(0)
    end = find_target(target).sampler(model, x, sigmas, callback=told.append, disable=True)
    assert end.shape == x.shape and end.isfinite().all()
    asked = torch.tensor(sorted({float(level) for level in model.levels}))
    visited = all(bool(((asked / level).log().abs() < 1e-6).any()) for level in levels[:steps])
    return [call["i"] for call in told], visited


def absent(adapter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder of checkouts an adapter still has its names, and says how to get the code."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert adapter.names()
    for name in adapter.names():
        with pytest.raises(LibraryError, match="make checkouts"):
            adapter.load(name, {})
