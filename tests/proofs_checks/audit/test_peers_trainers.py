"""The steps of FlowCPS and of Precise, in a loop and as policies with a log-density."""

import pytest
import torch
from adapted import absent, end_of, follows_the_grid, require_checkout

from proofs_checks.audit import audit_density
from proofs_checks.audit.entries import densities_of, flow_cps, precise
from proofs_checks.audit.measure import grid
from proofs_checks.audit.peers import dance_grpo, flow_grpo
from proofs_checks.audit.peers import flow_cps as cps_steps
from proofs_checks.audit.peers import precise as precise_steps
from seeds_theory.kdiffusion import KDiffusionSampler
from seeds_theory.policies import policy

STEP = "sde_step_with_logprob"
STEPS = [
    *((cps_steps, name) for name in cps_steps.names()),
    *((precise_steps, name) for name in precise_steps.names()),
]


@pytest.mark.parametrize("library", ["flow_cps", "precise"])
def test_entries_are_different_and_of_their_adapter(library):
    entries = {"flow_cps": flow_cps, "precise": precise}[library].ENTRIES
    targets = [entry.target for entry in entries]
    assert len(set(targets)) == len(targets)
    for target in (*targets, *densities_of(library)):
        assert target.partition(":")[0] == library


@pytest.mark.parametrize(("adapter", "name"), STEPS)
def test_without_a_checkout_they_say_how_to_get_one(adapter, name, monkeypatch, tmp_path):
    absent(adapter, name, monkeypatch, tmp_path)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize(("adapter", "name"), STEPS)
def test_they_follow_the_grid(adapter, name, to_zero):
    require_checkout(adapter.CHECKOUT)
    follows_the_grid(adapter.load(name, {}), to_zero=to_zero)


def test_the_step_of_flow_cps_is_that_of_ddim_without_noise():
    require_checkout(cps_steps.CHECKOUT)
    require_checkout(flow_grpo.CHECKOUT)
    without = {"noise_level": 0.0}
    ends = [end_of(library.load(STEP, without)) for library in (cps_steps, flow_grpo)]
    torch.testing.assert_close(*ends, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("adapter", "name", "ours", "level"),
    [
        (cps_steps, STEP, "cps", 0.7),
        (precise_steps, "cps", "cps", 0.7),
        (precise_steps, "precise", "precise", 1.5),
        (precise_steps, "flow_grpo", "flow-sde", 0.7),
        (precise_steps, "dance_grpo", "dance-sde", 0.3),
        (flow_grpo, STEP, "flow-sde", 0.7),
    ],
)
def test_published_steps_are_our_policies(adapter, name, ours, level):
    require_checkout(adapter.CHECKOUT)
    sampler = KDiffusionSampler(policy(ours, grid(20), level))
    torch.manual_seed(1)
    theirs = end_of(adapter.load(name, {"noise_level": level}))
    torch.manual_seed(1)
    torch.testing.assert_close(theirs, end_of(sampler), rtol=1e-5, atol=1e-5)


DENSITIES = [
    *((precise_steps, name, {}, True) for name in precise_steps.names()),
    (flow_grpo, STEP, {}, True),
    (cps_steps, STEP, {}, False),
    (dance_grpo, "flux_step", {}, True),
    (dance_grpo, "ddim_step_with_logprob", {"eta": 1.0}, True),
]


@pytest.mark.parametrize(("adapter", "name", "options", "belongs"), DENSITIES)
def test_their_log_densities(adapter, name, options, belongs):
    require_checkout(adapter.CHECKOUT)
    report = audit_density(adapter.load_step(name, options), shape=(2, 3, 3), draws=512)
    assert report.belongs == belongs, report
    if belongs:
        assert report.reduction == "mean"
        assert [finding.id for finding in report.findings] == ["reduction"]
    else:
        (finding,) = report.findings
        assert "a factor 1/(2 d^2) is missing, in a mean over pixels" in finding.found


def test_no_noise_has_no_density():
    require_checkout(flow_grpo.CHECKOUT)
    report = audit_density(flow_grpo.load_step(STEP, {"noise_level": 0.0}), draws=512)
    assert not report.belongs
