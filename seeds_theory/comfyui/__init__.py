"""SEEDS as a node of ComfyUI: ``SamplerSEEDS``, for SamplerCustom and SamplerCustomAdvanced.

ComfyUI finds it in a folder of its ``custom_nodes`` whose ``__init__.py`` is one line,
``from seeds_theory.comfyui import *``, or in a copy of this folder; either needs this package installed in
ComfyUI's environment. Nothing of ComfyUI is imported before a node runs.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from seeds_theory.kdiffusion import Extra, KCallback, run, with_nodes
from seeds_theory.scheme import registered
from seeds_theory.seeds_range import parse_seeds
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise


class SamplerSEEDS:
    """The node: a method, its parameters and its seeds in, a ``SAMPLER`` out."""

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "get_sampler"
    CATEGORY = "sampling/custom_sampling/samplers"
    DESCRIPTION = "SEEDS: exponential solvers of the diffusion SDE, one stream of noise per image."
    METHODS: ClassVar = [*registered(), "seeds-2m"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The widgets, as ComfyUI asks for them."""
        strength = {"min": 0.0, "max": 100.0, "step": 0.01, "round": False, "default": 1.0}
        return {
            "required": {
                "method": (
                    cls.METHODS,
                    {
                        "default": "seeds-3",
                        "tooltip": "The digit is the model calls per step; 2m: 1.",
                    },
                ),
                "eta": (
                    "FLOAT",
                    {**strength, "tooltip": "1: the reverse SDE; 0: the ODE, no noise."},
                ),
                "s_noise": ("FLOAT", {**strength, "tooltip": "Multiplies the noise; 1 is exact."}),
                "nodes": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "As 0.7 for seeds-2; 1/3, 2/3 for seeds-3; empty: its own.",
                    },
                ),
                "seeds": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "Of the noise, one per image, ascending, as 7, 8, 10-12; empty: the "
                        "workflow's seed, the next one for the next image.",
                    },
                ),
            }
        }

    def get_sampler(
        self, method: str, eta: float, s_noise: float, nodes: str, seeds: str
    ) -> tuple[Any]:
        """The host's sampler object.

        Raises
        ------
        UnknownNameError, TableauError, ParameterError : the method, its nodes or the seeds.
        """
        from comfy.samplers import KSAMPLER

        options = {
            "solver": with_nodes(method, *(nodes.split(",") if nodes.strip() else ())),
            "seeds": parse_seeds(seeds) if seeds.strip() else None,
            "eta": eta,
            "s_noise": s_noise,
        }
        return (KSAMPLER(sample, extra_options=options),)


def sample(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    *,
    solver: Solver,
    seeds: list[int] | None,
    eta: float,
    s_noise: float,
) -> Tensor:
    """What ComfyUI calls: `seeds_theory.kdiffusion.run`, in the frame of the host's model."""
    from comfy.model_sampling import CONST

    sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
    return run(
        solver,
        model,
        x,
        sigmas,
        extra_args,
        callback,
        disable,
        eta,
        s_noise
        * getattr(sampling, "noise_scale", 1.0),  # of models whose noise is not of unit variance
        noise=SeededNoise(seeds) if seeds else None,
        flow=isinstance(sampling, CONST),
    )


NODE_CLASS_MAPPINGS = {"SamplerSEEDS": SamplerSEEDS}
NODE_DISPLAY_NAME_MAPPINGS = {"SamplerSEEDS": "SamplerSEEDS"}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
