"""RES4LYF's methods on N(0, 1) data, eta = 0, equal steps in log sigma: error of the end state.

Run in ComfyUI's folder, with the folder custom_nodes on the path.
"""

from types import SimpleNamespace

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from comfy.model_sampling import EPS, ModelSamplingDiscrete  # noqa: E402
from RES4LYF.beta.rk_sampler_beta import sample_rk_beta  # noqa: E402

sampling = type("Sampling", (ModelSamplingDiscrete, EPS), {})()


class Model:
    """The denoiser, with what the sampler reads of a model."""

    inner_model = SimpleNamespace(
        inner_model=SimpleNamespace(
            model_sampling=sampling, device="cpu", diffusion_model=SimpleNamespace()
        )
    )

    def __call__(self, x, sigma, **options):
        """E[x_0 | x]."""
        return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


def error(name, steps, **options):
    """Of the end state, relative."""
    sigmas = torch.logspace(1, -2, steps + 1, dtype=torch.float64)
    end = sample_rk_beta(
        Model(),
        torch.ones(1, 1, 1, 1, dtype=torch.float64),
        sigmas,
        extra_args={"model_options": {"transformer_options": {}}},
        disable=True,
        rk_type=name,
        eta=0.0,
        eta_substep=0.0,
        extra_options="work_dtype=float64",
        BONGMATH=False,
        **options,
    )
    return float(end) / ((1 + 0.01**2) / (1 + 10**2)) ** 0.5 - 1


def show(name, **options):
    """The errors on three grids."""
    chosen = "".join(f", {option} = {value:.3g}" for option, value in options.items())
    errors = (f"{error(name, steps, **options):+.1e}" for steps in (32, 64, 128))
    print(f"{name}{chosen}:", *errors, "at 32, 64, 128 steps")


if __name__ == "__main__":
    for method in ("ddim", "abnorsett_2m", "abnorsett_3m", "abnorsett_4m", "res_2m", "res_3m"):
        show(method)
    for node in (1.0, 0.75):
        show("res_3s", c3=node)
    for node in (1.0, 2 / 3):
        show("dpmpp_3s", c3=node)
    show("res_3s_strehmel_weiner")
    for method in ("heun_3s", "rk4_4s"):
        for anchor in (1.0, 0.0):
            show(method, noise_anchor=anchor)
