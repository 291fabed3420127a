"""ipndm_v of ComfyUI on N(0, 1) data, steps h, 2h, h, 2h, ... in log sigma. Run in ComfyUI's folder."""

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.k_diffusion.sampling import sample_ipndm_v  # noqa: E402


def model(x, sigma):
    """E[x_0 | x]."""
    return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


exact = ((1 + 0.01**2) / (1 + 10**2)) ** 0.5
x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
for order in (2, 3, 4):
    errors = []
    for pairs in (32, 64, 128, 256):
        parts = torch.tensor([0.0, *[1.0, 2.0] * pairs], dtype=torch.float64).cumsum(0)
        sigmas = 10 ** (1 - 3 * parts / parts[-1])
        end = float(sample_ipndm_v(model, x, sigmas, disable=True, max_order=order))
        errors.append(f"{end / exact - 1:+.1e}")
    print(f"max_order {order}:", *errors, "at 64, 128, 256, 512 steps")

# With a constant derivative any method must be exact: the weights of a step add up to 1.
parts = torch.tensor([0.0, *[1.0, 2.0] * 8], dtype=torch.float64).cumsum(0)
sigmas = 10 ** (1 - 3 * parts / parts[-1])
for order in (2, 3, 4):
    end = sample_ipndm_v(
        lambda x, s: x - s.reshape(-1, 1, 1, 1), x, sigmas, disable=True, max_order=order
    )
    print(f"max_order {order}: moves by {float((x - end) / (10 - 0.01)):.3f} of the distance")
