"""Pipelines of diffusers by families: tiny networks with random weights, every order, to the end of the run.

A family has parts and inputs by their names in the pipelines; a pipeline takes those that its signatures
ask for.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the two libraries' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:diffusers.*"),
]

SIZE = 16
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def normals(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def picture(mode: str = "RGB") -> Image.Image:
    values = np.linspace(0, 255, SIZE * SIZE).reshape(SIZE, SIZE).astype(np.uint8)
    return Image.fromarray(values).convert(mode)


@functools.cache
def network(kind: str, **options: Any) -> Any:
    """Weights that do not depend on the order of the tests."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(diffusers, kind)(**options).eval()


UNET = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "attention_head_dim": 2,
    "cross_attention_dim": 8,
}
TIMES = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 8 + 6 * 4,
}
DOWN, UP = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D")


def unet(**options: Any) -> Any:
    own = {"sample_size": 8, "down_block_types": DOWN, "up_block_types": UP}
    return network("UNet2DConditionModel", **UNET, **own, **options)


def control(**options: Any) -> Any:
    own = {"down_block_types": DOWN, "conditioning_embedding_out_channels": (4, 8)}
    return network("ControlNetModel", **UNET, **own, **options)


def autoencoder(channels: int = 4) -> Any:
    return network(
        "AutoencoderKL",
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=2,
        sample_size=SIZE,
        shift_factor=0.1,
    )


SD3 = {
    "sample_size": 8,
    "patch_size": 1,
    "attention_head_dim": 4,
    "num_attention_heads": 2,
    "caption_projection_dim": 8,
    "joint_attention_dim": 16,
    "pooled_projection_dim": 12,
}
FLUX = {
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": 16,
    "pooled_projection_dim": 12,
    "axes_dims_rope": (2, 2, 4),
}


def transformer_3(channels: int = 4, layers: int = 1) -> Any:
    own = {"in_channels": channels, "out_channels": channels, "num_layers": layers}
    return network("SD3Transformer2DModel", **SD3, **own)


def flux(in_channels: int = 16) -> Any:
    return network("FluxTransformer2DModel", **FLUX, in_channels=in_channels, out_channels=16)


def pixart() -> Any:
    return network(
        "PixArtTransformer2DModel",
        sample_size=8,
        num_layers=2,
        patch_size=2,
        attention_head_dim=4,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,  # with a learned variance, as the published ones
        cross_attention_dim=8,
        caption_channels=8,
        norm_type="ada_norm_single",
        use_additional_conditions=False,
    )


def unconditional() -> Any:
    return network(
        "UNet2DModel",
        sample_size=8,
        block_out_channels=(8, 8),
        norm_num_groups=2,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
    )


PICTURES: dict[str, Callable[[], Any]] = {
    "image": picture,
    "control_image": picture,
    "mask_image": lambda: picture("L"),
    "control_mask": lambda: picture("L"),
    "reference_image": picture,
}
COMMON: dict[str, Callable[[], Any]] = {
    "num_inference_steps": lambda: 3,
    "output_type": lambda: "np",
    "generator": lambda: torch.Generator().manual_seed(0),
    "height": lambda: SIZE,
    "width": lambda: SIZE,
    "strength": lambda: 0.7,
    **PICTURES,
}
EMBEDDED: dict[str, Callable[[], Any]] = {
    "prompt_embeds": lambda: normals(1, 5, 8),
    "negative_prompt_embeds": lambda: normals(1, 5, 8) / 2,
}
POOLED: dict[str, Callable[[], Any]] = {
    **EMBEDDED,
    "pooled_prompt_embeds": lambda: normals(1, 8),
    "negative_pooled_prompt_embeds": lambda: normals(1, 8) / 2,
}
JOINT: dict[str, Callable[[], Any]] = {
    "prompt_embeds": lambda: normals(1, 5, 16),
    "negative_prompt_embeds": lambda: normals(1, 5, 16) / 2,
    "pooled_prompt_embeds": lambda: normals(1, 12),
    "negative_pooled_prompt_embeds": lambda: normals(1, 12) / 2,
}

Parts = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Family:
    """Parts and inputs, settings of the scheduler, and the pipelines without the word Pipeline."""

    parts: Parts
    inputs: Parts
    settings: dict[str, Any]
    kinds: str


FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
SHIFTED, DYNAMIC = {**FLOW, "flow_shift": 3.0}, {**FLOW, "use_dynamic_shifting": True}
PIXELS = {**SCHEDULE, "variance_type": "learned_range", "thresholding": True}
SD_PARTS: Parts = {
    "vae": autoencoder,
    "unet": unet,
    "controlnet": control,
    "motion_adapter": lambda: None,
    "requires_safety_checker": lambda: False,
}
XL_PARTS: Parts = {
    "vae": autoencoder,
    "unet": lambda: unet(**TIMES),
    "controlnet": lambda: control(**TIMES),
    "motion_adapter": lambda: None,
    "add_watermarker": lambda: False,
}
SD_INPUTS: Parts = {**COMMON, **EMBEDDED, "num_frames": lambda: 2}
XL_INPUTS: Parts = {**COMMON, **POOLED, "num_frames": lambda: 2}
JOINT_INPUTS: Parts = {**COMMON, **JOINT}
PIXART_INPUTS: Parts = {
    **COMMON,
    **EMBEDDED,
    "prompt_attention_mask": lambda: torch.ones(1, 5),
    "negative_prompt_attention_mask": lambda: torch.ones(1, 5),
    "negative_prompt": lambda: None,
    "use_resolution_binning": lambda: False,
}
FAMILIES = {
    "Stable Diffusion": Family(
        SD_PARTS,
        SD_INPUTS,
        SCHEDULE,
        """
        AltDiffusion AltDiffusionImg2Img AnimateDiff AnimateDiffPAG StableDiffusion
        StableDiffusionControlNet StableDiffusionControlNetImg2Img StableDiffusionControlNetInpaint
        StableDiffusionControlNetPAG StableDiffusionControlNetPAGInpaint StableDiffusionImg2Img
        StableDiffusionInpaint StableDiffusionLDM3D StableDiffusionModelEditing StableDiffusionPAG
        StableDiffusionPAGImg2Img StableDiffusionPAGInpaint StableDiffusionPanorama""",
    ),
    "Stable Diffusion that edits": Family(
        {**SD_PARTS, "unet": lambda: unet(in_channels=8)},
        SD_INPUTS,
        SCHEDULE,
        "StableDiffusionInstructPix2Pix",
    ),
    "Stable Diffusion XL": Family(
        XL_PARTS,
        XL_INPUTS,
        SCHEDULE,
        """
        AnimateDiffSDXL StableDiffusionXL StableDiffusionXLControlNet
        StableDiffusionXLControlNetImg2Img StableDiffusionXLControlNetInpaint
        StableDiffusionXLControlNetPAG StableDiffusionXLControlNetPAGImg2Img StableDiffusionXLImg2Img
        StableDiffusionXLInpaint StableDiffusionXLPAG StableDiffusionXLPAGImg2Img
        StableDiffusionXLPAGInpaint""",
    ),
    "Stable Diffusion XL that edits": Family(
        {**XL_PARTS, "unet": lambda: unet(in_channels=8, **TIMES)},
        XL_INPUTS,
        SCHEDULE,
        "StableDiffusionXLInstructPix2Pix",
    ),
    "Stable Diffusion 3": Family(
        {
            "vae": autoencoder,
            "transformer": lambda: transformer_3(layers=2),
            "controlnet": lambda: network("SD3ControlNetModel", **SD3, in_channels=4, num_layers=1),
        },
        JOINT_INPUTS,
        SHIFTED,
        """
        StableDiffusion3 StableDiffusion3ControlNet StableDiffusion3Img2Img StableDiffusion3PAG
        StableDiffusion3PAGImg2Img""",
    ),
    "Stable Diffusion 3 of 16 channels": Family(
        {"vae": lambda: autoencoder(16), "transformer": lambda: transformer_3(16)},
        JOINT_INPUTS,
        SHIFTED,
        "StableDiffusion3Inpaint",
    ),
    "Flux": Family(
        {
            "vae": autoencoder,
            "transformer": flux,
            "controlnet": lambda: network("FluxControlNetModel", **FLUX, in_channels=16),
        },
        JOINT_INPUTS,
        DYNAMIC,
        "Flux FluxControlNet FluxControlNetImg2Img FluxControlNetInpaint FluxImg2Img FluxInpaint",
    ),
    "Flux with a control": Family(
        {"vae": autoencoder, "transformer": lambda: flux(32)},
        JOINT_INPUTS,
        DYNAMIC,
        "FluxControl FluxControlImg2Img FluxControlInpaint",
    ),
    "Flux that fills": Family(
        {"vae": autoencoder, "transformer": lambda: flux(48)}, JOINT_INPUTS, DYNAMIC, "FluxFill"
    ),
    "PixArt": Family(
        {"vae": autoencoder, "transformer": pixart},
        PIXART_INPUTS,
        {**SCHEDULE, "variance_type": "learned_range"},
        "PixArtAlpha PixArtSigma PixArtSigmaPAG",
    ),
    "DeepFloyd IF": Family(
        {
            "unet": lambda: unet(in_channels=3, out_channels=6),
            "requires_safety_checker": lambda: False,
        },
        {**COMMON, **EMBEDDED},
        PIXELS,
        "IF IFImg2Img IFInpainting",
    ),
    "pixels": Family({"unet": unconditional}, COMMON, {**SCHEDULE, "clip_sample": True}, "DDPM"),
}
OTHERS = {
    "LatentConsistencyModelPipeline": (TypeError, "original_inference_steps"),
    "StableDiffusionParadigmsPipeline": (AttributeError, "_get_variance"),
    "StableDiffusionSAGPipeline": (ValueError, "does not support using a scheduler of type"),
}
"""Pipelines that ask for more than a scheduler's interface, and what they say."""


def made(name: str, family: str, order: int) -> Any:
    kind, given = getattr(diffusers, name), {}
    for part, parameter in inspect.signature(kind.__init__).parameters.items():
        if part in FAMILIES[family].parts:
            given[part] = FAMILIES[family].parts[part]()
        elif parameter.default is parameter.empty and part != "self":
            given[part] = None
    given["scheduler"] = SEEDSScheduler(**FAMILIES[family].settings, solver_order=order)
    pipe = kind(**given)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def images(pipe: Any, family: str) -> np.ndarray:
    asked = inspect.signature(pipe.__call__).parameters
    found = pipe(
        **{name: value() for name, value in FAMILIES[family].inputs.items() if name in asked}
    )
    return np.asarray(found[0])


@pytest.mark.parametrize(
    ("name", "family"),
    [
        (f"{kind}Pipeline", name)
        for name, family in FAMILIES.items()
        for kind in family.kinds.split()
    ],
)
def test_a_pipeline_runs_to_its_end_at_every_order(name: str, family: str) -> None:
    ends = []
    for order in (1, 2, 3):
        pipe = made(name, family, order)
        with torch.random.fork_rng():
            torch.manual_seed(0)  # pipelines of flows pass their scheduler no generator
            ends.append(images(pipe, family))
            scheduler = pipe.scheduler
            assert scheduler.step_index == len(scheduler.timesteps) == 2 * order + 1
            assert np.isfinite(ends[-1]).all() and ends[-1].std() > 0
            torch.manual_seed(0)
            np.testing.assert_array_equal(images(pipe, family), ends[-1])
    for one, other in itertools.pairwise(ends):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", OTHERS)
def test_a_pipeline_that_asks_for_more_says_so(name: str) -> None:
    kind, says = OTHERS[name]
    with pytest.raises(kind, match=says):
        images(made(name, "Stable Diffusion", 1), "Stable Diffusion")
