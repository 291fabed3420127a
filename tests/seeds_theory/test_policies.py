"""The published samplers of reinforcement learning take their published steps, with their densities."""

import math

import pytest
import torch
from published_steps import published_step

from seeds_theory.catalogue import POLICY_NAMES, require_sampler_name
from seeds_theory.density import log_prob, rollout
from seeds_theory.errors import GridError, ParameterError, UnknownNameError
from seeds_theory.policies import POLICIES, policy
from seeds_theory.sampling import sample
from seeds_theory.solver import SOLVERS, Solver
from seeds_theory.sources import InjectedNoise

SIGMAS = [4.0, 1.5, 0.5, 0.0]
TAUS = [s / (1 + s) for s in SIGMAS]
START = torch.tensor([[0.3, -2.0], [4.0, 1.0], [0.1, 0.2]], dtype=torch.float64)
Z = torch.randn(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def model(x, sigma):
    return torch.tanh(x) + 0.1 * sigma


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_steps_and_densities_are_the_published_ones(name, share):
    level = share * POLICIES[name].level
    plan = policy(name, SIGMAS, level).on(SIGMAS)
    record = rollout(model, START / (1 - TAUS[0]), plan, InjectedNoise(Z))
    x, densities = START, []
    for tau, r, z in zip(TAUS, TAUS[1:], Z, strict=False):
        data = model(x / (1 - tau), tau / (1 - tau))
        mean, deviation = published_step(name, x, data, tau, r, level)
        x = mean + deviation * z
        # The density of the state of the frame, x / (1 - r).
        law = torch.distributions.Normal(mean / (1 - r), deviation / (1 - r))
        densities.append(law.log_prob(x / (1 - r)).sum(1))
    torch.testing.assert_close(record.x, model(x / (1 - TAUS[2]), SIGMAS[2]), rtol=1e-12, atol=0)
    torch.testing.assert_close(record.log_prob, torch.stack(densities, 1), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(log_prob(model, record), record.log_prob, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("flow", SIGMAS), UnknownNameError, "unknown policy 'flow'"),
        (("cps", SIGMAS, 1.0), ParameterError, "the level of 'cps' is below 1"),
        (("cps", SIGMAS, 1.1), ParameterError, "level <= 1"),
        (("flow-sde", SIGMAS, -0.1), ParameterError, "0 < level"),
        (("flow-sde", SIGMAS, math.nan), ParameterError, "level is a number"),
        (("precise", [math.inf, 1.0]), ParameterError, "starts at a finite noise level"),
        (("precise", [1.0, 2.0]), GridError, "descend"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        policy(*arguments)


def test_a_policy_that_is_taken_for_a_solver_is_told_from_a_name_that_there_is_not() -> None:
    assert set(POLICY_NAMES) == set(POLICIES)
    for name in set(POLICIES) - set(SOLVERS):
        for call in (
            lambda name=name: Solver(name),
            lambda name=name: sample(model, name, steps=4, shape=(1,), seeds=[0]),
            lambda name=name: require_sampler_name(name),
        ):
            with pytest.raises(UnknownNameError, match=rf"policy\('{name}', sigmas\)") as caught:
                call()
            assert "\n" not in str(caught.value) and "known:" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="known: "):
        Solver("cpss")
