"""What the shapes in a state dict say of an ADM network."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu_runs.checkpoints.translation import StateDict
from gpu_runs.errors import OWN_CODE, CheckpointError


@dataclass(frozen=True)
class Layout:
    """An ADM network as far as it can be seen.

    Attributes
    ----------
    channels : that the others are multiples of, `mult` at the levels and `mult_emb` in the embedding.
    images : channels of the images. learned : whether a variance is written for each. classes : their number.
    blocks : of a level. attends : whether a level has attention.
    resampling : "block" or "conv". scale_shift : whether the embedding scales, too.
    wide_attention : whether layers of the attention are those of images, as consistency_models has them.
    """

    channels: int
    images: int
    learned: bool
    mult: tuple[float, ...]
    mult_emb: int
    blocks: int
    attends: tuple[bool, ...]
    classes: int
    resampling: str
    scale_shift: bool
    wide_attention: bool


def layout_of(state: StateDict) -> Layout:
    """What is seen of a network; CheckpointError if it is none of these."""
    numbers = [re.fullmatch(r"(input|output)_blocks\.(\d{1,3})\..*", name) for name in state]
    last = {"input": -1, "output": -1}
    for found in filter(None, numbers):
        last[found[1]] = max(last[found[1]], int(found[2]))
    if last["output"] < 0:
        raise CheckpointError(
            f"half a U-Net, a classifier of guided-diffusion's: no denoiser; {OWN_CODE}"
        )

    def ends(i: int) -> bool:
        """Whether an output block ends in a change of resolution."""
        parts = [f"output_blocks.{i}.{j}." for j in (1, 2)]
        return any(f"{p}in_layers.2.weight" in state or f"{p}conv.weight" in state for p in parts)

    changes = [i for i in range(last["output"] + 1) if ends(i)]
    levels = len(changes) + 1
    blocks = (last["output"] + 1) // levels - 1
    if blocks < 1 or last["input"] + 1 != levels * (blocks + 1):
        raise CheckpointError(
            f"{last['input'] + 1} input and {last['output'] + 1} output blocks with {levels - 1} changes of "
            "the resolution are no U-Net of ADM's"
        )
    channels = state.width("time_embed.0.weight", 1, axes=2)
    widths = [
        state.width(f"input_blocks.{1 + level * (blocks + 1)}.0.in_layers.2.weight")
        for level in range(levels)
    ]
    if any(2 * width % channels for width in widths):
        raise CheckpointError(f"levels of {widths[:8]} channels are no multiples of {channels}")
    images, written = state.width("input_blocks.0.0.weight", 1), state.width("out.2.weight")
    if written not in (images, 2 * images) or images == 6:
        raise CheckpointError(
            f"{images} channels in and {written} out: no denoiser of images alone, as a network for "
            f"super-resolution; {OWN_CODE}"
        )
    first = "input_blocks.1.0."
    return Layout(
        channels=channels,
        images=images,
        learned=written == 2 * images,
        mult=tuple(
            width // channels if width % channels == 0 else width / channels for width in widths
        ),
        mult_emb=state.width("time_embed.0.weight", axes=2) // channels,
        blocks=blocks,
        attends=tuple(
            f"input_blocks.{1 + level * (blocks + 1)}.1.qkv.weight" in state
            for level in range(levels)
        ),
        classes=state.width("label_emb.weight", axes=2) if "label_emb.weight" in state else 0,
        resampling="conv" if any(name.endswith(".op.weight") for name in state) else "block",
        scale_shift=state.width(f"{first}emb_layers.1.weight", axes=2) == 2 * widths[0],
        wide_attention=len(state.shape("middle_block.1.qkv.weight")) == 4,
    )
