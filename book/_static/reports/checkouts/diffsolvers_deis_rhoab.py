"""deis with deis_mode='rhoab', and ipndm with max_order=1.

Run in diff-solvers-main of zju-pi/diff-sampler.
"""

import math

import torch
from solver_utils import get_deis_coeff_list
from solvers import deis_sampler, ipndm_sampler

levels = torch.logspace(math.log10(5), 0, 9, dtype=torch.float64)
x = torch.zeros(1, 1, 1, 1, dtype=torch.float64)


def network(x, t, class_labels=None):
    """Such that (x - D) / t is 1."""
    return x - t


for order in (1, 2, 3, 4):
    table = get_deis_coeff_list(levels, order, deis_mode="rhoab")
    print(f"max_order {order}: numbers of coefficients", [len(row) for row in table])
    for name, sampler, options in (
        ("deis rhoab", deis_sampler, {"coeff_list": table}),
        ("ipndm", ipndm_sampler, {}),
    ):
        try:
            end = sampler(
                network, x, num_steps=len(levels), t_steps=levels, max_order=order, **options
            )
            print(f"    {name}: ends at {float(end):.2f}, which should be -4")
        except (ValueError, IndexError) as error:
            print(f"    {name}: {type(error).__name__}: {error}")
