"""One step of multistep DPM-Solver++ of order 3 from exact estimates D = lambda^2.

Run in a checkout of LuChengTHU/dpm-solver.
"""

import itertools
import math

import torch
from dpm_solver_pytorch import DPM_Solver, NoiseScheduleVP

torch.set_default_dtype(torch.float64)
schedule = NoiseScheduleVP("linear", dtype=torch.float64)
solver = DPM_Solver(None, schedule)
errors = []
for h in (0.4, 0.2, 0.1, 0.05):
    lambdas = torch.tensor([-2 * h, -h, 0.0, h]) + 1
    times = [schedule.inverse_lambda(value.reshape(1)) for value in lambdas]
    estimates = [(value**2).reshape(1) for value in lambdas[:3]]
    x = torch.zeros(1)
    end = solver.multistep_dpm_solver_update(x, estimates, times[:3], times[3], order=3)
    # alpha_t times the integral of exp(-(lambda_t - l)) l^2 over l from 1 to 1 + h
    t = 1 + h
    exact = schedule.marginal_alpha(times[3]) * ((t * t - 2 * t + 2) - math.exp(-h))
    errors.append(float((end - exact).abs()))
print("errors of a step", *(f"{error:.1e}" for error in errors))
print(
    "orders",
    *(f"{math.log2(a / b):.2f}" for a, b in itertools.pairwise(errors)),
    "of a step that should be exact",
)
