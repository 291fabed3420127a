"""ipndm_v where the derivative depends on t only: the error of each step.

Run in diff-solvers-main of zju-pi/diff-sampler.
"""

import torch
from solvers import ipndm_v_sampler

lambdas = torch.tensor([0.0, *[1.0, 2.0] * 4], dtype=torch.float64).cumsum(0) / 10
levels = torch.exp(1 - lambdas)  # steps h, 2h, h, 2h in log sigma

for order in (2, 3, 4):
    for power in range(order):

        def network(x, t, class_labels=None, power=power):
            """Such that (x - D) / t is t to a power."""
            return x - t * t**power

        states = ipndm_v_sampler(
            network,
            torch.zeros(1, 1, 1, 1, dtype=torch.float64),
            num_steps=len(levels),
            t_steps=levels,
            max_order=order,
            return_inters=True,
        )
        exact = (levels ** (power + 1) / (power + 1)).diff()
        error = (states.flatten().diff() / exact - 1)[order - 1 :].abs().max()
        print(f"max_order {order}, derivative t^{power}: relative error {float(error):.1e}")
