"""SEEDS in ComfyUI: sampler nodes, tuned settings as a node, and names in the KSampler's list.

ComfyUI finds them in a folder of its ``custom_nodes`` whose ``__init__.py`` is one line,
``from seeds_theory.comfyui import *``, or in a copy of this folder; either needs this package installed in
ComfyUI's environment.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from seeds_theory.baselines import BASELINES
from seeds_theory.errors import SeedsError
from seeds_theory.eta_schedule import Eta, parse_eta
from seeds_theory.kdiffusion import Extra, KCallback, NoiseSampler, run, with_nodes
from seeds_theory.scheme import registered
from seeds_theory.seeds_range import listed_seeds
from seeds_theory.settings import ETAS, KINDS, few_steps
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise

_STRENGTH = {"min": 0.0, "max": 100.0, "step": 0.01, "round": False, "default": 1.0}
_WIDGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "eta": ("FLOAT", {**_STRENGTH, "tooltip": "1: the reverse SDE; 0: the ODE, no noise."}),
    "s_noise": ("FLOAT", {**_STRENGTH, "tooltip": "Multiplies the noise; 1 is exact."}),
    "seeds": (
        "STRING",
        {
            "default": "",
            "tooltip": "Of the noise, one per image, as 7, 8, 10-12, in any order; empty: the workflow's "
            "seed, the next one for the next image.",
        },
    ),
}

# After all others in a node: saved workflows have the values of widgets in their order.
_LAST: dict[str, tuple[str, dict[str, Any]]] = {
    "eta_windows": (
        "STRING",
        {
            "default": "",
            "tooltip": "Instead of eta, where it is not one number: 1:0.3-5 is 1 between these sigmas and 0 "
            "elsewhere; 1,1,0,0 is one for each step; empty: eta.",
        },
    ),
}


class SamplerSEEDS:
    """The node: a method, its parameters and its seeds in, a ``SAMPLER`` out."""

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "get_sampler"
    CATEGORY = "sampling/custom_sampling/samplers"
    DESCRIPTION = (
        "SEEDS: exponential solvers of the diffusion SDE, noise of each image by its seed."
    )
    METHODS: ClassVar = [*registered(), "seeds-2m"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The widgets, as ComfyUI asks for them."""
        method = {
            "default": "seeds-3",
            "tooltip": "The digit is the model calls per step; 2m: 1. All but seeds-1 call the model between "
            "the levels of the grid too, which context windows do not expect.",
        }
        nodes = {
            "default": "",
            "tooltip": "As 0.7 for seeds-2; 1/3, 2/3 for seeds-3; empty: its own.",
        }
        return {
            "required": {"method": (cls.METHODS, method)},
            "optional": {**_WIDGETS, "nodes": ("STRING", nodes), **_LAST},
        }

    @classmethod
    def VALIDATE_INPUTS(
        cls,
        method: str | None,
        nodes: str | None = "",
        seeds: str | None = "",
        eta_windows: str | None = "",
    ) -> bool | str:
        """True, or what is wrong with the widgets, which ComfyUI shows before it runs a workflow.

        One that another node feeds has no value yet: it is None, and is looked at when it has.
        """
        try:
            if method is not None:
                _with_nodes(method, nodes or "")
            _seeds(seeds or "")
            _eta(eta_windows or "", 1.0)
        except SeedsError as error:
            return str(error)
        return True

    def get_sampler(
        self,
        method: str,
        eta: float = 1.0,
        s_noise: float = 1.0,
        nodes: str = "",
        seeds: str = "",
        eta_windows: str = "",
    ) -> tuple[Any]:
        """The host's sampler object.

        Raises
        ------
        UnknownNameError, TableauError, ParameterError : the method, its nodes, the seeds or the windows.
        """
        return _sampler(_with_nodes(method, nodes), seeds, _eta(eta_windows, eta), s_noise)


class SamplerSEEDSBaseline:
    """The node of the library's published samplers, written anew and audited."""

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "get_sampler"
    CATEGORY = "sampling/custom_sampling/samplers"
    DESCRIPTION = "Published samplers, as audited: orders and laws are in the book of seeds-theory."
    METHODS: ClassVar = [name for name in BASELINES if name != "seeds-2m"]
    OFF_GRID: ClassVar = [
        *("edm-heun", "lawson-2", "lawson-rk4", "sra1", "shark", "lawson-shark"),
        *("dpm-solver-2", "dpm-solver-3", "dpm-solver++-2s", "dpm-solver++-3m"),
        *("sde-dpm-solver++-2s", "deis-tab3"),
    ]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The widgets, as ComfyUI asks for them."""
        eta, told = _WIDGETS["eta"]
        only = "Amount of noise, for samplers that have it to choose: 0 is the ODE."
        method = {
            "default": "sde-dpm-solver++-2m",
            "tooltip": "Between the levels of the grid too, which context windows do not expect, call the "
            f"model: {', '.join(cls.OFF_GRID)}.",
        }
        return {
            "required": {"method": (cls.METHODS, method)},
            "optional": {**_WIDGETS, "eta": (eta, {**told, "tooltip": only}), **_LAST},
        }

    @classmethod
    def VALIDATE_INPUTS(
        cls, method: str | None, seeds: str | None = "", eta_windows: str | None = ""
    ) -> bool | str:
        """As of `SamplerSEEDS`."""
        return SamplerSEEDS.VALIDATE_INPUTS(method, seeds=seeds, eta_windows=eta_windows)

    def get_sampler(
        self,
        method: str,
        eta: float = 1.0,
        s_noise: float = 1.0,
        seeds: str = "",
        eta_windows: str = "",
    ) -> tuple[Any]:
        """The host's sampler object.

        Raises
        ------
        UnknownNameError, ParameterError : the method, the seeds or the windows.
        """
        solver = with_nodes(method)
        only = solver.baseline.only_eta if solver.baseline else None
        chosen = _eta(eta_windows, eta if only is None else only)
        return _sampler(solver, seeds, chosen, s_noise)


class SEEDSFewSteps:
    """The node of the tuned settings for few model calls: a sampler and its sigmas."""

    RETURN_TYPES = ("SAMPLER", "SIGMAS")
    FUNCTION = "get_setting"
    CATEGORY = "sampling/custom_sampling/schedulers"
    DESCRIPTION = (
        "Sampler and noise levels for 5 to 80 model calls, found by a search on exact denoisers."
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """The widgets, as ComfyUI asks for them."""
        calls = {"default": 20, "min": 5, "max": 10000, "tooltip": "Of the model, at most."}
        width = {
            "default": 1.0,
            "min": 0.01,
            "max": 100.0,
            "step": 0.01,
            "tooltip": "Standard deviation of the latents that the model was trained on.",
        }
        kind = {"default": "best", "tooltip": "The best; noise in every step; or the ODE."}
        return {
            "required": {
                "model": ("MODEL",),
                "calls": ("INT", calls),
                "kind": ([*KINDS], kind),
            },
            "optional": {"width": ("FLOAT", width), "seeds": _WIDGETS["seeds"]},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, seeds: str | None = "") -> bool | str:
        """As of `SamplerSEEDS`."""
        return SamplerSEEDS.VALIDATE_INPUTS("seeds-1", seeds=seeds)

    def get_setting(
        self, model: Any, calls: int, kind: str, width: float = 1.0, seeds: str = ""
    ) -> tuple[Any, Tensor]:
        """The host's sampler object, and the sigmas in the frame of its model.

        Raises
        ------
        ParameterError : fewer calls than were tuned, a width that is none, or the seeds.
        """
        from comfy.model_sampling import CONST

        setting = few_steps(calls, eta=ETAS[kind])
        sampling = model.get_model_object("model_sampling")
        if isinstance(sampling, CONST):
            levels = torch.from_numpy(setting.sigmas(width))
            sigmas = levels / (1 + levels)
            sigmas[0] = 1.0  # pure noise, which the host starts from
        else:
            sigmas = torch.from_numpy(setting.sigmas(width, float(sampling.sigma_max)))
        return (*_sampler(setting.sampler, seeds, setting.eta, 1.0), sigmas.float())


def _with_nodes(method: str, nodes: str) -> Solver:
    return with_nodes(method, *(nodes.split(",") if nodes.strip() else ()))


def _seeds(text: str) -> list[int] | None:
    return listed_seeds(text) if text.strip() else None


def _eta(windows: str, eta: float) -> Eta:
    """What the text says, or the number if there is none."""
    return parse_eta(windows) if windows.strip() else eta


def _sampler(solver: Solver, seeds: str, eta: Eta, s_noise: float) -> tuple[Any]:
    from comfy.samplers import KSAMPLER

    options = {"solver": solver, "seeds": _seeds(seeds), "eta": eta, "s_noise": s_noise}
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
    seeds: list[int] | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
) -> Tensor:
    """What ComfyUI calls: `seeds_theory.kdiffusion.run`, in the frame of the host's model.

    noise_sampler : of the host, where it gives one; the node's own seeds come first.
    """
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
        noise_sampler,
        noise=SeededNoise(seeds) if seeds else None,
        flow=isinstance(sampling, CONST),
    )


def add_names() -> None:
    """Add ``seeds_theory_3`` and the others to the KSampler's list, if ComfyUI is what imports this."""
    try:
        from comfy import samplers
        from comfy.k_diffusion import sampling
    except ImportError:
        return
    for method in SamplerSEEDS.METHODS:
        name = method.replace("seeds-", "seeds_theory_")
        setattr(sampling, f"sample_{name}", partial(sample, solver=Solver(method)))
        for names in (samplers.SAMPLER_NAMES, samplers.KSampler.SAMPLERS):
            if name not in names:  # they may be one list
                names.append(name)


add_names()

NODE_CLASS_MAPPINGS = {
    "SamplerSEEDS": SamplerSEEDS,
    "SamplerSEEDSBaseline": SamplerSEEDSBaseline,
    "SEEDSFewSteps": SEEDSFewSteps,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "SamplerSEEDS": "SamplerSEEDS",
    "SamplerSEEDSBaseline": "SamplerSEEDS: published samplers",
    "SEEDSFewSteps": "SEEDS: few steps",
}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
