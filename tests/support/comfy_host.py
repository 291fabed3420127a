"""A host that calls samplers as ComfyUI does."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor


class EPS:
    """The model's states are x0 + sigma noise."""


class CONST:
    """The model's states are (1 - sigma) x0 + sigma noise."""


class InpaintModel:
    """What a sampler is given as its model: it mixes the known part of an image in, here nothing."""

    def __init__(self, guider: Any) -> None:
        self.inner_model = guider

    def __call__(
        self, x: Tensor, sigma: Tensor, denoise_mask: Any, model_options: dict, seed: int | None
    ) -> Tensor:
        assert model_options == {"transformer_options": {}}
        assert (sigma.shape, sigma.dtype) == ((len(x),), x.dtype)
        return self.inner_model(x, sigma)


class Guider:
    """The host's model with its conditions: a callable that knows where the model's sampling object is."""

    def __init__(self, sampling: object) -> None:
        self.seen: list[float] = []
        self.model_patcher = SimpleNamespace(
            get_model_object={"model_sampling": sampling}.__getitem__
        )

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.seen.append(float(sigma[0]))
        return torch.tanh(x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2))


class KSAMPLER:
    """The host's sampler object: a function and its options, called with all that the host has."""

    def __init__(self, sampler_function: Callable, extra_options: dict[str, Any]) -> None:
        self.sampler_function, self.extra_options = sampler_function, extra_options

    def sample(
        self, guider: Guider, sigmas: Tensor, noise: Tensor, seed: int | None, callback: Any = None
    ) -> Tensor:
        options = {"model_options": {"transformer_options": {}}, "seed": seed}
        each = callback and (lambda k: callback(k["i"], k["denoised"], k["x"], len(sigmas) - 1))
        return self.sampler_function(
            InpaintModel(guider),
            noise,
            sigmas,
            extra_args={**options, "denoise_mask": None},
            callback=each,
            disable=True,
            **self.extra_options,
        )


@pytest.fixture
def comfy(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["euler"]  # one list under both names
    modules: dict[str, dict[str, Any]] = {
        "comfy": {},
        "comfy.k_diffusion": {},
        "comfy.k_diffusion.sampling": {},
        "comfy.samplers": {
            "KSAMPLER": KSAMPLER,
            "KSampler": type("KSampler", (), {"SAMPLERS": names}),
            "SAMPLER_NAMES": names,
        },
        "comfy.model_sampling": {"CONST": CONST, "EPS": EPS},
    }
    for name, contents in modules.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)


def load(folder: Path) -> ModuleType:
    """A custom node as ComfyUI loads it: a folder, by its path."""
    spec = importlib.util.spec_from_file_location(
        str(folder).replace(".", "_x_"), folder / "__init__.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def initial(seed: int, batch: int = 3) -> Tensor:
    """The host's noise, of one generator for the batch."""
    return torch.randn(batch, 4, 2, 2, generator=torch.Generator().manual_seed(seed))
