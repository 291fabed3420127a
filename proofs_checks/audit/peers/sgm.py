"""sgm, of Stability AI's generative-models: its samplers, by the names of their classes.

A discretization of sgm gives the levels: here that of the grid. There is no guidance. Its loops have no
callback and draw their noise themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, defaults, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "Stability-AI/generative-models",
    "0ad7de9a5cb53fd63d6d30a4f385485e72e08597",
    stand_ins=("omegaconf", "fsspec"),
    bare={
        "sgm": "sgm",
        "sgm.modules": "sgm/modules",
        "sgm.modules.diffusionmodules": "sgm/modules/diffusionmodules",
    },
)

_ABSTRACT = ("EDMSampler", "AncestralSampler", "BaseDiffusionSampler", "SingleStepDiffusionSampler")
_NOTHING = {"target": "builtins.dict"}
"""A configuration of what is set afterwards."""


def names() -> tuple[str, ...]:
    """All samplers, by the names of their classes."""
    classes = (name for name in vars(_sampling()) if name.endswith("Sampler"))
    return tuple(name for name in classes if name not in _ABSTRACT)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler by the name of its class, with options of its constructor.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of sgm")
    kind = getattr(_sampling(), name)
    keywords = {
        n: v for base in reversed(kind.__mro__[:-1]) for n, v in _own_defaults(base).items()
    }
    require_options(name, options, tuple(keywords))

    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **constructor: Any,
    ) -> Tensor:
        sampler = kind(
            discretization_config=_NOTHING, guider_config=_NOTHING, device="cpu", **constructor
        )
        sampler.discretization = lambda steps, device: sigmas
        sampler.guider = CHECKOUT.module("sgm.modules.diffusionmodules.guiders").IdentityGuider()

        def denoiser(x: Tensor, sigma: Tensor, condition: Mapping[str, Any]) -> Tensor:
            return model(x, sigma, **condition)

        # It multiplies its initial states, in place, by the deviation that they lack here.
        unit = x / (1 + sigmas[0] ** 2).sqrt()
        result: Tensor = sampler(denoiser, unit, extra_args or {}, num_steps=len(sigmas) - 1)
        return result

    return Adapted(name, run, {**keywords, **options})


def _own_defaults(kind: type) -> dict[str, Any]:
    of_base = ("num_steps", "guider_config", "verbose", "device")
    own = vars(kind).get("__init__")
    return defaults(own, without=of_base) if own else {}


def _sampling() -> ModuleType:
    return CHECKOUT.module("sgm.modules.diffusionmodules.sampling")
