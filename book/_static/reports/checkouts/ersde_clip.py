"""ER-SDE-Solver's clip, an absolute one, at small and at large noise levels.

Run in a checkout of QinpengCui/ER-SDE-Solver.
"""

import functools

import torch
from er_sde_solver import ER_SDE_Solver, customized_func

solver = ER_SDE_Solver()


def zero(x, t):
    """The estimate for data that are all 0, so that what is left at the end is noise."""
    return torch.zeros_like(x)


# From level 0.1 to 0.001: the state must keep the deviation of its level.
for steps in (32, 128, 512):
    torch.manual_seed(0)
    x = 0.1 * torch.randn(20_000, dtype=torch.float64)
    levels = torch.logspace(-1, -3, steps + 1, dtype=torch.float64)
    f = [customized_func(level) for level in levels]
    variances = [levels[i + 1] ** 2 - (levels[i] * f[i + 1] / f[i]) ** 2 for i in range(steps)]
    gone = sum(bool(solver.numerical_clip(variance) == 0) for variance in variances)
    ratio = float(solver.ve_1_order(zero, x, levels, levels).std() / levels[-1])
    print(f"{steps} steps: {gone} noises are 0, deviation / level = {ratio:.4f}")

# The ODE at large levels, in single precision.
levels = torch.logspace(2, 0, 33)
ode = functools.partial(customized_func, func_type=1)
end = solver.ve_1_order(zero, 100 * torch.ones(1), levels, levels, fn_sigma=ode)
print("the ODE from level 100 to 1 in float32:", end.item())
