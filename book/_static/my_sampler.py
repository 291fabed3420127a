"""A sampler of six lines, with a model call at the start and one in the middle of each step: of order 2?"""

from itertools import pairwise

import torch


def sample(model, x, sigmas):
    """From x at the first noise level to the last; model(x, sigma) returns the data, sigma (batch,)."""
    for s, t in pairwise(sigmas):
        middle = (s * t).sqrt()
        stage = step(x, model(x, s.expand(len(x))), s, middle)
        x = step(x, model(stage, middle.expand(len(x))), s, t)
    return x


def step(x, estimate, s, t):
    """From the noise level s to t, exactly for a fixed estimate of the data."""
    kept = (t / s) ** 2
    return kept * x + (1 - kept) * estimate + t * (1 - kept).sqrt() * torch.randn_like(x)
