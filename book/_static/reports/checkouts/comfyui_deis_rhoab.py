"""deis of ComfyUI with deis_mode="rhoab", and its multistep samplers with max_order=1. Run in its folder."""

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.deis import get_deis_coeff_list  # noqa: E402
from comfy.k_diffusion.sampling import sample_deis, sample_ipndm, sample_ipndm_v  # noqa: E402

sigmas = torch.logspace(1, -2, 9, dtype=torch.float64)
x = torch.zeros(1, 1, 1, 1, dtype=torch.float64)


def attempt(name, sampler, **options):
    """A run on data at 0."""
    try:
        sampler(lambda x, sigma: 0 * x, x, sigmas, disable=True, **options)
        print(f"{name}: runs")
    except (ValueError, IndexError) as error:
        print(f"{name}: {type(error).__name__}: {error}")


for mode in ("tab", "rhoab"):
    for order in (2, 3):
        weights = get_deis_coeff_list(sigmas, order, deis_mode=mode)
        print(f"{mode}, max_order {order}: weights a step", *(len(each) for each in weights))
        attempt("    deis", sample_deis, max_order=order, deis_mode=mode)
for sampler in (sample_ipndm, sample_ipndm_v, sample_deis):
    attempt(f"{sampler.__name__}, max_order 1", sampler, max_order=1)
