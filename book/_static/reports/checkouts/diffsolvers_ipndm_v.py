"""ipndm_v where the derivative depends on t only: the largest error of a step.

Run in diff-solvers-main of zju-pi/diff-sampler.
"""

import torch
from solvers import ipndm_v_sampler

lambdas = torch.tensor([0.0, *[1.0, 2.0] * 4], dtype=torch.float64).cumsum(0) / 10
GRIDS = {
    "h, 2h, h, 2h in log t": torch.exp(1 - lambdas),
    "equal in t": torch.linspace(3, 1, 9, dtype=torch.float64),
}


def largest_error(levels, order, power):
    """Relative, of the steps that have all their past estimates."""
    states = ipndm_v_sampler(
        lambda x, t, class_labels=None: x - t * t**power,  # (x - D) / t is t to a power
        torch.zeros(1, 1, 1, 1, dtype=torch.float64),
        num_steps=len(levels),
        t_steps=levels,
        max_order=order,
        return_inters=True,
    )
    exact = (levels ** (power + 1) / (power + 1)).diff()
    return float((states.flatten().diff() / exact - 1)[order - 1 :].abs().max())


for grid, levels in GRIDS.items():
    print("steps", grid)
    for order in (2, 3, 4):
        errors = (f"{largest_error(levels, order, power):.0e}" for power in range(order))
        print(f"  max_order {order}, derivative 1, t, t^2, ...:", *errors)
