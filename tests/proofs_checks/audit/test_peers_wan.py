"""Wan's two schedulers: they follow the grid, and have the orders and defects that are recorded."""

import pytest
import torch
from adapted import absent, end_of, follows_the_grid, order, require_checkout

from proofs_checks.audit.entries.wan import ENTRIES
from proofs_checks.audit.peers import diffusers, wan
from seeds_theory.errors import ParameterError


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"wan"}


def test_without_a_checkout_it_says_how_to_get_one(monkeypatch, tmp_path):
    absent(wan, "FlowUniPCMultistepScheduler", monkeypatch, tmp_path)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", wan.MODULES)
def test_it_follows_the_grid(name, to_zero):
    require_checkout(wan.CHECKOUT)
    follows_the_grid(wan.load(name, {}), to_zero=to_zero)


ORDERS = [
    ("FlowDPMSolverMultistepScheduler?solver_order=1", 1),
    ("FlowDPMSolverMultistepScheduler?solver_order=2", 2),
    ("FlowDPMSolverMultistepScheduler?algorithm_type=sde-dpmsolver++", 2),
    ("FlowUniPCMultistepScheduler?solver_order=1", 2),
]


@pytest.mark.parametrize(("name", "expected"), ORDERS)
def test_it_reaches_the_exact_law_at_its_order(name, expected):
    require_checkout(wan.CHECKOUT)
    assert order(f"wan:{name}") == pytest.approx(expected, abs=0.1)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_the_steps_are_those_of_diffusers_for_a_flow():
    require_checkout(wan.CHECKOUT)
    flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    pairs = [
        ("FlowDPMSolverMultistepScheduler", "DPMSolverMultistepScheduler"),
        ("FlowUniPCMultistepScheduler", "UniPCMultistepScheduler"),
    ]
    for name, of_diffusers in pairs:
        theirs = diffusers.load(of_diffusers, {"solver_order": 2, **flow})
        torch.testing.assert_close(end_of(wan.load(name, {})), end_of(theirs))


def test_noise_prediction_has_the_wrong_sign():
    require_checkout(wan.CHECKOUT)
    run = wan.load("FlowUniPCMultistepScheduler", {"predict_x0": False})
    right = wan.load("FlowUniPCMultistepScheduler", {})
    assert (end_of(run) / end_of(right) - 1).abs().max() > 1


def test_options_that_choose_levels_are_refused():
    require_checkout(wan.CHECKOUT)
    with pytest.raises(ParameterError, match="no option 'shift'"):
        wan.load("FlowUniPCMultistepScheduler", {"shift": 3.0})
