"""ODESolver of flow_matching: it follows the grid in its own time, at the orders of its methods."""

import pytest
from adapted import absent, follows_the_grid, order, require_checkout, require_names

from proofs_checks.audit.entries.flow_matching import ENTRIES
from proofs_checks.audit.peers import flow_matching, torchdiffeq
from seeds_theory.errors import ParameterError


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"flow_matching"}


@pytest.fixture
def _needs_it():
    require_checkout(flow_matching.CHECKOUT)
    require_names(torchdiffeq)


def test_without_a_checkout_it_says_how_to_get_one(monkeypatch, tmp_path):
    require_names(torchdiffeq)
    absent(flow_matching, "midpoint", monkeypatch, tmp_path)


@pytest.mark.usefixtures("_needs_it")
@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", flow_matching.BEGIN)
def test_it_follows_the_grid(name, to_zero):
    follows_the_grid(flow_matching.load(name, {}), to_zero=to_zero)


ORDERS = [("euler", 1), ("midpoint", 2), ("heun2", 2), ("heun3", 3), ("rk4", 4)]


@pytest.mark.usefixtures("_needs_it")
@pytest.mark.parametrize(("name", "expected"), ORDERS)
def test_it_reaches_the_exact_law_at_its_order_or_above(name, expected):
    assert order(f"flow_matching:{name}") > expected - 0.25


def test_options_it_does_not_have_are_refused():
    with pytest.raises(ParameterError, match="known: none"):
        flow_matching.load("euler", {"atol": 1e-3})
