"""State-sized tensors that a run holds at its peak, counted exactly, beside its start and the model's own."""

import pytest
import straightforward
import torch
from live_states import LiveStates

from proofs_checks.audit.peers import LibraryError
from proofs_checks.audit.peers.kdiffusion import sampling_module
from seeds_theory import kdiffusion

SIGMAS = torch.cat([torch.logspace(1, -1, 6), torch.zeros(1)])
START = torch.full((2, 3, 8, 8), 5.0)


def peak(sampler):
    with LiveStates(START) as states:
        sampler(
            lambda x, sigma: 0.5 * x,
            START,
            SIGMAS,
            disable=True,
            noise_sampler=lambda sigma, sigma_next: torch.randn_like(START),
        )
    return states.peak


@pytest.mark.parametrize(
    ("name", "peer", "library"),
    [
        ("seeds_1", "euler_ancestral", "k-diffusion"),
        ("seeds_2", "dpmpp_sde", "k-diffusion"),
        ("seeds_2", "seeds_2", "formulas"),
        ("seeds_3", "seeds_3", "formulas"),
    ],
)
def test_states_held_at_the_peak(benchmark, record, name, peer, library):
    ours = getattr(kdiffusion, f"sample_{name}")
    if library == "formulas":
        theirs, title = getattr(straightforward, peer), f"formulas of {peer}"
    else:
        try:
            theirs, title = getattr(sampling_module(), f"sample_{peer}"), f"k-diffusion's {peer}"
        except LibraryError as error:
            pytest.skip(str(error))
    counts = peak(ours), peak(theirs)
    record(ours=name, peer=title, ours_states=counts[0], peer_states=counts[1])
    benchmark.pedantic(peak, args=(ours,), rounds=1)
    assert counts[0] <= counts[1] + 2
