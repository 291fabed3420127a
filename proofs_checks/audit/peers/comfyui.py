r"""ComfyUI: its samplers by the names of its menu, from an importable ``comfy``, else from a checkout.

They take the k-diffusion signature, and a model that they ask for more than estimates: `Host` is that
model. With ``frame="eps"``, of all models that predict a noise or v, states and levels are the audit's. With
``frame="flow"``, of rectified flow, they are

.. math::  t = \frac{\sigma}{1 + \sigma}, \qquad x_t = (1 - t)\,x,

which is what the ``_RF`` samplers and the half log-SNR of the others are for. Guidance is 1, so the
unconditional estimate that a CFG++ sampler asks for is the estimate. ``sa_solver`` takes a number ``tau``
for its function of the level. ``uni_pc`` runs in single precision alone. ``dpm_fast`` and ``dpm_adaptive``
choose their levels, as in k-diffusion; on a grid that ends at 0 they are followed by the estimate. Left out:
``ddim``, which is ``euler`` there, and ``ar_video``, for a video model.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import Adapted, defaults, require_known, to_zero_by_estimate
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import flow_time
from proofs_checks.audit.peers.kdiffusion import PREFIX, between_ends
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import LibraryError, ParameterError

CHECKOUT = Checkout(
    "Comfy-Org/ComfyUI",
    "a125cd84b054a57729b5eecab930ca9408719832",
    stand_ins=("torchvision.transforms", "torchaudio"),
)

_OF_PROTOCOL = ("extra_args", "callback", "disable", "return_info", "n")
_LEFT_OUT = ("ar_video", "euler_ancestral_RF", "dpm_2_ancestral_RF", "dpmpp_2s_ancestral_RF")


@dataclass(frozen=True)
class Frame:
    """What ComfyUI calls sigma for a kind of model, and how its states are scaled.

    level : the audit's sigma to ComfyUI's. sigma : back. alpha : of a level of ComfyUI's, its states over the
    audit's. parametrization : the classes that its model_sampling is made of.
    """

    level: Callable[[Any], Any]
    sigma: Callable[[Any], Any]
    alpha: Callable[[Any], Any]
    parametrization: tuple[str, str]


FRAMES = {
    "eps": Frame(
        lambda sigma: sigma,
        lambda level: level,
        lambda level: 1.0,
        ("ModelSamplingDiscrete", "EPS"),
    ),
    "flow": Frame(
        flow_time,
        lambda level: level / (1 - level),
        lambda level: 1 - level,
        ("ModelSamplingDiscreteFlow", "CONST"),
    ),
}


def names() -> tuple[str, ...]:
    """All samplers, by their names in ComfyUI."""
    return tuple(comfy().samplers)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler by its name; options: ``frame``, and those of its function.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of ComfyUI")
    frame = require_frame(options)
    function = comfy().samplers[name]
    if "tau_func" in inspect.signature(function).parameters:
        function = _with_tau(function)
    keywords = defaults(function, without=_OF_PROTOCOL)
    require_options(name, options, ("frame", *keywords))
    keywords |= {option: value for option, value in options.items() if option != "frame"}
    takes = inspect.signature(function).parameters
    run = hosted(function, frame)
    if "sigma_max" in takes:
        run = to_zero_by_estimate(hosted(between_ends(function, "n" in takes), frame))
    return Adapted(name, run, keywords)


def require_frame(options: Mapping[str, Any]) -> Frame:
    """The frame of that name; raises ParameterError if there is none."""
    name = options.get("frame", "eps")
    if name not in FRAMES:
        raise ParameterError(f"frame is one of {', '.join(FRAMES)}; got {name!r}")
    return FRAMES[name]


def _with_tau(function: Sampler) -> Sampler:
    """SA-Solver with one tau at all levels; None leaves its own choice."""
    own = inspect.signature(function)

    def run(*args: Any, tau: float | None = None, **keywords: Any) -> Tensor:
        return function(*args, tau_func=None if tau is None else lambda _: tau, **keywords)

    parameters = [
        p.replace(name="tau") if n == "tau_func" else p for n, p in own.parameters.items()
    ]
    vars(run)["__signature__"] = own.replace(parameters=parameters)
    return run


def _single(function: Sampler) -> Sampler:
    """A sampler whose own numbers are of single precision, which it does not mix with others."""

    @functools.wraps(function)
    def run(model: Model, x: Tensor, sigmas: Tensor, *args: Any, **keywords: Any) -> Tensor:
        return function(model, x.float(), sigmas.float(), *args, **keywords).to(x)

    return run


class Host:
    """The model that ComfyUI gives a sampler: estimates in its frame, and what else it is asked for."""

    def __init__(self, model: Model, frame: Frame) -> None:
        self._model, self._frame = model, frame
        sampling = comfy().model_sampling(frame)
        patcher = SimpleNamespace(get_model_object=lambda name: sampling)
        inner = SimpleNamespace(model_sampling=sampling)
        self.inner_model = SimpleNamespace(inner_model=inner, model_patcher=patcher)

    def __call__(
        self, x: Tensor, level: Tensor, model_options: Mapping[str, Any] | None = None, **extra: Any
    ) -> Tensor:
        """The estimate, as the functions after the guidance leave it."""
        alpha = torch.as_tensor(self._frame.alpha(level)).reshape(-1, *[1] * (x.ndim - 1))
        denoised = self._model(x / alpha, self._frame.sigma(level), **extra)
        for function in (model_options or {}).get("sampler_post_cfg_function", ()):
            denoised = function({"denoised": denoised, "uncond_denoised": denoised})
        return denoised


def hosted(function: Sampler, frame: Frame) -> Sampler:
    """The sampler on a `Host`, with states, levels, noise and callback in its frame."""

    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **keywords: Any,
    ) -> Tensor:
        levels = frame.level(sigmas)
        given = keywords.get("noise_sampler")
        if given is not None:
            keywords["noise_sampler"] = lambda a, b: given(frame.sigma(a), frame.sigma(b))

        def report(step: dict[str, Any]) -> None:
            sigmas = {n: frame.sigma(v) for n, v in step.items() if n in ("sigma", "sigma_hat")}
            alpha = frame.alpha(step.get("sigma_hat", 0.0))
            callback({**step, **sigmas, "x": step["x"] / alpha})

        result = function(
            Host(model, frame),
            x * frame.alpha(levels[0]),
            levels,
            extra_args={"model_options": {}, **(extra_args or {})},  # there, of each run's own
            callback=None if callback is None else report,
            disable=disable,
            **keywords,
        )
        return result / frame.alpha(levels[-1])

    return run


@dataclass(frozen=True)
class Comfy:
    """What is used of ``comfy``: its modules by name, and the samplers by theirs."""

    modules: Mapping[str, ModuleType]
    samplers: Mapping[str, Sampler]

    def model_sampling(self, frame: Frame) -> Any:
        """The object by which a sampler knows the parametrization of a model."""
        parametrizations = self.modules["comfy.model_sampling"]
        bases = tuple(getattr(parametrizations, name) for name in frame.parametrization)
        return type("ModelSampling", bases, {})()


@functools.cache
def comfy() -> Comfy:
    """The ``comfy`` that imports, or that of the checkout."""
    with _on_path():
        try:
            # Its device is chosen when it is imported: the audit's tensors are on the host.
            importlib.import_module("comfy.cli_args").args.cpu = True
            importlib.import_module("comfy.model_sampling")
            sampling = vars(importlib.import_module("comfy.k_diffusion.sampling"))
            uni_pc = importlib.import_module("comfy.extra_samplers.uni_pc")
        except ImportError as error:
            raise LibraryError(f"the comfy of ComfyUI does not import: {error}") from None
        modules = {n: m for n, m in sys.modules.items() if n.partition(".")[0] == "comfy"}
    samplers = {n.removeprefix(PREFIX): f for n, f in sampling.items() if n.startswith(PREFIX)}
    for name in ("unipc", "unipc_bh2"):
        samplers[name.replace("uni", "uni_")] = _single(getattr(uni_pc, PREFIX + name))
    return Comfy(modules, {n: f for n, f in samplers.items() if n not in _LEFT_OUT})


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Let others import this ``comfy``, and no second one: they know parametrizations by their class."""
    loaded = comfy()
    with _on_path():
        sys.modules.update(loaded.modules)
        yield


def _on_path() -> contextlib.AbstractContextManager[None]:
    found = importlib.util.find_spec("comfy") is not None
    return contextlib.nullcontext() if found else CHECKOUT.importable()
