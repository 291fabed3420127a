"""DanceGRPO's steps: an SDE whose eta varies, and DDIM that stays at its lowest level."""

import pytest
import torch
from adapted import absent, end_of, follows_the_grid, order, require_checkout

from proofs_checks.audit.entries.dance_grpo import ENTRIES
from proofs_checks.audit.peers import dance_grpo, diffusers


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"dance_grpo"}


def test_without_a_checkout_it_says_how_to_get_one(monkeypatch, tmp_path):
    absent(dance_grpo, "flux_step", monkeypatch, tmp_path)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", dance_grpo.names())
def test_it_follows_the_grid(name, to_zero):
    require_checkout(dance_grpo.CHECKOUT)
    follows_the_grid(dance_grpo.load(name, {}), to_zero=to_zero)


def test_its_steps_are_those_of_ddim():
    require_checkout(dance_grpo.CHECKOUT)
    ddim = diffusers.load("DDIMScheduler", {"prediction_type": "sample"})
    torch.testing.assert_close(
        end_of(dance_grpo.load("flux_step", {"grpo": False, "sde_solver": False})),
        end_of(ddim),
        rtol=1e-6,
        atol=1e-6,
    )


def test_its_ddim_is_that_of_diffusers_above_the_lowest_level_and_stays_there():
    require_checkout(dance_grpo.CHECKOUT)
    step, ddim = dance_grpo.load("ddim_step_with_logprob", {}), diffusers.load("DDIMScheduler", {})
    torch.testing.assert_close(end_of(step), end_of(ddim), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(end_of(step, to_zero=True), end_of(step))


@pytest.mark.parametrize("name", ["flux_step", "ddim_step_with_logprob?eta=1.0"])
def test_noise_leaves_order_one(name):
    require_checkout(dance_grpo.CHECKOUT)
    assert order(f"dance_grpo:{name}") == pytest.approx(1, abs=0.15)
