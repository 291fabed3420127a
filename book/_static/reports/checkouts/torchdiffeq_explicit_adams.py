"""torchdiffeq's Adams methods on y' = -y with equal steps: the error at t = 2 by steps and max_order."""

import math
import warnings

import torch
from torchdiffeq import odeint

warnings.simplefilter("ignore")  # it says that 4 is the least max_order

for method in ("explicit_adams", "implicit_adams"):
    for max_order in (4, 5, 6, 12):
        errors = []
        for steps in (16, 64, 256, 1024):
            times = torch.linspace(0, 2, steps + 1, dtype=torch.float64)
            start, options = torch.ones(1, dtype=torch.float64), {"max_order": max_order}
            end = odeint(lambda t, y: -y, start, times, method=method, options=options)[-1]
            errors.append(f"{abs(float(end) - math.exp(-2)):.0e}")
        print(f"{method}, max_order {max_order:2d}:", *errors, "at 16, 64, 256, 1024 steps")
