"""The settings of a scheduler: which ones are valid, and how those of any other scheduler are read."""

from __future__ import annotations

import importlib
import inspect
import math
import warnings
from collections.abc import Collection, Mapping
from typing import Any

from seeds_theory.density import require_reduction
from seeds_theory.diffusers.grid import SPACED
from seeds_theory.errors import ParameterError, did_you_mean, unknown
from seeds_theory.eta_schedule import EtaWindows
from seeds_theory.forms import DIFFUSERS_NAMES

_NAMES: dict[str, tuple[str, ...]] = {
    "prediction_type": tuple(DIFFUSERS_NAMES),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "time_shift_type": ("exponential", "linear"),
    "final_sigmas_type": ("zero", "sigma_min"),
}
"""Settings whose values are names, and the names."""
_REFUSED = {
    "sigma_data": "its networks are EDM-preconditioned, use seeds_theory.EDMDenoiser",
    "invert_sigmas": "its time runs backwards, keep the scheduler that the pipeline has",
    **dict.fromkeys(
        ("stages", "scale_factors"),
        "its run goes through several resolutions, keep the scheduler that the pipeline has",
    ),
    "num_policy_substeps": "its network returns a policy, keep the scheduler that the pipeline has",
}
"""Settings of other schedulers under which the inputs or outputs of a network mean something else."""
_OF_OTHER_NETWORKS = {
    "FlowMapEulerDiscreteScheduler": "its network returns the mean velocity to a later time, keep it",
}
"""Schedulers whose networks mean something else, though no setting tells."""
_DISTILLED = ("LCMScheduler", "TCDScheduler", "FlowMatchLCMScheduler")
"""Schedulers of networks that were trained to jump to the data: their estimate is no posterior mean."""
_TRAINED = {
    "num_train_timesteps",
    "prediction_type",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
    "snr_shift_scale",
    "use_flow_sigmas",
    "flow_shift",
    "shift",
    "shift_terminal",
    "use_dynamic_shifting",
    "time_shift_type",
    "variance_type",
}
"""Settings that belong to the network: the defaults of another scheduler hold for it too."""
_OTHER_GRIDS = ("lambda_min_clipped", "interpolation_type", "original_inference_steps")
"""Settings of other schedulers that choose a grid which is not offered here."""

_LEVELS = ("level", "noise_level")
"""What codes of reinforcement learning call the level of their noise."""
_OF_LOADERS = ("dtype", "torch_dtype")
"""What diffusers hands to the classes of a pipeline that it loads, and has no effect on a scheduler."""


def require_valid(settings: Mapping[str, Any]) -> None:
    """Our own settings are names that there are, and do not contradict each other.

    Raises
    ------
    ParameterError, UnknownNameError : each names the rule, the value and the way out.
    """
    order, terminal = settings["solver_order"], settings["shift_terminal"]
    method, options = settings["method"], settings["options"]
    if not (method is None or (isinstance(method, str) and method)):
        raise ParameterError(
            f"method is the name of a sampler, as 'sa-solver', or None; got {method!r}"
        )
    if not (options is None or isinstance(options, Mapping)):
        raise ParameterError(
            f"options are a dictionary, as {{'eta': 0.5}}, or None; got {options!r}"
        )
    if settings["log_prob"] is not None:
        require_reduction(settings["log_prob"])
    spaced = [name for name in SPACED if settings[name]]
    if method is None and order not in (1, 2, 3):
        raise ParameterError(
            f"solver_order is 1, 2 or 3; got {order!r}: other methods have names, as "
            "method='seeds-3s'"
        )
    if len(spaced) > 1:
        raise ParameterError(f"{' and '.join(spaced)} are both on: turn one of them off")
    for setting, low in {"sigma_min": 0.0, "sigma_max": settings["sigma_min"] or 0.0}.items():
        if settings[setting] is not None and not low < settings[setting] < math.inf:
            raise ParameterError(
                f"{setting} is above {low:g}, or None for that of the schedule; got {settings[setting]!r}"
            )
    ratio, largest = settings["dynamic_thresholding_ratio"], settings["sample_max_value"]
    if not 0 <= ratio <= 1 or not largest > 0 or not settings["clip_sample_range"] > 0:
        raise ParameterError(
            "dynamic_thresholding_ratio lies in [0, 1], sample_max_value and clip_sample_range above 0; got "
            f"{ratio!r}, {largest!r} and {settings['clip_sample_range']!r}"
        )
    for setting, known in _NAMES.items():
        if settings[setting] not in known:
            raise unknown(setting, settings[setting], known)
    if settings["use_flow_sigmas"] and terminal and spaced:
        raise ParameterError(
            f"shift_terminal = {terminal!r} is for steps that are even in time or given: set it to "
            f"None, or {spaced[0]} to False"
        )


def eta_as_written(eta: Any) -> Any:
    """An eta as a file holds it: windows as text, numbers of a tensor or an array as a list.

    A function stays one, which no file holds.
    """
    if isinstance(eta, EtaWindows):
        return str(eta)
    return eta.tolist() if hasattr(eta, "tolist") else eta


def require_known(given: Collection[str], ours: Collection[str]) -> None:
    """What a caller gives beside a configuration are our settings; in there, others of any scheduler lie.

    Raises
    ------
    ParameterError : one is none; names it.
    """
    for name in given:
        if name in ours or name == "shift" or name in _OF_LOADERS:
            continue
        if name in _LEVELS:
            raise ParameterError(
                f"a SEEDSScheduler has no setting {name!r}: the level of a published sampler is one of its "
                "options, method='cps', options={'level': 0.7}; other samplers have an eta"
            )
        raise ParameterError(
            f"a SEEDSScheduler has no setting {name!r}{did_you_mean(name, sorted(ours))}: leave it out; an "
            "option of a published sampler goes into options={...}"
        )


def require_servable(config: Mapping[str, Any], name: str) -> None:
    """The networks of a configuration can be served.

    Parameters
    ----------
    config : of any scheduler, with what is to be changed in it.
    name : of that scheduler, for the message.

    Raises
    ------
    ParameterError : they cannot; says why, and what to do.
    """
    reason = _OF_OTHER_NETWORKS.get(name) or _reason_against(config)
    if reason:
        raise ParameterError(f"no SEEDSScheduler from the configuration of {name}: {reason}")


def warn_of_what_is_left_out(
    config: Mapping[str, Any],
    ours: Collection[str],
    name: str,
    stacklevel: int,
    *,
    chosen: bool,
) -> None:
    """Warn of the settings of a scheduler that have no effect here, if they are not its defaults.

    Parameters
    ----------
    config : of that scheduler.
    ours : the settings that there are here.
    name : of that scheduler.
    chosen : whether the caller says which method this one is: then those of the other method are replaced,
        and that is no news.
    """
    if name in _DISTILLED:
        warnings.warn(
            f"{name} is of networks that were trained to jump to the data, which solvers of the SDE or ODE "
            "do not expect: keep it, or load the network before it was distilled",
            stacklevel=stacklevel + 1,
        )
    kind: Any = getattr(importlib.import_module("diffusers"), name, None)
    known = inspect.signature(kind.__init__).parameters if kind else {}
    others = set(config) - {*ours, *config.get("_use_default_values", ()), "shift"}
    changed = {
        setting: config[setting]
        for setting in sorted(others)
        if not setting.startswith("_") and config[setting] is not None
        if setting not in known or config[setting] != known[setting].default
    }
    grids = [
        f"{setting}={changed.pop(setting)!r}" for setting in _OTHER_GRIDS if setting in changed
    ]
    if grids:
        warnings.warn(
            f"{', '.join(grids)} of {name} is not carried over, and the grid is another: "
            "give the pipeline sigmas or timesteps to choose it, where its call has them",
            stacklevel=stacklevel + 1,
        )
    if changed and not chosen:
        listed = ", ".join(f"{setting}={value!r}" for setting, value in changed.items())
        warnings.warn(
            f"{listed} of {name} belongs to its own method and has no effect: say by solver_order or method, "
            "and eta, what takes its place",
            stacklevel=stacklevel + 1,
        )


def in_our_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of any scheduler in our names, with its defaults where they are the network's.

    One of a flow-matching scheduler has a shift and no betas. An eta of others is DDIM's, which scales a
    deviation where ours scales a variance. diffusers forgets the values of all settings that are listed as
    defaults.
    """
    ours = dict(config)
    defaults = config.get("_use_default_values", ())
    ours["_use_default_values"] = [name for name in defaults if name not in _TRAINED]
    if "shift" in config and "beta_schedule" not in config:
        flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
        ours.update(flow, flow_shift=config["shift"])
    is_ours = "algorithm" in config or config.get("_class_name") == "SEEDSScheduler"
    if "eta" in config and not is_ours:
        ours["eta"] = config["eta"] ** 2
    return ours


def _reason_against(config: Mapping[str, Any]) -> str | None:
    """Why the networks of a configuration cannot be served, if they cannot, and what to do."""
    for name, reason in _REFUSED.items():
        if config.get(name):
            return reason
    if config.get("timestep_type") == "continuous":
        return "its networks are told log sigma, use seeds_theory.sample"
    if "shift" in config and config.get("num_train_timesteps") is None:
        return "it does not say what timesteps count, keep the scheduler that the pipeline has"
    if not (
        any(config.get(name) for name in ("beta_schedule", "use_flow_sigmas"))
        or config.get("trained_betas") is not None
        or "shift" in config
    ):
        return (
            "it has no training schedule, give beta_schedule or trained_betas; or, for a flow, "
            "use_flow_sigmas=True and prediction_type='flow_prediction'"
        )
    return None
