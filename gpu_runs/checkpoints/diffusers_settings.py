"""Which settings of diffusers' networks and schedulers are accepted from a file.

A class is one of a few by its name. Its settings are those of its constructor in the installed diffusers; the
bounds are beyond any published network, so that a few bytes cannot ask for much work.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpu_runs.checkpoints.rules import (
    FLAG,
    Rule,
    check,
    check_all,
    integer,
    list_of,
    one_of,
    or_none,
    real,
)
from gpu_runs.checkpoints.scheduled_network import Training
from gpu_runs.errors import OWN_CODE, CheckpointError, shown
from seeds_theory.diffusers import SEEDSScheduler  # says what to do if diffusers is not there
from seeds_theory.diffusers.configuration import in_our_names, require_servable
from seeds_theory.diffusers.coordinates import coordinates_of
from seeds_theory.diffusers.predictions import bounded
from seeds_theory.forms import DIFFUSERS_NAMES

import diffusers  # isort: skip

UNET, TRANSFORMER, DECODER = "UNet2DModel", "DiTTransformer2DModel", "AutoencoderKL"
CLASSES: dict[str, Any] = {
    UNET: diffusers.UNet2DModel,
    TRANSFORMER: diffusers.DiTTransformer2DModel,
    DECODER: diffusers.AutoencoderKL,
}
"""The networks that are read, by the names of their classes."""
_FORMER = {"Transformer2DModel": TRANSFORMER}
"""Names of these classes in older files."""
_OF_TEXT = ("UNet2DConditionModel", "SD3Transformer2DModel", "FluxTransformer2DModel")
"""Some networks that are told a prompt."""
FOR_PROMPTS = "images of prompts are made by seeds-generate --pipeline FOLDER"

_WIDTH = integer(1, 1 << 14)
_EPS = real(0, 1)
_SIZE = Rule(
    lambda value: integer(1, 4096).holds(value) or list_of(integer(1, 4096), 2, 2).holds(value),
    "an integer from 1 to 4096, or a list of two",
)
_NONE = Rule(lambda value: value is None, "null")
_NAME = Rule(lambda value: isinstance(value, str) and len(value) <= 40, "a name")
_ACTIVATION = one_of("silu", "swish", "mish", "gelu", "relu")


def _blocks(*kinds: str) -> Rule:
    return list_of(one_of(*kinds), 1, 8)


_COMMON = {
    "sample_size": or_none(_SIZE),
    "in_channels": integer(1, 64),
    "dropout": real(0, 1),
    "norm_num_groups": integer(1, 1 << 14),
    "norm_eps": _EPS,
}
_UNET_BLOCKS = (
    "{}Block2D",
    "Attn{}Block2D",
    "Resnet{}sampleBlock2D",
    "Skip{}Block2D",
    "AttnSkip{}Block2D",
)
_RULES: dict[str, dict[str, Rule]] = {
    UNET: {
        **_COMMON,
        "out_channels": integer(1, 128),
        "center_input_sample": FLAG,
        "time_embedding_type": one_of("positional", "fourier", "learned"),
        "time_embedding_dim": or_none(_WIDTH),
        "freq_shift": real(-16, 16),
        "flip_sin_to_cos": FLAG,
        "down_block_types": _blocks(*(kind.format("Down") for kind in _UNET_BLOCKS)),
        "mid_block_type": or_none(one_of("UNetMidBlock2D")),
        "up_block_types": _blocks(*(kind.format("Up") for kind in _UNET_BLOCKS)),
        "block_out_channels": list_of(_WIDTH, 1, 8),
        "layers_per_block": integer(1, 16),
        "mid_block_scale_factor": real(1e-3, 1e3),
        "downsample_padding": integer(0, 1),
        "downsample_type": one_of("conv", "resnet"),
        "upsample_type": one_of("conv", "resnet"),
        "act_fn": _ACTIVATION,
        "attention_head_dim": or_none(_WIDTH),
        "attn_norm_num_groups": or_none(_WIDTH),
        "resnet_time_scale_shift": one_of("default", "scale_shift"),
        "add_attention": FLAG,
        "class_embed_type": or_none(one_of("timestep", "identity")),
        "num_class_embeds": or_none(integer(1, 1_000_000)),
        "num_train_timesteps": or_none(integer(1, 100_000)),
    },
    TRANSFORMER: {
        **_COMMON,
        "sample_size": integer(1, 1024),
        "out_channels": or_none(integer(1, 128)),
        "num_attention_heads": integer(1, 256),
        "attention_head_dim": integer(1, 1024),
        "num_layers": integer(1, 100),
        "attention_bias": FLAG,
        "patch_size": integer(1, 64),
        "activation_fn": one_of("gelu-approximate", "gelu", "geglu"),
        "num_embeds_ada_norm": integer(1, 1_000_000),
        "upcast_attention": FLAG,
        "norm_type": one_of("ada_norm_zero"),
        "norm_elementwise_affine": FLAG,
    },
    DECODER: {
        "sample_size": or_none(_SIZE),
        "in_channels": integer(1, 64),
        "out_channels": integer(1, 64),
        "down_block_types": _blocks("DownEncoderBlock2D"),
        "up_block_types": _blocks("UpDecoderBlock2D"),
        "block_out_channels": list_of(_WIDTH, 1, 8),
        "layers_per_block": integer(1, 16),
        "act_fn": _ACTIVATION,
        "latent_channels": integer(1, 64),
        "norm_num_groups": integer(1, 1 << 14),
        "scaling_factor": real(1e-6, 1e6),
        "shift_factor": or_none(real(-1e6, 1e6)),
        "latents_mean": _NONE,
        "latents_std": _NONE,
        "force_upcast": FLAG,
        "use_quant_conv": FLAG,
        "use_post_quant_conv": FLAG,
        "mid_block_add_attention": FLAG,
    },
}
_UNUSED_BY_DIT = {
    "cross_attention_dim": None,
    "num_vector_embeds": None,
    "use_linear_projection": False,
    "only_cross_attention": False,
    "double_self_attention": False,
    "attention_type": "default",
    "caption_channels": None,
    "interpolation_scale": None,
    "use_additional_conditions": None,
}
"""Settings of the former class, with the values under which it is the present one."""
_SCHEDULER_RULES = {
    "num_train_timesteps": integer(2, 100_000),
    "beta_start": real(0, 1),
    "beta_end": real(0, 1),
    "beta_schedule": _NAME,
    "trained_betas": or_none(list_of(real(0, 1), 2, 100_000)),
    "prediction_type": one_of(*DIFFUSERS_NAMES),
    "snr_shift_scale": real(1e-6, 1e6),
    "flow_shift": real(1e-6, 1e6),
    "clip_sample": FLAG,
    "clip_sample_range": real(1e-6, 1e6),
    "thresholding": FLAG,
    "dynamic_thresholding_ratio": real(0, 1),
    "sample_max_value": real(1e-6, 1e6),
    "rescale_betas_zero_snr": FLAG,
    "use_flow_sigmas": FLAG,
}
"""The settings that bear on what a network means, in our names."""
_SCHEDULERS = (*SEEDSScheduler._compatibles, "DDPMParallelScheduler", "DDIMParallelScheduler")


def options_of(config: Mapping[str, Any], *classes: str) -> tuple[str, dict[str, Any]]:
    """The class that a configuration names, one of these, and all its options, the defaults too.

    Raises
    ------
    CheckpointError : another class, or an option that is unknown, of a wrong type or out of bounds.
    """
    said = config.get("_class_name")
    name = _FORMER.get(said, said) if isinstance(said, str) else said
    if name not in classes:
        way_out = FOR_PROMPTS if said in _OF_TEXT else OWN_CODE
        raise CheckpointError(
            f"networks are {' or '.join(classes)} here; got {shown(said)}: {way_out}"
        )
    given = {key: value for key, value in config.items() if not key.startswith("_")}
    if name == TRANSFORMER:
        given = {key: value for key, value in given.items() if not _is_unused(key, value)}
    check_all(given, _RULES[name], f"option of {name}")
    known = inspect.signature(CLASSES[name].__init__).parameters
    if missing := sorted(given.keys() - known.keys()):
        raise CheckpointError(f"{name} of diffusers {diffusers.__version__} has no {missing[0]}")
    return name, defaults_of(CLASSES[name].__init__) | given


def _is_unused(key: str, value: object) -> bool:
    return key in _UNUSED_BY_DIT and (value is None or value == _UNUSED_BY_DIT[key])


def square(size: object) -> int:
    """The resolution that a sample_size means. Raises CheckpointError if it is none."""
    sides: list[Any] = size if isinstance(size, list) else [size, size]
    if size is None or sides[0] != sides[1]:
        said = "is not said" if size is None else f"is {sides[0]} x {sides[1]}"
        raise CheckpointError(f"images are square here, of a size that sample_size says; it {said}")
    return int(sides[0])


def training_of(config: Mapping[str, Any], *, learned_variance: bool, counts: bool) -> Training:
    """What the configuration of a scheduler says of its network.

    Raises
    ------
    SeedsError : a scheduler that is unknown, whose networks cannot be served, or a wrong setting.
    """
    name, known = config.get("_class_name"), (*_SCHEDULERS, SEEDSScheduler.__name__)
    if not isinstance(name, str) or name not in known:
        require_servable(config, shown(name))  # which may say why
        raise CheckpointError(f"schedulers are {', '.join(known)}; got {shown(name)}")
    kind: Any = SEEDSScheduler if name == SEEDSScheduler.__name__ else getattr(diffusers, name)
    full = {**defaults_of(kind.__init__), **config}
    require_servable(full, name)
    if full.get("use_dynamic_shifting"):
        raise CheckpointError(
            "its times are shifted by the size of an image, which only a pipeline does"
        )
    settings = defaults_of(SEEDSScheduler.__init__) | in_our_names(full)
    for setting, rule in _SCHEDULER_RULES.items():
        check(setting, settings[setting], rule)
    chosen = SimpleNamespace(**{**settings, "shift_terminal": None})
    coordinates = coordinates_of(chosen)
    low, high = coordinates.levels(np.array(coordinates.sigma_range[::-1]))[::-1].tolist()
    if counts and chosen.use_flow_sigmas:
        raise CheckpointError(
            "a network that looks its timesteps up has a table of betas, not a flow"
        )
    return Training(
        coordinates.schedule,
        int(coordinates.timesteps_per_time),
        low,
        high,
        predicts=chosen.prediction_type,
        bound=lambda estimate: bounded(estimate, chosen),
        learned_variance=learned_variance,
        counts=counts,
    )


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments of a function that have a default, with it."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
