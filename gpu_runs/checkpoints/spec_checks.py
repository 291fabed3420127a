"""Which descriptions of a network are accepted from a file: known names, the right types, bounded numbers.

The bounds are an order of magnitude beyond the largest published network. They are there so that a few
bytes of a file cannot ask for much work before its tensors are compared with the network described.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gpu_runs.checkpoints.preconditioning import NetworkSpec
from gpu_runs.errors import CheckpointError, shown


class _Rule(NamedTuple):
    """What a value has to be, for the program and for the reader."""

    holds: Callable[[Any], bool]
    wording: str


def _integer(low: int, high: int, multiple_of: int = 1) -> _Rule:
    return _Rule(
        lambda value: type(value) is int and low <= value <= high and value % multiple_of == 0,
        f"an integer from {low} to {high}" + (f", a multiple of {multiple_of}" * (multiple_of > 1)),
    )


def _real(low: float, high: float) -> _Rule:
    return _Rule(
        lambda value: type(value) in (int, float) and low <= value <= high,
        f"a number from {low:g} to {high:g}",
    )


def _truth() -> _Rule:
    return _Rule(lambda value: type(value) is bool, "true or false")


def _one_of(*names: str) -> _Rule:
    return _Rule(lambda value: isinstance(value, str) and value in names, " or ".join(names))


def _list_of(rule: _Rule, least: int, most: int) -> _Rule:
    return _Rule(
        lambda value: (
            isinstance(value, list | tuple)
            and least <= len(value) <= most
            and all(rule.holds(item) for item in value)
        ),
        f"a list of {least} to {most}, each {rule.wording}",
    )


_SHARED = {
    "augment_dim": _integer(0, 1000),
    "model_channels": _integer(4, 4096, multiple_of=4),
    "channel_mult": _list_of(_integer(1, 64), 1, 8),
    "channel_mult_emb": _integer(1, 64),
    "num_blocks": _integer(1, 16),
    "attn_resolutions": _list_of(_integer(1, 4096), 0, 8),
    "dropout": _real(0, 1),
}
_OPTIONS: dict[str, dict[str, _Rule]] = {
    "SongUNet": {
        **_SHARED,
        "embedding_type": _one_of("positional", "fourier"),
        "channel_mult_noise": _integer(1, 64),
        "encoder_type": _one_of("standard", "skip", "residual"),
        "decoder_type": _one_of("standard", "skip"),
        "resample_filter": _Rule(
            lambda value: _list_of(_real(0.001, 1000), 2, 8).holds(value) and len(value) % 2 == 0,
            "a list of 2, 4, 6 or 8 positive numbers",
        ),
    },
    "DhariwalUNet": {
        **_SHARED,
        "channel_mult": _list_of(
            _Rule(
                lambda value: _integer(1, 64).holds(value) or value == 0.5,
                "an integer from 1 to 64, or 0.5",
            ),
            1,
            8,
        ),
        "head_channels": _integer(1, 4096),
        "num_heads": _integer(0, 4096),
        "scale_shift": _truth(),
        "norm_groups": _integer(0, 4096),
        "resampling": _one_of("block", "conv"),
    },
}
_COSINE = {"C_1": _real(1e-9, 1), "C_2": _real(1e-9, 1), "M": _integer(1, 10_000)}
_CONSTANTS: dict[str, dict[str, _Rule]] = {
    "EDMPrecond": {"sigma_data": _real(1e-6, 1e6)},
    "VPPrecond": {
        "beta_d": _real(1e-6, 1e6),
        "beta_min": _real(0, 1e6),
        "M": _integer(1, 100_000),
        "epsilon_t": _real(0, 1),
    },
    "VEPrecond": {},
    "SubVPPrecond": {
        "beta_d": _real(1e-6, 1e6),
        "beta_min": _real(0, 1e6),
        "M": _integer(1, 100_000),
    },
    "iDDPMPrecond": _COSINE,
    "CosineDDPMPrecond": {**_COSINE, "step": _real(1e-6, 1e6)},
    "LinearDDPMPrecond": {
        "beta_first": _real(1e-9, 0.999),
        "beta_last": _real(1e-9, 0.999),
        "M": _integer(1, 10_000),
        "step": _real(1e-6, 1e6),
    },
    "EDM1000Precond": {"sigma_data": _real(1e-6, 1e6)},
}
_NOISE_LEVEL = _real(0, 1e30)
_IMAGES = {
    "resolution": _integer(1, 4096),
    "channels": _integer(1, 64),
    "label_dim": _integer(0, 1_000_000),
    "sigma_min": _NOISE_LEVEL,
    "sigma_max": _Rule(
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
    _check("preconditioning", spec.preconditioning, _one_of(*_CONSTANTS))
    _check("architecture", spec.architecture, _one_of(*_OPTIONS))
    for name, rule in _IMAGES.items():
        _check(name, getattr(spec, name), rule)
    if not spec.sigma_min < spec.sigma_max:
        raise CheckpointError(
            f"sigma_min {spec.sigma_min:g} is not below sigma_max {spec.sigma_max:g}"
        )
    kind = f"constant of {spec.preconditioning}"
    _check_all(spec.constants, _CONSTANTS[spec.preconditioning], kind)
    _check_all(spec.options, _OPTIONS[spec.architecture], f"option of {spec.architecture}")
    halvings = len(spec.options.get("channel_mult", (1, 2, 2, 2))) - 1
    if spec.resolution % 2**halvings:
        raise CheckpointError(f"resolution {spec.resolution} cannot be halved {halvings} times")


def _check_all(values: object, rules: Mapping[str, _Rule], kind: str) -> None:
    if not isinstance(values, dict):
        raise CheckpointError(f"the {kind} has to be a dict; it is {shown(values)}")
    for name, value in values.items():
        if name not in rules:
            known = ", ".join(rules) or "none"
            raise CheckpointError(f"{shown(name)} is no {kind}; known: {known}")
        _check(f"{kind} {name}", value, rules[name])


def _check(name: str, value: object, rule: _Rule) -> None:
    if not rule.holds(value):
        raise CheckpointError(f"{name} has to be {rule.wording}; it is {shown(value)}")
