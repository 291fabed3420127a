"""torchdiffeq's methods as samplers: steps of the grid, their orders, and what Adams' default order does."""

import pytest
import torch
from adapted import end_of, follows_the_grid, order, require_names

from proofs_checks.audit.entries.torchdiffeq import ENTRIES
from proofs_checks.audit.peers import torchdiffeq
from seeds_theory.errors import ParameterError


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"torchdiffeq"}


@pytest.fixture(autouse=True)
def _needs_it():
    require_names(torchdiffeq)


@pytest.mark.filterwarnings("ignore:Functional iteration did not converge:UserWarning")
@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", torchdiffeq.FIXED)
def test_it_follows_the_grid(name, to_zero):
    follows_the_grid(torchdiffeq.load(name, {}), to_zero=to_zero)


ORDERS = [("euler", 1), ("midpoint", 2), ("heun2", 2), ("heun3", 3), ("rk4", 4)]


@pytest.mark.parametrize(("name", "expected"), ORDERS)
def test_it_reaches_the_exact_law_at_its_order(name, expected):
    assert order(f"torchdiffeq:{name}") == pytest.approx(expected, abs=0.2)


def test_an_adaptive_method_keeps_its_tolerance():
    loose, tight = (torchdiffeq.load("dopri5", {"rtol": r, "atol": r}) for r in (1e-4, 1e-8))
    assert 1e-7 < (end_of(loose) - end_of(tight)).abs().max() < 1e-2


def test_adams_at_its_default_order_explodes():
    assert end_of(torchdiffeq.load("explicit_adams", {}), 64).abs().max() > 1e6
    low = end_of(torchdiffeq.load("explicit_adams", {"max_order": 4}), 256)
    torch.testing.assert_close(low, end_of(torchdiffeq.load("rk4", {}), 256), rtol=1e-3, atol=1e-3)


def test_options_it_does_not_have_are_refused():
    with pytest.raises(ParameterError, match="known: none"):
        torchdiffeq.load("euler", {"rtol": 1e-3})
