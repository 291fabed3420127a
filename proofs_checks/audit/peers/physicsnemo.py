r"""PhysicsNeMo: its diffusion samplers, on the levels of the grid.

The commit of NVIDIA/physicsnemo is pinned in `CHECKOUT`.

**Solvers** (``euler``, ``heun``, ``edm_stochastic_euler``, ``edm_stochastic_heun``) run in the library's
``sample``, with one of its noise schedulers: ``edm`` and ``ve``, in the time :math:`\sigma` and
:math:`\sigma^2`, and ``vp``. The scheduler makes the right-hand side of its ODE from the model, and the
grid is the list of times that belong to the levels. A stochastic solver is given what the scheduler knows
of its noise, as its documentation asks, unless ``callbacks=False``.

**Functions** (``deterministic_sampler``, ``stochastic_sampler``) choose their levels themselves and let a
network round them: the network here rounds each list to the grid. They always go on to the level 0. On
another grid the run ends where that step would begin, and there is no churn at the last level.

Left out: ``denoising_type="sde"``, whose noise no solver adds; conditioning and patches; the other
schedulers, which differ from ``edm`` in their grid or in noise that is not Gaussian.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import Adapted, defaults, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import linear_beta_time, preserving
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import ParameterError

CHECKOUT = Checkout(
    "NVIDIA/physicsnemo",
    "94b355108cfd10e253d3d41cacdc0c0112b078e4",
    stand_ins=(
        *("warp", "warp.optim", "warp.optim.linear", "s3fs", "tensordict", "nvtx", "jaxtyping"),
        *("einops", "timm", "timm.layers", "timm.layers.attention", "timm.models"),
        *("timm.models.swin_transformer", "omegaconf", "treelib"),
    ),
)

SOLVERS = ("euler", "heun", "edm_stochastic_euler", "edm_stochastic_heun")
FUNCTIONS = ("deterministic_sampler", "stochastic_sampler")
SCHEDULERS = {"edm": "EDMNoiseScheduler", "ve": "VENoiseScheduler", "vp": "VPNoiseScheduler"}

_OF_A_FUNCTION = ("solver", "schedule", "scaling", "alpha", "S_churn", "S_min", "S_max", "S_noise")
_GIVEN = ("num_steps", "sigma_fn", "sigma_inv_fn", "diffusion_fn")


def names() -> tuple[str, ...]:
    """All solvers and functions."""
    return SOLVERS + FUNCTIONS


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A solver or function; options: its own, and of a solver its ``scheduler`` and ``callbacks``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of PhysicsNeMo")
    samplers = _module("samplers")
    if name in FUNCTIONS:
        function = getattr(samplers, name)
        own = {n: v for n, v in defaults(function).items() if n in _OF_A_FUNCTION}
        require_options(name, options, tuple(own))
        return Adapted(name, _of_function(function), {**own, **options})
    solver = samplers.samplers.SOLVERS[name]
    keywords = {"scheduler": "edm"} | defaults(solver.__init__, without=_GIVEN)
    if name.startswith("edm_stochastic"):
        keywords |= {"callbacks": True}
    require_options(name, options, tuple(keywords))
    if options.get("scheduler", "edm") not in SCHEDULERS:
        known = ", ".join(SCHEDULERS)
        raise ParameterError(f"{name}: scheduler is one of {known}; got {options['scheduler']!r}")
    return Adapted(name, _of_solver(samplers.sample, name), {**keywords, **options})


def _module(name: str) -> Any:
    with warnings.catch_warnings(action="ignore"):  # it warns of its own legacy
        return CHECKOUT.module(f"physicsnemo.diffusion.{name}")


def _of_solver(sample: Any, name: str) -> Sampler:
    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        scheduler: str,
        callbacks: bool | None = None,
        **settings: Any,
    ) -> Tensor:
        schedule = getattr(_module("noise_schedulers"), SCHEDULERS[scheduler])()
        keeps_variance = scheduler == "vp"
        alphas = preserving(sigmas) if keeps_variance else torch.ones_like(sigmas)
        model_estimate = CountedModel(
            model, sigmas, extra_args, callback, calls_a_step(2 if "heun" in name else 1)
        )

        def estimate(state: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = schedule.alpha(t[0]), schedule.sigma(t[0])
            return model_estimate(state / alpha, sigma / alpha)

        if callbacks is not None:
            settings["num_steps"] = len(sigmas) - 1
        if callbacks:
            settings["sigma_fn"], settings["sigma_inv_fn"] = schedule.sigma, schedule.sigma_inv
            settings["diffusion_fn"] = schedule.diffusion
        end = sample(
            schedule.get_denoiser(x0_predictor=estimate),
            alphas[0] * x,
            schedule,
            num_steps=0,
            solver=name,
            time_steps=linear_beta_time(sigmas, schedule.beta_min, schedule.beta_d)
            if keeps_variance
            else schedule.sigma_inv(sigmas),
            solver_options=settings,
        )
        return end / alphas[-1]

    return run


class _Ended(Exception):
    """Carries the state at which a run ends."""


def _of_function(function: Callable[..., Tensor]) -> Sampler:
    def run(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **settings: Any,
    ) -> Tensor:
        positive = sigmas[sigmas > 0]
        begin = calls_a_step(1 if settings.get("solver") == "euler" else 2)
        estimate, last = (
            CountedModel(model, sigmas, extra_args, callback, begin),
            begin(len(positive) - 1),
        )
        ends_above = len(positive) == len(sigmas)
        if ends_above:
            settings["S_min"] = max(settings["S_min"], float(1.001 * positive[-1]))

        def net(state: Tensor, condition: Any, sigma: Tensor, *_: Any, **__: Any) -> Tensor:
            if ends_above and estimate.calls == last:
                raise _Ended(state)
            return estimate(state, sigma)

        rounding = lambda levels: positive if levels.ndim else levels
        vars(net).update(sigma_min=0.0, sigma_max=float("inf"), round_sigma=rounding)
        ends = {"sigma_min": float(positive[-1]), "sigma_max": float(positive[0])}
        start, condition = x / positive[0], x.new_zeros(len(x), 1, 1, 1)
        try:
            return function(net, start, condition, num_steps=len(positive), **ends, **settings)
        except _Ended as end:
            return end.args[0]

    return run
