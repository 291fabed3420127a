"""PhysicsNeMo's samplers: they follow the grid on each schedule, with their orders and defects."""

import pytest
import torch
from adapted import absent, end_of, follows_the_grid, order, require_checkout

from proofs_checks.audit.entries.physicsnemo import ENTRIES
from proofs_checks.audit.measure import Measurement
from proofs_checks.audit.peers import physicsnemo
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import ParameterError


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"physicsnemo"}


@pytest.fixture
def _needs_it():
    require_checkout(physicsnemo.CHECKOUT)


def test_without_a_checkout_it_says_how_to_get_one(monkeypatch, tmp_path):
    absent(physicsnemo, "heun", monkeypatch, tmp_path)


@pytest.mark.usefixtures("_needs_it")
@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", physicsnemo.names())
def test_it_follows_the_grid(name, to_zero):
    follows_the_grid(physicsnemo.load(name, {}), to_zero=to_zero)


SCHEDULED = [
    *(("heun", {"scheduler": name}) for name in physicsnemo.SCHEDULERS),
    ("deterministic_sampler", {"schedule": "ve"}),
    ("deterministic_sampler", {"schedule": "vp", "scaling": "vp"}),
    ("deterministic_sampler", {"solver": "euler"}),
]


@pytest.mark.usefixtures("_needs_it")
@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize(("name", "options"), SCHEDULED)
def test_it_follows_the_grid_on_other_schedules(name, options, to_zero):
    follows_the_grid(physicsnemo.load(name, options), to_zero=to_zero)


@pytest.mark.usefixtures("_needs_it")
def test_its_three_forms_of_edm_take_the_same_steps():
    new, old, stochastic = (
        end_of(physicsnemo.load(name, {}))
        for name in ("heun", "deterministic_sampler", "stochastic_sampler")
    )
    torch.testing.assert_close(new, old)
    torch.testing.assert_close(new, stochastic)


ORDERS = [
    ("euler", 1),
    ("heun?scheduler=vp", 2),
    ("deterministic_sampler?schedule=ve", 2),
    ("deterministic_sampler?schedule=vp&scaling=vp", 2),
    ("edm_stochastic_heun?S_churn=10", 2),
]


@pytest.mark.usefixtures("_needs_it")
@pytest.mark.parametrize(("name", "expected"), ORDERS)
def test_it_reaches_the_exact_law_at_its_order(name, expected):
    assert order(f"physicsnemo:{name}") == pytest.approx(expected, abs=0.2)


@pytest.mark.usefixtures("_needs_it")
def test_churn_of_the_heun_solver_leaves_the_law_on_another_schedule():
    target = find_target("physicsnemo:edm_stochastic_heun?S_churn=10&scheduler=ve")
    assert Measurement(target, (32, 64, 128, 256)).limit.law_error > 1


@pytest.mark.usefixtures("_needs_it")
def test_options_it_does_not_have_are_refused():
    with pytest.raises(ParameterError, match="one of edm, ve, vp"):
        physicsnemo.load("heun", {"scheduler": "iddpm"})
    with pytest.raises(ParameterError, match="no option 'rho'"):
        physicsnemo.load("deterministic_sampler", {"rho": 7.0})
