r"""DDPM++ and NCSN++ networks out of the checkpoints of score_sde_pytorch.

Such a file has the network's state dict under ``model``, and under ``ema`` the averaged parameters as a list,
in the order in which the network has them; the averaged ones are read. Modules are numbered in the order of
their work. Frequencies of the noise label are no parameters that are trained: they are in the first alone, as
is a list ``sigmas`` of noise levels, whose ends are those of the variance-exploding process.

What cannot be seen is taken as all configurations of that project have it: attention is at 16x16, sums are
divided by the square root of 2, fixed filters are 1, 3, 3, 1 if the image is carried down beside the states
and 1, 1 if not, :math:`\beta` rises from 0.1 to 20, networks with Fourier features know the
variance-exploding process, and images are from 0 to 1 there. Others have to be told their process, since
those of VP and sub-VP look the same.

Reference: Song et al., arXiv 2011.13456.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gpu_runs.checkpoints.flags import Value, checked_flags
from gpu_runs.checkpoints.preconditioning import NetworkSpec
from gpu_runs.checkpoints.stored_tensors import StoredTensor
from gpu_runs.checkpoints.translation import (
    StateDict,
    Translated,
    box,
    interleaved,
    tensors_of,
)
from gpu_runs.errors import OWN_CODE, CheckpointError

KINDS: dict[str, type | tuple[str, ...]] = {
    "sde": ("vesde", "vpsde", "subvpsde"),
    "image_size": int,
    "fir": bool,
    "beta_min": float,
    "beta_max": float,
    "sigma_min": float,
    "sigma_max": float,
}
"""The flags: names of the configurations."""

_ATTENTION_SIZE = 16


def is_score_sde(content: Mapping[str, Any]) -> bool:
    """Whether these are the entries of such a file."""
    ema = content.get("ema")
    return "model" in content and type(ema) is dict and "shadow_params" in ema


def averaged(content: Mapping[str, Any]) -> dict[str, StoredTensor]:
    """The tensors of the network, with the averaged parameters by their names.

    Raises
    ------
    CheckpointError : there is no network, or the list does not fit it.
    """
    model, shadow = content["model"], content["ema"]["shadow_params"]
    if type(model) is not dict or not isinstance(shadow, list):
        raise CheckpointError("entry 'model' has to be a state dict, 'shadow_params' a list")
    stored = tensors_of(model)
    trained = [name for name in stored if name != "sigmas" and name != "all_modules.0.W"]
    if len(shadow) != len(trained):
        raise CheckpointError(
            f"{len(shadow)} averaged parameters for a network of {len(trained)}; {OWN_CODE}"
        )
    for name, value in zip(trained, shadow, strict=True):
        if not isinstance(value, StoredTensor) or value.size != stored[name].size:
            raise CheckpointError(
                f"the averaged parameter in the place of {name} is none of its shape"
            )
        stored[name] = value
    return stored


@dataclass(frozen=True)
class _Layout:
    """What the shapes say of a network, and the kinds of its modules in their order."""

    kinds: list[str]
    channels: int
    images: int
    mult: tuple[int, ...]
    blocks: int
    attends: tuple[bool, ...]
    fourier: bool
    encoder: str
    decoder: str


def translate_score_sde(stored: Mapping[str, StoredTensor], given: Mapping[str, str]) -> Translated:
    """The network, from its tensors and the flags that were given.

    Raises
    ------
    CheckpointError : it is none of these networks, or flags are missing; says which.
    UnknownNameError, ParameterError : a flag is wrong.
    """
    state = StateDict(stored)
    layout = _layout(state)
    found = _flags(layout, checked_flags(given, KINDS), state)
    flags = {name: found[name] for name in KINDS if name in found}  # in one order, for records
    spec = _spec(layout, flags)
    return Translated("score_sde checkpoint", spec, _tensors(state, layout, spec), flags)


def _kind(parts: set[str], state: StateDict, prefix: str) -> str:
    """What a module is, by the names of its tensors."""
    match sorted(parts):
        case ["W"]:
            return "frequencies"
        case ["bias", "weight"]:
            axes = len(state.shape(f"{prefix}weight"))
            return {1: "norm", 2: "linear", 4: "conv"}.get(axes, "unknown")
        case ["Conv_0.bias", "Conv_0.weight"]:
            return "carry"
        case ["Conv2d_0.bias", "Conv2d_0.weight"]:
            return "residual"
    if "NIN_3.W" in parts:
        return "attention"
    if "Conv_1.weight" not in parts or "NIN_0.W" in parts:
        return "unknown"
    shape = state.shape(f"{prefix}Conv_0.weight")
    return "change" if "Conv_2.weight" in parts and shape[:1] == shape[1:2] else "block"


def _layout(state: StateDict) -> _Layout:
    parts: dict[int, set[str]] = {}
    for name in state:
        head, _, rest = name.partition(".")
        number, _, part = rest.partition(".")
        if head == "all_modules" and number.isdecimal() and len(number) < 5:
            parts.setdefault(int(number), set()).add(part)
    kinds = [_kind(parts[i], state, f"all_modules.{i}.") for i in range(len(parts)) if i in parts]
    if not kinds or len(kinds) < len(parts) or "unknown" in kinds:
        raise CheckpointError(
            "no DDPM++ or NCSN++ of score_sde's with blocks of type biggan: of its networks, those are read; "
            f"{OWN_CODE}"
        )
    fourier = kinds[0] == "frequencies"
    start = kinds.index("conv") if "conv" in kinds else len(kinds)
    blocks_at = [i for i, kind in enumerate(kinds) if kind in ("block", "change")]
    levels = kinds.count("change") // 2 + 1
    blocks = (len(blocks_at) - 3 * levels) // (2 * levels)
    if kinds[:start] != ["frequencies"] * fourier + ["linear"] * 2 or blocks < 1 or levels > 16:
        raise CheckpointError("the modules of the network are not in the order of DDPM++ or NCSN++")
    channels, images = (state.width(f"all_modules.{start}.weight", axis) for axis in (0, 1))
    firsts = [blocks_at[level * (blocks + 1)] for level in range(levels)]
    widths = [state.width(f"all_modules.{i}.Conv_0.weight") for i in firsts]
    if any(width % channels for width in widths):
        raise CheckpointError(f"levels of {widths[:8]} channels are no multiples of {channels}")
    encoder = "residual" if "residual" in kinds else "skip" if "carry" in kinds else "standard"
    return _Layout(
        kinds=kinds,
        channels=channels,
        images=images,
        mult=tuple(width // channels for width in widths),
        blocks=blocks,
        attends=tuple(kinds[i + 1] == "attention" for i in firsts),
        fourier=fourier,
        encoder=encoder,
        decoder="skip" if kinds.count("norm") > 1 else "standard",
    )


def _flags(layout: _Layout, given: dict[str, Value], state: StateDict) -> dict[str, Value]:
    """All flags that matter, given or known."""
    flags: dict[str, Value] = {"sde": "vesde"} if layout.fourier else {}
    if any(layout.attends):
        flags["image_size"] = _ATTENTION_SIZE << layout.attends.index(True)
    flags |= {"fir": layout.encoder != "standard"} | given
    missing = [name for name in ("sde", "image_size") if name not in flags]
    if missing:
        raise CheckpointError(
            f"a network of score_sde's whose file does not say its {', '.join(missing)}: give them as its "
            "configuration has them, as in FILE@sde=vpsde (vpsde or subvpsde; seeds-inspect --check sees "
            "whether it fits)"
        )
    if (flags["sde"] == "vesde") != layout.fourier:
        raise CheckpointError(
            "of score_sde's networks those with Fourier features are read for vesde, those without for vpsde "
            f"and subvpsde; {OWN_CODE}"
        )
    if not layout.fourier:
        return {"beta_min": 0.1, "beta_max": 20.0, **flags}
    if "sigmas" in state and not {"sigma_min", "sigma_max"} <= given.keys():
        levels = state.take("sigmas").double()
        low, high = (float(f"{float(level):.10g}") for level in (levels.min(), levels.max()))
        flags = {"sigma_min": low, "sigma_max": high, **flags}
    if not {"sigma_min", "sigma_max"} <= flags.keys():
        raise CheckpointError(
            "the file has no list 'sigmas': say the ends of its noise levels, as in "
            "FILE@sigma_min=0.01,sigma_max=50"
        )
    return flags


def _spec(layout: _Layout, flags: dict[str, Value]) -> NetworkSpec:
    size = int(flags["image_size"])
    options: dict[str, Any] = {
        "model_channels": layout.channels,
        "channel_mult": list(layout.mult),
        "channel_mult_emb": 4,
        "num_blocks": layout.blocks,
        "attn_resolutions": [size >> level for level, has in enumerate(layout.attends) if has],
        "embedding_type": "fourier" if layout.fourier else "positional",
        "channel_mult_noise": 2 if layout.fourier else 1,
        "encoder_type": layout.encoder,
        "decoder_type": layout.decoder,
        "resample_filter": [1, 3, 3, 1] if flags["fir"] else [1, 1],
        "dropout": 0.0,
    }
    kind, constants, levels = _noise(flags)
    return NetworkSpec(kind, "SongUNet", size, layout.images, 0, *levels, constants, options)


def _noise(flags: dict[str, Value]) -> tuple[str, dict[str, float], tuple[float, float]]:
    """The preconditioning, its constants and its noise levels, for images from -1 to 1."""
    if flags["sde"] == "vesde":
        return "VEPrecond", {}, (2 * float(flags["sigma_min"]), 2 * float(flags["sigma_max"]))
    first, last = float(flags["beta_min"]), float(flags["beta_max"])
    constants: dict[str, float] = {"beta_d": last - first, "beta_min": first, "M": 1000}

    def level(time: float) -> float:
        grown = math.expm1(constants["beta_d"] * time**2 / 2 + first * time)
        return math.sqrt(grown) if flags["sde"] == "vpsde" else grown / math.sqrt(1 + grown)

    levels = level(1e-5), level(1.0)
    if flags["sde"] == "vpsde":
        return "VPPrecond", {**constants, "epsilon_t": 1e-5}, levels
    return "SubVPPrecond", constants, levels


_BLOCK = {
    "GroupNorm_0": "norm0",
    "Conv_0": "conv0",
    "Dense_0": "affine",
    "GroupNorm_1": "norm1",
    "Conv_1": "conv1",
    "Conv_2": "skip",
}


def _places(layout: _Layout, sizes: list[str]) -> Iterator[tuple[str, str]]:
    """The kinds of the modules that such a network has, in their order, and this project's names for them."""
    if layout.fourier:
        yield "frequencies", "map_noise"
    yield "linear", "map_layer0"
    yield "linear", "map_layer1"
    yield "conv", f"enc.{sizes[0]}_conv"
    for level, size in enumerate(sizes):
        if level:
            yield "change", f"enc.{size}_down"
            if layout.encoder == "skip":
                yield "carry", f"enc.{size}_aux_skip"
            elif layout.encoder == "residual":
                yield "residual", f"enc.{size}_aux_residual"
        for i in range(layout.blocks):
            yield "block", f"enc.{size}_block{i}"
            if layout.attends[level]:
                yield "attention", f"enc.{size}_block{i}"
    yield "block", f"dec.{sizes[-1]}_in0"
    yield "attention", f"dec.{sizes[-1]}_in0"
    yield "block", f"dec.{sizes[-1]}_in1"
    for level in reversed(range(len(sizes))):
        for i in range(layout.blocks + 1):
            yield "block", f"dec.{sizes[level]}_block{i}"
        if layout.attends[level]:
            yield "attention", f"dec.{sizes[level]}_block{layout.blocks}"
        if layout.decoder == "skip" or not level:
            yield "norm", f"dec.{sizes[level]}_aux_norm"
            yield "conv", f"dec.{sizes[level]}_aux_conv"
        if level:
            yield "change", f"dec.{sizes[level - 1]}_up"


def _tensors(state: StateDict, layout: _Layout, spec: NetworkSpec) -> dict[str, Tensor]:
    """The tensors by this project's names."""
    tensors: dict[str, Tensor] = {}
    taps = box([float(tap) for tap in spec.options["resample_filter"]])
    sizes = [f"{spec.resolution >> i}x{spec.resolution >> i}" for i in range(len(layout.mult))]

    def move(theirs: str, ours: str) -> None:
        for part in ("weight", "bias"):
            tensors[f"model.{ours}.{part}"] = state.take(f"{theirs}.{part}")

    def attention(theirs: str, ours: str) -> None:
        move(f"{theirs}.GroupNorm_0", f"{ours}.norm2")
        weights = [_two_axes(state.take(f"{theirs}.NIN_{i}.W")).T for i in range(4)]
        biases = [state.take(f"{theirs}.NIN_{i}.b") for i in range(4)]
        order = interleaved(1, parts_first=True)
        if len({weight.shape for weight in weights} | {bias.shape * 2 for bias in biases}) > 1:
            raise CheckpointError(f"{theirs}: layers of an attention that differ in their shapes")
        tensors[f"model.{ours}.qkv.weight"] = order(torch.cat(weights[:3]))[..., None, None]
        tensors[f"model.{ours}.qkv.bias"] = order(torch.cat(biases[:3]))
        tensors[f"model.{ours}.proj.weight"] = weights[3].contiguous()[..., None, None]
        tensors[f"model.{ours}.proj.bias"] = biases[3]

    places = list(_places(layout, sizes))
    if [kind for kind, _ in places] != layout.kinds:
        raise CheckpointError("the modules of the network are not in the order of DDPM++ or NCSN++")
    for number, (kind, ours) in enumerate(places):
        theirs = f"all_modules.{number}"
        match kind:
            case "frequencies":
                tensors[f"model.{ours}.freqs"] = state.take(f"{theirs}.W")
            case "block" | "change":
                for part, name in _BLOCK.items():
                    if part != "Conv_2" or f"{theirs}.{part}.weight" in state:
                        move(f"{theirs}.{part}", f"{ours}.{name}")
                if kind == "change":
                    for part in ("conv0", "skip"):
                        tensors[f"model.{ours}.{part}.resample_filter"] = taps.clone()
            case "attention":
                attention(theirs, ours)
            case "carry":
                move(f"{theirs}.Conv_0", ours)
                down = ours.replace("aux_skip", "aux_down")
                tensors[f"model.{down}.resample_filter"] = taps.clone()
            case "residual":
                move(f"{theirs}.Conv2d_0", ours)
                tensors[f"model.{ours}.resample_filter"] = taps.clone()
            case _:
                move(theirs, ours)
    if layout.decoder == "skip":
        for size in sizes[:-1]:
            tensors[f"model.dec.{size}_aux_up.resample_filter"] = taps.clone()
    state.drop("sigmas")
    state.require_empty()
    return tensors


def _two_axes(tensor: Tensor) -> Tensor:
    if tensor.ndim != 2:
        raise CheckpointError(
            f"a layer of an attention has 2 dimensions; this one has {tensor.ndim}"
        )
    return tensor
