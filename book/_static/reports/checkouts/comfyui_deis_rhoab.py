"""deis of ComfyUI with deis_mode="rhoab". Run in ComfyUI's folder."""

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.deis import get_deis_coeff_list  # noqa: E402

sigmas = torch.logspace(1, -2, 9, dtype=torch.float64)
for mode in ("tab", "rhoab"):
    for order in (2, 3):
        weights = get_deis_coeff_list(sigmas, order, deis_mode=mode)
        print(f"{mode}, max_order {order}: weights a step", *(len(each) for each in weights))
