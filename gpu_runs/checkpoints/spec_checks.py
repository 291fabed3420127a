"""Which descriptions of a network are accepted from a file: known names, the right types, bounded numbers.

The bounds are an order of magnitude beyond the largest published network. They are there so that a few
bytes of a file cannot ask for much work before its tensors are compared with the network described.
"""

from __future__ import annotations

import math

from gpu_runs.checkpoints.preconditioning import NetworkSpec
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
from gpu_runs.errors import CheckpointError

_SHARED = {
    "augment_dim": integer(0, 1000),
    "model_channels": integer(4, 4096, multiple_of=4),
    "channel_mult": list_of(integer(1, 64), 1, 8),
    "channel_mult_emb": integer(1, 64),
    "num_blocks": integer(1, 16),
    "attn_resolutions": list_of(integer(1, 4096), 0, 8),
    "dropout": real(0, 1),
}
_OPTIONS: dict[str, dict[str, Rule]] = {
    "SongUNet": {
        **_SHARED,
        "embedding_type": one_of("positional", "fourier"),
        "channel_mult_noise": integer(1, 64),
        "encoder_type": one_of("standard", "skip", "residual"),
        "decoder_type": one_of("standard", "skip"),
        "resample_filter": Rule(
            lambda value: list_of(real(0.001, 1000), 2, 8).holds(value) and len(value) % 2 == 0,
            "a list of 2, 4, 6 or 8 positive numbers",
        ),
    },
    "DhariwalUNet": {
        **_SHARED,
        "channel_mult": list_of(
            Rule(
                lambda value: integer(1, 64).holds(value) or value == 0.5,
                "an integer from 1 to 64, or 0.5",
            ),
            1,
            8,
        ),
        "head_channels": integer(1, 4096),
        "num_heads": integer(0, 4096),
        "scale_shift": FLAG,
        "norm_groups": integer(0, 4096),
        "resampling": one_of("block", "conv"),
    },
    "EDM2UNet": {
        **{name: rule for name, rule in _SHARED.items() if name != "augment_dim"},
        "channel_mult_noise": or_none(integer(1, 64)),
        "channel_mult_emb": or_none(integer(1, 64)),
        **dict.fromkeys(
            ("label_balance", "concat_balance", "res_balance", "attn_balance"), real(0.01, 0.99)
        ),
        "channels_per_head": integer(1, 4096),
        "clip_act": or_none(real(1, 1e30)),
    },
}
_COSINE = {"C_1": real(1e-9, 1), "C_2": real(1e-9, 1), "M": integer(1, 10_000)}
_CONSTANTS: dict[str, dict[str, Rule]] = {
    "EDMPrecond": {"sigma_data": real(1e-6, 1e6)},
    "VPPrecond": {
        "beta_d": real(1e-6, 1e6),
        "beta_min": real(0, 1e6),
        "M": integer(1, 100_000),
        "epsilon_t": real(0, 1),
    },
    "VEPrecond": {},
    "SubVPPrecond": {
        "beta_d": real(1e-6, 1e6),
        "beta_min": real(0, 1e6),
        "M": integer(1, 100_000),
    },
    "iDDPMPrecond": _COSINE,
    "CosineDDPMPrecond": {**_COSINE, "step": real(1e-6, 1e6)},
    "LinearDDPMPrecond": {
        "beta_first": real(1e-9, 0.999),
        "beta_last": real(1e-9, 0.999),
        "M": integer(1, 10_000),
        "step": real(1e-6, 1e6),
    },
    "EDM1000Precond": {"sigma_data": real(1e-6, 1e6)},
}
_NOISE_LEVEL = real(0, 1e30)
_IMAGES = {
    "resolution": integer(1, 4096),
    "channels": integer(1, 64),
    "label_dim": integer(0, 1_000_000),
    "sigma_min": _NOISE_LEVEL,
    "sigma_max": Rule(
        lambda value: value == math.inf or _NOISE_LEVEL.holds(value),
        f"inf, or {_NOISE_LEVEL.wording}",
    ),
}


def check_spec(spec: NetworkSpec) -> None:
    """Make sure that a network can be built from a description, without much work.

    Raises
    ------
    CheckpointError : names the first value that is unknown, of a wrong type or out of bounds.
    """
    check("preconditioning", spec.preconditioning, one_of(*_CONSTANTS))
    check("architecture", spec.architecture, one_of(*_OPTIONS))
    for name, rule in _IMAGES.items():
        check(name, getattr(spec, name), rule)
    if not spec.sigma_min < spec.sigma_max:
        raise CheckpointError(
            f"sigma_min {spec.sigma_min:g} is not below sigma_max {spec.sigma_max:g}"
        )
    kind = f"constant of {spec.preconditioning}"
    check_all(spec.constants, _CONSTANTS[spec.preconditioning], kind)
    check_all(spec.options, _OPTIONS[spec.architecture], f"option of {spec.architecture}")
    halvings = len(spec.options.get("channel_mult", (1, 2, 2, 2))) - 1
    if spec.resolution % 2**halvings:
        raise CheckpointError(f"resolution {spec.resolution} cannot be halved {halvings} times")
