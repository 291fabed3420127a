"""k-diffusion: its functions ``sample_*`` follow the protocol as they are.

Two choose their own levels and only take the ends of the given grid: ``sample_dpm_fast``, which spends one
model call per given step, and ``sample_dpm_adaptive``. Both keep their levels in single precision.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import (
    Adapted,
    defaults,
    require_known,
    to_zero_by_estimate,
)
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import LibraryError

INSTALL = "pip install torchsde torchdiffeq && pip install --no-deps k-diffusion"
PREFIX = "sample_"


def names() -> tuple[str, ...]:
    """All samplers, by the names of their functions."""
    return tuple(name for name in vars(sampling_module()) if name.startswith(PREFIX))


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler, ``sample_heun`` or ``heun``; options become the defaults of its keywords.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    full = name if name.startswith(PREFIX) else PREFIX + name
    require_known(full, names(), "sampler of k-diffusion")
    function = getattr(sampling_module(), full)
    takes = inspect.signature(function).parameters
    # A second return value is no state.
    keywords = defaults(function, without=("extra_args", "callback", "disable", "return_info", "n"))
    require_options(full, options, tuple(keywords))
    keywords |= options
    if "sigmas" in takes:
        return Adapted(full, function, keywords)
    return Adapted(full, to_zero_by_estimate(between_ends(function, "n" in takes)), keywords)


def between_ends(function: Sampler, counts_calls: bool) -> Sampler:
    """A function of (sigma_min, sigma_max) and perhaps a number of model calls, given a grid."""

    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **keywords: Any,
    ) -> Tensor:
        # As numpy scalars, which torch.tensor keeps in double precision.
        levels = sigmas.numpy()
        ends = {"sigma_min": levels[-1], "sigma_max": levels[0]}
        calls = {"n": len(levels) - 1} if counts_calls else {}
        return function(
            model,
            x,
            **ends,
            **calls,
            extra_args=extra_args,
            callback=callback,
            disable=disable,
            **keywords,
        )

    return run


@functools.cache
def sampling_module() -> ModuleType:
    """The module k_diffusion.sampling, also where the rest of the package lacks what it imports."""
    spec = importlib.util.find_spec("k_diffusion")  # does not execute the package
    if spec is None:
        raise LibraryError(f"k-diffusion is not installed: {INSTALL}")
    before = set(sys.modules)
    try:
        return importlib.import_module("k_diffusion.sampling")
    except ImportError:
        for name in [n for n in sys.modules if n.split(".")[0] == "k_diffusion"]:
            if name not in before:
                del sys.modules[name]
    try:
        return _loaded_alone(spec)
    except ImportError as error:
        raise LibraryError(f"k_diffusion.sampling does not import ({error}): {INSTALL}") from None


def _loaded_alone(package: importlib.machinery.ModuleSpec) -> ModuleType:
    folder = (package.submodule_search_locations or [""])[0]
    spec = importlib.util.spec_from_file_location(
        "k_diffusion.sampling", Path(folder) / "sampling.py"
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no sampling.py in {folder}")
    module = importlib.util.module_from_spec(spec)
    with _stand_in(folder):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _stand_in(folder: str) -> Iterator[None]:
    """A package k_diffusion that has of its utils what the samplers use."""
    package, utils = ModuleType("k_diffusion"), ModuleType("k_diffusion.utils")
    vars(package).update(__path__=[folder], utils=utils)
    vars(utils).update(append_dims=lambda x, ndim: x[(...,) + (None,) * (ndim - x.ndim)])
    modules = {module.__name__: module for module in (package, utils)}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
