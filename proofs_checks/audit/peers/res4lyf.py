"""RES4LYF: the Runge-Kutta methods of its sampler for ComfyUI, by their names in its menu, as ODE solvers.

They run on the `Host` of `comfyui`, in either frame, with the working precision of the states, which is a
setting of it. Left out is its noise (``eta`` and ``eta_substep`` are 0), which it shifts and scales to mean 0
and deviation 1 over the pixels of each channel: on states of one pixel that is no number, and on others not
affine. Left out are also guides, masks, tiles and sampling backwards.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.comfyui import hosted, require_frame
from proofs_checks.audit.peers.comfyui import importable as importable_comfy
from proofs_checks.audit.protocol import Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "ClownsharkBatwing/RES4LYF",
    "022c873c6d198c67b3312a1804336533a050df18",
    stand_ins=("aiohttp.web", "server", "pywt", "comfy.samplers", "comfy.supported_models"),
    bare={"RES4LYF": "", "RES4LYF.beta": "beta"},
)

KEYWORDS = {
    "c2": 0.5,
    "c3": 1.0,
    "implicit_steps_diag": 0,
    "implicit_steps_full": 0,
    "implicit_type": "predictor-corrector",
    "implicit_type_substeps": "predictor-corrector",
    "BONGMATH": True,
    "noise_anchor": 1.0,
}
"""What its node lets a user choose of a method, with its defaults."""


def names() -> tuple[str, ...]:
    """All methods, explicit and implicit."""
    return tuple(_modules()["rk_coefficients_beta"].RK_SAMPLER_NAMES_BETA_NO_FOLDERS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A method by its name; options: ``frame`` and those of `KEYWORDS`.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "method of RES4LYF")
    frame = require_frame(options)
    require_options(name, options, ("frame", *KEYWORDS))
    sample = _modules()["rk_sampler_beta"].sample_rk_beta

    def run(model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
        vars(model.inner_model.inner_model).update(
            device=x.device, diffusion_model=SimpleNamespace()
        )
        extra = {**keywords.pop("extra_args"), "model_options": {"transformer_options": {}}}
        result: Tensor = sample(
            model,
            x,
            sigmas,
            extra_args=extra,
            rk_type=name,
            eta=0.0,
            eta_substep=0.0,
            extra_options=f"work_dtype={str(x.dtype).removeprefix('torch.')}",
            **keywords,
        )
        return result

    chosen = {option: value for option, value in options.items() if option != "frame"}
    return Adapted(name, hosted(run, frame), {**KEYWORDS, **chosen})


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Let others import its modules of samplers, and ComfyUI's: its packages import all nodes."""
    with importable_comfy(), CHECKOUT.importable():
        routes = SimpleNamespace(post=lambda _: lambda handler: handler)
        vars(sys.modules["server"])["PromptServer"] = SimpleNamespace(
            instance=SimpleNamespace(routes=routes)
        )
        yield


@functools.cache
def _modules() -> Mapping[str, ModuleType]:
    with importable():
        found = ("rk_coefficients_beta", "rk_sampler_beta")
        modules = {name: importlib.import_module(f"RES4LYF.beta.{name}") for name in found}
    logging.getLogger("RES4LYF").setLevel(logging.WARNING)  # it reports every run
    return modules
