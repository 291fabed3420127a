"""The samplers whose noisy steps have a density, at eta = 1."""

from seeds_theory import METHODS
from seeds_theory.baselines import BASELINES

SINGULAR = ("seeds-4s", "stochastic-heun", "edm-heun", "shark", "lawson-shark")
"""Those whose steps have more states than independent noises."""

WITH_DENSITY = [
    name
    for name in (*METHODS, *(name for name, one in BASELINES.items() if one.stochastic))
    if name not in (*SINGULAR, "restart")
]
"""All others that draw noise; ``restart`` goes on without noise after it."""
