"""Flux's loop: Euler's method for a flow."""

import pytest
import torch
from adapted import absent, end_of, follows_the_grid, require_checkout

from proofs_checks.audit.entries.flux import ENTRIES
from proofs_checks.audit.peers import diffusers, flux


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"flux"}


def test_without_a_checkout_it_says_how_to_get_one(monkeypatch, tmp_path):
    absent(flux, "denoise", monkeypatch, tmp_path)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", flux.names())
def test_it_follows_the_grid(name, to_zero):
    require_checkout(flux.CHECKOUT)
    follows_the_grid(flux.load(name, {}), to_zero=to_zero)


def test_its_steps_are_those_of_ddim():
    require_checkout(flux.CHECKOUT)
    ddim = diffusers.load("DDIMScheduler", {"prediction_type": "sample"})
    run = flux.load("denoise", {})
    torch.testing.assert_close(end_of(run), end_of(ddim), rtol=1e-6, atol=1e-6)
