"""OpenAI's code of consistency models, openai/consistency_models at e32b69e: the samplers of
cm/karras_diffusion.py.

They follow k-diffusion's signature but for a generator, which is their own that draws from torch.
``progdist`` takes its levels to end at 0 and stops at the last before it. ``midpoint_ancestral`` is given
levels and the denoiser, as ``karras_sample`` does. ``onestep`` and ``multistep`` are for consistency
models, whose output is no denoiser's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, at_level, defaults, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.running import numbers_of, with_zero
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "openai/consistency_models",
    "e32b69ee436d518377db86fb2127a3972d0d8716",
    stand_ins=("piq", "torchvision.transforms", "blobfile", "mpi4py"),
)

FUNCTIONS = {
    "euler": "sample_euler",
    "heun": "sample_heun",
    "dpm": "sample_dpm",
    "ancestral": "sample_euler_ancestral",
    "progdist": "sample_progdist",
    "midpoint_ancestral": "sample_midpoint_ancestral",
}
"""The names that ``karras_sample`` knows them by, and the functions."""


def names() -> tuple[str, ...]:
    """All samplers, as ``karras_sample`` calls them."""
    return tuple(FUNCTIONS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler by its name in ``karras_sample``; options: those of churn, of heun and dpm.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of consistency_models")
    function = getattr(CHECKOUT.module("cm.karras_diffusion"), FUNCTIONS[name])
    generator = CHECKOUT.module("cm.random_util").get_generator("dummy")
    keywords = defaults(function, without=("generator", "progress", "callback"))
    require_options(name, options, tuple(keywords))

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **of_function: Any,
    ) -> Tensor:
        def denoise(state: Tensor, sigma: Tensor) -> Tensor:
            return at_level(model, state, sigma[0], extra_args)

        levels = with_zero(sigmas) if name == "progdist" else sigmas
        with numbers_of(x):
            return function(denoise, x, levels, generator, callback=callback, **of_function)

    return Adapted(name, solve, {**keywords, **options})
