"""What the tests of adapters share: Gaussian data, grids, and errors without sampling."""

import inspect
import os
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from proofs_checks.audit.affine import LinearModel
from proofs_checks.audit.measure import MEANS, SIGMA_MAX, VARIANCES, Measurement, grid
from proofs_checks.audit.peers.checkout import VARIABLE, Checkout
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import LibraryError

STEPS = (32, 64, 128)


def require_checkout(checkout: Checkout) -> None:
    """Skip where the repository is not checked out."""
    try:
        assert checkout.folder
    except LibraryError as error:
        pytest.skip(str(error))


def require_names(adapter: ModuleType) -> None:
    """Skip where the library is not installed."""
    try:
        assert adapter.names()
    except LibraryError as error:
        pytest.skip(str(error))


def follows_the_grid(sampler: Any, *, to_zero: bool, steps: int = 8) -> None:
    """Every level is visited and reported once, in order, from the given state; the end is finite."""
    levels = grid(steps) + [0.0] * to_zero
    sigmas = torch.tensor(levels, dtype=torch.float64)
    model, seen = LinearModel(MEANS, VARIANCES), []
    torch.manual_seed(0)
    x = SIGMA_MAX * torch.randn(3, 5, 1, 1, dtype=torch.float64)
    end = sampler(model, x, sigmas, callback=seen.append, disable=True)
    assert end.shape == x.shape and end.dtype == torch.float64 and end.isfinite().all()
    assert [info["i"] for info in seen] == list(range(len(levels) - 1))
    reported = torch.stack([torch.as_tensor(info["sigma"]) for info in seen])
    torch.testing.assert_close(reported, sigmas[:-1], rtol=1e-9, atol=0)
    torch.testing.assert_close(seen[0]["x"], x, rtol=1e-9, atol=1e-9)


def order(target: str) -> float:
    """The last local order of the law on Gaussian data."""
    return Measurement(find_target(target), STEPS).weak_curve.slopes[-1]


def end_of(sampler: Any, steps: int = 20, *, to_zero: bool = False) -> Tensor:
    """Where a sampler ends from fixed states, to compare two."""
    x = SIGMA_MAX * torch.linspace(-1, 2, 15, dtype=torch.float64).reshape(3, 5, 1, 1)
    sigmas = torch.tensor(grid(steps) + [0.0] * to_zero, dtype=torch.float64)
    return sampler(LinearModel(MEANS, VARIANCES), x, sigmas, disable=True)


def keywords(sampler: Any) -> dict[str, Any]:
    """What a sampler takes beside the protocol's arguments, with defaults."""
    parameters = inspect.signature(sampler).parameters
    assert [*parameters][:6] == ["model", "x", "sigmas", "extra_args", "callback", "disable"]
    return {key: p.default for key, p in [*parameters.items()][6:]}


def absent(adapter: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch, folder: Any) -> None:
    """Without its checkout an adapter lists its names, and to load one says how to get the code."""
    assert name in adapter.names()
    monkeypatch.setitem(os.environ, VARIABLE, str(folder))
    with pytest.raises(LibraryError, match="make checkouts"):
        adapter.load(name, {})
