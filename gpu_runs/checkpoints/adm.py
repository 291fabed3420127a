"""ADM networks out of the state dicts of guided-diffusion, improved-diffusion and consistency_models.

Their files hold tensors alone. The widths, the levels, the blocks, where there is attention, the classes and
how the resolution changes are seen in the shapes. What cannot be seen is a flag of the command that trained
the network, and known here for the published networks, which are told by their shapes. The three projects
differ in the order of the rows that make q, k and v, and in how the network is told the noise level.

References: Dhariwal and Nichol, arXiv 2105.05233; Nichol and Dhariwal, arXiv 2102.09672; Song et al.,
arXiv 2303.01469.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gpu_runs.checkpoints.adm_layout import Layout, layout_of
from gpu_runs.checkpoints.adm_published import SIZES, published_flags
from gpu_runs.checkpoints.flags import Value, checked_flags, joined
from gpu_runs.checkpoints.preconditioning import CosineDDPM, LinearDDPM, NetworkSpec, noise_range
from gpu_runs.checkpoints.stored_tensors import StoredTensor
from gpu_runs.checkpoints.translation import PREFIX, StateDict, Translated, box, interleaved
from gpu_runs.errors import OWN_CODE, CheckpointError
from seeds_theory.errors import ParameterError

KINDS: dict[str, type | tuple[str, ...]] = {
    "image_size": int,
    "num_head_channels": int,
    "num_heads": int,
    "use_new_attention_order": bool,
    "noise_schedule": ("linear", "cosine"),
    "diffusion_steps": int,
    "rescale_timesteps": bool,
    "training_mode": ("edm", "consistency_distillation", "consistency_training", "progdist"),
}
"""The flags, which are those of the three projects."""

_EXAMPLES: dict[str, Value] = {
    "image_size": 64,
    "num_head_channels": 64,
    "use_new_attention_order": False,
    "noise_schedule": "linear",
    "rescale_timesteps": True,
}
"""Of the flags that can be missing, in an error."""


def is_adm(entries: Mapping[str, object]) -> bool:
    """Whether these are the names of such a state dict."""
    names = "time_embed.0.weight", "input_blocks.0.0.weight"
    return any(all(f"{prefix}{name}" in entries for name in names) for prefix in ("", PREFIX))


def translate_adm(
    stored: Mapping[str, StoredTensor], given: Mapping[str, str], name: str
) -> Translated:
    """The network, from the tensors, the flags that were given, and the name of the file.

    Raises
    ------
    CheckpointError : it is none of these networks, or flags are missing; says which.
    UnknownNameError, ParameterError : a flag is wrong.
    """
    state = StateDict(stored)
    layout, flags, spec = described(state, given, name)
    return Translated("ADM state dict", spec, _tensors(state, layout, spec, flags), flags)


def described(
    state: StateDict, given: Mapping[str, str], name: str
) -> tuple[Layout, dict[str, Value], NetworkSpec]:
    """The network without its numbers: what is seen, what is said or known, and both together.

    Errors as of `translate_adm`.
    """
    layout = layout_of(state)
    flags = _flags(layout, checked_flags(given, KINDS), name)
    return layout, flags, _spec(layout, flags)


def _flags(layout: Layout, given: dict[str, Value], name: str) -> dict[str, Value]:
    """All flags that matter, given or known."""
    if "num_heads" in given and "num_head_channels" in given:
        raise ParameterError("give num_heads or num_head_channels, not both")
    known: dict[str, Value] = published_flags(layout)
    if "num_heads" in given or "num_head_channels" in given:
        known = {flag: value for flag, value in known.items() if not flag.startswith("num_head")}
    if layout.mult in SIZES:
        known = {"image_size": SIZES[layout.mult], **known}
    flags = known | given
    # consistency_models writes the layers of its attention as convolutions of images.
    here = ["image_size", "num_heads", "num_head_channels"] + (
        ["training_mode"]
        if layout.wide_attention
        else ["use_new_attention_order", "noise_schedule", "diffusion_steps", "rescale_timesteps"]
    )
    for flag in given:
        if flag not in here:
            project = "consistency_models" if layout.wide_attention else "guided-diffusion"
            raise ParameterError(
                f"{flag} is no flag of {project}, whose file this is; it has {', '.join(here)}"
            )
    flags = {flag: flags[flag] for flag in here if flag in flags}
    if layout.wide_attention:
        _require_denoiser(flags, name)
    else:
        flags.setdefault("diffusion_steps", 1000)
        if flags["diffusion_steps"] == 1000:
            flags.setdefault("rescale_timesteps", False)
    missing = [flag for flag in here if flag not in flags and not flag.startswith("num_head")]
    if "num_heads" not in flags and "num_head_channels" not in flags:
        missing.insert(0, "num_head_channels")
    if missing:
        example = {flag: _EXAMPLES[flag] for flag in missing} | flags
        named = ", ".join(missing).replace("num_head_channels", "num_head_channels (or num_heads)")
        raise CheckpointError(
            f"an ADM network whose file does not say its {named}: give them as the command that trained "
            f"it has them, as in FILE@{joined(example)}"
        )
    return flags


def _require_denoiser(flags: dict[str, Value], name: str) -> None:
    """A network beside consistency models is a denoiser if it says so."""
    mode = flags.get("training_mode")
    if mode not in (None, "edm") or re.match(r"c[dt]_", name):
        raise CheckpointError(
            "a consistency model: it jumps to the end of a path, where a denoiser estimates the mean, so no "
            f"solver of this project can use it; {OWN_CODE}"
        )
    if mode is None:
        raise CheckpointError(
            "an EDM network of consistency_models or a model distilled from one, which have the same "
            "tensors: of the first say FILE@training_mode=edm; the others (cd_*.pt, ct_*.pt) are no denoisers"
        )


def _spec(layout: Layout, flags: dict[str, Value]) -> NetworkSpec:
    size = int(flags["image_size"])
    options: dict[str, Any] = {
        "model_channels": layout.channels,
        "channel_mult": list(layout.mult),
        "channel_mult_emb": layout.mult_emb,
        "num_blocks": layout.blocks,
        "attn_resolutions": [size >> level for level, has in enumerate(layout.attends) if has],
        "scale_shift": layout.scale_shift,
        "resampling": layout.resampling,
        "norm_groups": 32,
        "dropout": 0.0,
    }
    for flag, option in (("num_head_channels", "head_channels"), ("num_heads", "num_heads")):
        if flag in flags:
            options[option] = flags[flag]
    kind, constants, levels = _noise(flags)
    return NetworkSpec(
        kind, "DhariwalUNet", size, layout.images, layout.classes, *levels, constants, options
    )


def _noise(flags: dict[str, Value]) -> tuple[str, dict[str, float], tuple[float, float]]:
    """The preconditioning, its constants and its noise levels."""
    if "training_mode" in flags:
        return "EDM1000Precond", {"sigma_data": 0.5}, (0.0, math.inf)
    steps = int(flags["diffusion_steps"])
    constants: dict[str, float] = {
        "M": steps,
        "step": 1000 / steps if flags["rescale_timesteps"] else 1,
    }
    if flags["noise_schedule"] == "cosine":
        constants = {**CosineDDPM.constants, **constants}
        return "CosineDDPMPrecond", constants, noise_range(CosineDDPM, constants)
    constants |= {"beta_first": 0.1 / steps, "beta_last": 20 / steps}
    return "LinearDDPMPrecond", constants, noise_range(LinearDDPM, constants)


_BLOCK = {
    "in_layers.0": "norm0",
    "in_layers.2": "conv0",
    "emb_layers.1": "affine",
    "out_layers.0": "norm1",
    "out_layers.3": "conv1",
    "skip_connection": "skip",
}
_ATTENTION = {"norm": "norm2", "qkv": "qkv", "proj_out": "proj"}


def _tensors(
    state: StateDict, layout: Layout, spec: NetworkSpec, flags: dict[str, Value]
) -> dict[str, Tensor]:
    """The tensors by this project's names."""
    tensors: dict[str, Tensor] = {}

    def move(theirs: str, ours: str) -> None:
        for part in ("weight", "bias"):
            tensors[f"model.{ours}.{part}"] = state.take(f"{theirs}.{part}")

    def block(theirs: str, ours: str, changes: bool = False) -> None:
        if changes and layout.resampling == "conv":
            move(
                f"{theirs}.op" if f"{theirs}.op.weight" in state else f"{theirs}.conv",
                f"{ours}.conv",
            )
            return
        for part, name in _BLOCK.items():
            if part != "skip_connection" or f"{theirs}.{part}.weight" in state:
                move(f"{theirs}.{part}", f"{ours}.{name}")
        if changes:
            for part in ("conv0", "skip"):
                tensors[f"model.{ours}.{part}.resample_filter"] = box([1, 1])

    def attention(theirs: str, ours: str) -> None:
        for part, name in _ATTENTION.items():
            move(f"{theirs}.{part}", f"{ours}.{name}")
        width = tensors[f"model.{ours}.proj.weight"].shape[0]
        heads = int(flags.get("num_heads") or width // int(flags["num_head_channels"]))
        if heads < 1 or width % heads or width % int(flags.get("num_head_channels", 1)):
            raise CheckpointError(f"no attention has {heads} heads for {width} channels")
        order = interleaved(heads, bool(flags.get("use_new_attention_order", True)))
        for part in ("weight", "bias"):
            rows = tensors[f"model.{ours}.qkv.{part}"]
            if rows.shape[0] != 3 * width:
                raise CheckpointError(
                    f"{theirs}.qkv has to have {3 * width} rows; it has {rows.shape[0]}"
                )
            tensors[f"model.{ours}.qkv.{part}"] = order(rows)
        for part in ("qkv", "proj"):  # layers of sequences, as other projects have them
            weight = tensors[f"model.{ours}.{part}.weight"]
            tensors[f"model.{ours}.{part}.weight"] = weight.reshape(*weight.shape[:2], 1, 1)

    sizes = [
        f"{spec.resolution >> level}x{spec.resolution >> level}"
        for level in range(len(layout.mult))
    ]
    move("time_embed.0", "map_layer0")
    move("time_embed.2", "map_layer1")
    if layout.classes:
        tensors["model.map_label.weight"] = state.take("label_emb.weight").T.contiguous()
    move("input_blocks.0.0", f"enc.{sizes[0]}_conv")
    number = 1
    for level, size in enumerate(sizes):
        if level:
            block(f"input_blocks.{number}.0", f"enc.{size}_down", changes=True)
            number += 1
        for i in range(layout.blocks):
            block(f"input_blocks.{number}.0", f"enc.{size}_block{i}")
            if layout.attends[level]:
                attention(f"input_blocks.{number}.1", f"enc.{size}_block{i}")
            number += 1
    block("middle_block.0", f"dec.{sizes[-1]}_in0")
    attention("middle_block.1", f"dec.{sizes[-1]}_in0")
    block("middle_block.2", f"dec.{sizes[-1]}_in1")
    number = 0
    for level in reversed(range(len(sizes))):
        for i in range(layout.blocks + 1):
            block(f"output_blocks.{number}.0", f"dec.{sizes[level]}_block{i}")
            if layout.attends[level]:
                attention(f"output_blocks.{number}.1", f"dec.{sizes[level]}_block{i}")
            if level and i == layout.blocks:
                last = f"output_blocks.{number}.{1 + layout.attends[level]}"
                block(last, f"dec.{sizes[level - 1]}_up", changes=True)
            number += 1
    move("out.0", "out_norm")
    move("out.2", "out_conv")
    state.require_empty()
    for part in ("weight", "bias"):  # variances, which no denoiser needs
        tensors[f"model.out_conv.{part}"] = tensors[f"model.out_conv.{part}"][
            : layout.images
        ].clone()
    if "noise_schedule" in flags:
        levels = CosineDDPM if flags["noise_schedule"] == "cosine" else LinearDDPM
        tensors["u"] = torch.tensor(levels.levels(spec.constants))
    return tensors
