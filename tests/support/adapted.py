"""What the tests of adapters share: Gaussian data, grids, and errors without sampling."""

import inspect
import math
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


def require_loaded(adapter: ModuleType) -> None:
    """Skip where the repository is not checked out, or lacks what it imports."""
    try:
        adapter.load(adapter.names()[0], {})
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


def follows_the_levels(target: str, *, to_zero: bool, steps: int = 6) -> None:
    """The callback is told of every step, and the model asked at each of their levels, stages beside."""
    levels = grid(steps) + [0.0] * to_zero
    sigmas = torch.tensor(levels, dtype=torch.float64)
    model, told, x = LinearModel(MEANS, VARIANCES), [], _fixed_states()
    torch.manual_seed(0)
    end = find_target(target).sampler(model, x, sigmas, callback=told.append, disable=True)
    assert end.shape == x.shape and end.isfinite().all()
    asked = torch.tensor(sorted({float(level) for level in model.levels}))
    assert [call["i"] for call in told] == list(range(steps + to_zero))
    assert all(bool(((asked / level).log().abs() < 1e-6).any()) for level in levels[:steps])


def local_order(target: str, steps: int = 64) -> float:
    """The order of the law's error on Gaussian data between that many steps and twice as many."""
    measured = Measurement(find_target(target), (steps, 2 * steps))
    first, second = (float(measured.law_errors(measured.map(n)).norm()) for n in (steps, 2 * steps))
    return math.log2(first / second)


def order(target: str) -> float:
    """The last local order of the law on Gaussian data."""
    return Measurement(find_target(target), STEPS).weak_curve.slopes[-1]


def end_of(sampler: Any, steps: int = 20, *, to_zero: bool = False) -> Tensor:
    """Where a sampler ends from fixed states, to compare two."""
    sigmas = torch.tensor(grid(steps) + [0.0] * to_zero, dtype=torch.float64)
    return sampler(LinearModel(MEANS, VARIANCES), _fixed_states(), sigmas, disable=True)


def _fixed_states() -> Tensor:
    return SIGMA_MAX * torch.linspace(-1, 2, 15, dtype=torch.float64).reshape(3, 5, 1, 1)


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


def lists_its_names(adapter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any folder of checkouts an adapter has its names, and says of each how to get the code."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert adapter.names()
    for name in adapter.names():
        with pytest.raises(LibraryError, match="make checkouts"):
            adapter.load(name, {})
