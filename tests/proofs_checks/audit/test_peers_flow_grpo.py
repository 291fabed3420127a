"""flow_grpo's step: the SDE of eta = noise_level^2 / 2, and noise in its last step."""

import pytest
import torch
from adapted import absent, end_of, follows_the_grid, order, require_checkout

from proofs_checks.audit.entries.flow_grpo import ENTRIES
from proofs_checks.audit.measure import Measurement
from proofs_checks.audit.peers import diffusers, flow_grpo
from proofs_checks.audit.targets import find_target


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"flow_grpo"}


def test_without_a_checkout_it_says_how_to_get_one(monkeypatch, tmp_path):
    absent(flow_grpo, "sde_step_with_logprob", monkeypatch, tmp_path)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", flow_grpo.names())
def test_it_follows_the_grid(name, to_zero):
    require_checkout(flow_grpo.CHECKOUT)
    follows_the_grid(flow_grpo.load(name, {}), to_zero=to_zero)


def test_its_steps_are_those_of_ddim():
    require_checkout(flow_grpo.CHECKOUT)
    ddim = diffusers.load("DDIMScheduler", {"prediction_type": "sample"})
    torch.testing.assert_close(
        end_of(flow_grpo.load("sde_step_with_logprob", {"noise_level": 0.0})),
        end_of(ddim),
        rtol=1e-6,
        atol=1e-6,
    )


def test_it_solves_the_sde_of_half_its_squared_noise_level():
    require_checkout(flow_grpo.CHECKOUT)
    found = Measurement(
        find_target("flow_grpo:sde_step_with_logprob?noise_level=1.0"), (32, 64, 128, 256)
    )
    assert str(found.limit) == "SDE, eta 0.5"
    assert order("flow_grpo:sde_step_with_logprob") == pytest.approx(1, abs=0.1)
