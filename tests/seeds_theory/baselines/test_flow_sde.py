"""Flow-SDE is the published step: that of Flow-GRPO and, with its own eta, that of DanceGRPO."""

import math

import pytest
import torch

from seeds_theory.baselines.flow_sde import FLOW_SDE
from seeds_theory.sources import InjectedNoise

S, T = 3.0, 1.25
TAU, TAU_NEXT = S / (1 + S), T / (1 + T)
X = torch.tensor([[0.3, -2.0], [4.0, 1.0]], dtype=torch.float64)  # states of the flow
Z = torch.tensor([[[0.7, -1.1], [0.2, 0.4]]], dtype=torch.float64)


def model(x, sigma):
    return torch.tanh(x) + 0.1 * sigma


def ours(eta):
    x = FLOW_SDE(model, X / (1 - TAU), [S, T], InjectedNoise(Z), eta=eta)
    return x * (1 - TAU_NEXT)


def velocity():
    return (X - model(X / (1 - TAU), S)) / TAU


@pytest.mark.parametrize("level", [0.1, 0.7, math.sqrt(2)])
def test_flow_grpo(level):
    step, deviation = TAU_NEXT - TAU, level * math.sqrt(TAU / (1 - TAU))
    mean = X * (1 + deviation**2 / (2 * TAU) * step)
    mean = mean + velocity() * (1 + deviation**2 * (1 - TAU) / (2 * TAU)) * step
    expected = mean + deviation * math.sqrt(-step) * Z[0]
    torch.testing.assert_close(ours(level**2 / 2), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_dance_grpo(level):
    step, data = TAU_NEXT - TAU, model(X / (1 - TAU), S)
    score = -(X - (1 - TAU) * data) / TAU**2
    mean = X + velocity() * step - level**2 / 2 * score * step
    expected = mean + level * math.sqrt(-step) * Z[0]
    torch.testing.assert_close(ours(level**2 / (2 * S)), expected, rtol=1e-14, atol=1e-14)


def test_without_noise_it_is_eulers_method_in_the_time_of_the_flow():
    expected = X + velocity() * (TAU_NEXT - TAU)
    torch.testing.assert_close(ours(0.0), expected, rtol=1e-14, atol=1e-14)
