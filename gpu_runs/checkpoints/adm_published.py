"""The ADM networks that were published, known by their shapes, and what their files do not say.

The flags are those of the commands in the READMEs of guided-diffusion, improved-diffusion and
consistency_models; what these leave out has the default of the project.
"""

from __future__ import annotations

from typing import NamedTuple

from gpu_runs.checkpoints.adm_layout import Layout
from gpu_runs.checkpoints.flags import Value

SIZES: dict[tuple[float, ...], int] = {
    (1, 2, 2, 2): 32,
    (1, 2, 3, 4): 64,
    (1, 1, 2, 3, 4): 128,
    (1, 1, 2, 2, 4, 4): 256,
    (0.5, 1, 1, 2, 2, 4, 4): 512,
}
"""Multipliers of the channels to the resolution for which the projects take them."""


class _Published(NamedTuple):
    """Published networks of one shape, by what is seen of them, and their flags.

    classes : their numbers of classes. attention : its resolutions.
    """

    channels: int
    mult: tuple[float, ...]
    blocks: int
    attention: tuple[int, ...]
    classes: tuple[int, ...]
    learned: bool
    resampling: str
    scale_shift: bool
    wide_attention: bool
    flags: dict[str, Value]


_M32, _M64, _M128, _M256, _M512 = SIZES
_HEADS: dict[str, Value] = {"num_head_channels": 64}


def _of_guided(
    channels: int, mult: tuple[float, ...], blocks: int, *classes: int, **flags: Value
) -> _Published:
    """A network of guided-diffusion's."""
    known = {**_DDPM, **flags}
    return _Published(
        channels, mult, blocks, (32, 16, 8), classes, True, "block", True, False, known
    )


def _of_improved(
    channels: int,
    mult: tuple[float, ...],
    blocks: int,
    attention: tuple[int, ...],
    classes: int,
    flags: dict[str, Value],
    scale_shift: bool = True,
) -> _Published:
    """A network of improved-diffusion's."""
    known = {"num_heads": 4, **_DDPM, **flags}
    return _Published(
        channels, mult, blocks, attention, (classes,), True, "conv", scale_shift, False, known
    )


def _of_consistency(
    channels: int, mult: tuple[float, ...], blocks: int, classes: int, scale_shift: bool
) -> _Published:
    """An EDM network of consistency_models'."""
    return _Published(
        channels, mult, blocks, (32, 16, 8), (classes,), False, "block", scale_shift, True, _HEADS
    )


_DDPM: dict[str, Value] = {
    "use_new_attention_order": False,
    "noise_schedule": "linear",
    "diffusion_steps": 1000,
    "rescale_timesteps": False,
}
_COSINE_4000: dict[str, Value] = {"noise_schedule": "cosine", "diffusion_steps": 4000}
_PUBLISHED = [
    # 64x64_diffusion.pt, 128x128_diffusion.pt, 256x256_diffusion*.pt and lsun_*.pt, 512x512_diffusion.pt
    _of_guided(192, _M64, 3, 1000, **_HEADS, use_new_attention_order=True, noise_schedule="cosine"),
    _of_guided(256, _M128, 2, 1000, num_heads=4),
    _of_guided(256, _M256, 2, 0, 1000, **_HEADS),
    _of_guided(256, _M512, 2, 1000, **_HEADS),
    # imagenet64_uncond_100M*.pt, cifar10_uncond_50M*.pt, imagenet64_cond_270M*.pt, lsun_uncond_100M*.pt
    _of_improved(128, _M64, 3, (16, 8), 0, {**_COSINE_4000, "rescale_timesteps": True}),
    _of_improved(128, _M32, 3, (16, 8), 0, {**_COSINE_4000, "rescale_timesteps": True}),
    _of_improved(192, _M64, 3, (16, 8), 1000, _COSINE_4000),
    _of_improved(128, _M256, 2, (16,), 0, {"num_heads": 1}, scale_shift=False),
    # edm_imagenet64_ema.pt, edm_bedroom256_ema.pt and edm_cat256_ema.pt
    _of_consistency(192, _M64, 3, 1000, scale_shift=True),
    _of_consistency(256, _M256, 2, 0, scale_shift=False),
]


def published_flags(layout: Layout) -> dict[str, Value]:
    """The flags of the published networks that look like this; none if there are none."""
    size = SIZES.get(layout.mult, 0)
    attention = tuple(size >> level for level, has in enumerate(layout.attends) if has)
    for known in _PUBLISHED:
        seen = known._replace(
            channels=layout.channels,
            mult=layout.mult,
            blocks=layout.blocks,
            attention=attention,
            learned=layout.learned,
            resampling=layout.resampling,
            scale_shift=layout.scale_shift,
            wide_attention=layout.wide_attention,
        )
        if seen == known and layout.classes in known.classes and layout.images == 3:
            return dict(known.flags)
    return {}
