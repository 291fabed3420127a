"""Families of diffusers' pipelines: what a pipeline is made of and what it is called with, tiny.

A family has parts and inputs by their names in the pipelines; a pipeline takes those that its signatures
ask for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import torch
from pipeline_networks import (
    FLUX,
    HUNYUAN,
    QWEN,
    SD3,
    SIZE,
    TIMES,
    adapter,
    allegro,
    allegro_autoencoder,
    aura_flow,
    autoencoder,
    chroma,
    cogvideo,
    cogvideo_autoencoder,
    cogview,
    cogview_4,
    control,
    control_union,
    control_xs,
    deep_autoencoder,
    dit,
    easy_animate,
    flux_transformer,
    hunyuan_autoencoder,
    hunyuan_video,
    kandinsky_3,
    kandinsky_5,
    kandinsky_decoder,
    latte,
    like_flux,
    ltx,
    ltx_autoencoder,
    lumina,
    lumina_2,
    magvit,
    mochi,
    mochi_autoencoder,
    motion,
    network,
    normals,
    picture,
    pixart,
    prx,
    quantised,
    qwen,
    sana,
    sana_video,
    sparse_control,
    spatially_quantised,
    transformer_3,
    unconditional,
    unet,
    unet_of_videos,
    video_autoencoder,
    wan,
    z_image,
)
from torch import Tensor

from seeds_theory.diffusers import SEEDSScheduler

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}

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


def mask() -> Tensor:
    return torch.ones(1, 5, dtype=torch.bool)


JOINT: dict[str, Callable[[], Any]] = {
    "prompt_embeds": lambda: normals(1, 5, 16),
    "negative_prompt_embeds": lambda: normals(1, 5, 16) / 2,
    "pooled_prompt_embeds": lambda: normals(1, 12),
    "negative_pooled_prompt_embeds": lambda: normals(1, 12) / 2,
}

Parts = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Family:
    """Parts and inputs, settings of the scheduler, and the pipelines that run, without the word Pipeline."""

    parts: Parts
    inputs: Parts
    settings: dict[str, Any]
    kinds: str


FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
SHIFTED, DYNAMIC = {**FLOW, "flow_shift": 3.0}, {**FLOW, "use_dynamic_shifting": True}
PIXELS = {**SCHEDULE, "variance_type": "learned_range", "thresholding": True}
LEARNED = {**SCHEDULE, "variance_type": "learned_range"}
NO_SIGNAL = {
    **SCHEDULE,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
CROSS_FIRST = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}

SD: Parts = {
    "vae": autoencoder,
    "unet": unet,
    "controlnet": control,
    "motion_adapter": lambda: None,
    "adapter": adapter,
    "low_res_scheduler": diffusers.DDPMScheduler,
    "image_noising_scheduler": diffusers.DDPMScheduler,
    "requires_safety_checker": lambda: False,
}
XL: Parts = {
    **SD,
    "unet": lambda: unet(**TIMES),
    "controlnet": lambda: control(**TIMES),
    "add_watermarker": lambda: False,
}
SD_3: Parts = {
    "vae": autoencoder,
    "transformer": lambda: transformer_3(layers=2),
    "controlnet": lambda: network("SD3ControlNetModel", **SD3, in_channels=4, num_layers=1),
}
FLUXES: Parts = {
    "vae": autoencoder,
    "transformer": flux_transformer,
    "controlnet": lambda: network("FluxControlNetModel", **FLUX, in_channels=16),
}
VIDEOS: Parts = {"vae": video_autoencoder, "transformer": wan}
HUNYUAN_VIDEOS: Parts = {"vae": hunyuan_autoencoder, "transformer": hunyuan_video}
QWENS: Parts = {
    "vae": lambda: video_autoencoder("AutoencoderKLQwenImage"),
    "transformer": qwen,
    "controlnet": lambda: network("QwenImageControlNetModel", **QWEN),
}
KANDINSKY: Parts = {"unet": kandinsky_decoder, "movq": spatially_quantised}

FRAMES: Parts = {
    "num_frames": lambda: 2,
    "video": lambda: [picture()] * 2,
    "conditioning_frames": lambda: [picture()] * 2,
}
PROMPTED: Parts = {**COMMON, **EMBEDDED, **FRAMES}
PROMPTED_XL: Parts = {**COMMON, **POOLED, **FRAMES}
PROMPTED_3: Parts = {**COMMON, **JOINT}
MASKED: Parts = {
    **COMMON,
    **EMBEDDED,
    "prompt_attention_mask": mask,
    "negative_prompt_attention_mask": mask,
    "prompt_embeds_mask": mask,
    "negative_prompt_embeds_mask": mask,
    "attention_mask": mask,
    "negative_attention_mask": mask,
    "negative_prompt": lambda: None,
    "use_resolution_binning": lambda: False,
    "clean_caption": lambda: False,
    "intermediate_timesteps": lambda: None,  # of two steps alone
    "video_length": lambda: 2,
}
MASKED_VIDEO: Parts = {
    **MASKED,
    "num_frames": lambda: 9,
    "frames": lambda: 9,
    "video": lambda: [picture()] * 9,
    "control_video": lambda: [picture()] * 9,
    "overlap_history": lambda: 1,
}
TWO_TEXTS: Parts = {
    **MASKED,
    "prompt_embeds_2": lambda: normals(1, 5, 8),
    "negative_prompt_embeds_2": lambda: normals(1, 5, 8) / 2,
    "prompt_attention_mask_2": mask,
    "negative_prompt_attention_mask_2": mask,
}


def of_size(size: int) -> Parts:
    return {"height": lambda: size, "width": lambda: size}


EMBEDDED_IMAGE: Parts = {
    **COMMON,
    "image_embeds": lambda: normals(1, 8),
    "negative_image_embeds": lambda: normals(1, 8) / 2,
    "hint": lambda: normals(1, 3, 64, 64),
}
FAMILIES = {
    "Stable Diffusion": Family(
        SD,
        PROMPTED,
        SCHEDULE,
        """
        AltDiffusion AltDiffusionImg2Img AnimateDiff AnimateDiffPAG StableDiffusion
        StableDiffusionControlNet StableDiffusionControlNetImg2Img StableDiffusionControlNetInpaint
        StableDiffusionControlNetPAG StableDiffusionControlNetPAGInpaint StableDiffusionImg2Img
        StableDiffusionInpaint StableDiffusionLDM3D StableDiffusionModelEditing StableDiffusionPAG
        StableDiffusionPAGImg2Img StableDiffusionPAGInpaint StableDiffusionPanorama""",
    ),
    "Stable Diffusion with a picture's latents": Family(
        {**SD, "unet": lambda: unet(in_channels=8)},
        PROMPTED,
        SCHEDULE,
        "StableDiffusionInstructPix2Pix",
    ),
    "Stable Diffusion with depth": Family(
        {**SD, "unet": lambda: unet(in_channels=5)},
        {**PROMPTED, "depth_map": lambda: normals(1, 8, 8)},
        SCHEDULE,
        "StableDiffusionDepth2Img",
    ),
    "Stable Diffusion that enlarges": Family(
        {**SD, "unet": lambda: unet(in_channels=7, num_class_embeds=1000)},
        PROMPTED,
        SCHEDULE,
        "StableDiffusionUpscale",
    ),
    "Stable Diffusion with an adapter": Family(
        {**SD, "unet": lambda: unet(**CROSS_FIRST)}, PROMPTED, SCHEDULE, "StableDiffusionAdapter"
    ),
    "Stable Diffusion with ControlNet-XS": Family(
        {**SD, "unet": lambda: unet(layers_per_block=2), "controlnet": control_xs},
        PROMPTED,
        SCHEDULE,
        "StableDiffusionControlNetXS",
    ),
    "Stable Diffusion in motion": Family(
        {**SD, "motion_adapter": motion},
        PROMPTED,
        SCHEDULE,
        "AnimateDiffControlNet AnimateDiffVideoToVideo AnimateDiffVideoToVideoControlNet",
    ),
    "Stable Diffusion in motion from some frames": Family(
        {**SD, "motion_adapter": motion, "controlnet": sparse_control},
        {**PROMPTED, "conditioning_frames": lambda: [picture()]},
        SCHEDULE,
        "AnimateDiffSparseControlNet",
    ),
    "Stable Diffusion in motion from a picture": Family(
        {**SD, "motion_adapter": lambda: motion(conv_in_channels=9)}, PROMPTED, SCHEDULE, "PIA"
    ),
    "Stable Diffusion XL": Family(
        XL,
        PROMPTED_XL,
        SCHEDULE,
        """
        AnimateDiffSDXL StableDiffusionXL StableDiffusionXLControlNet
        StableDiffusionXLControlNetImg2Img StableDiffusionXLControlNetInpaint
        StableDiffusionXLControlNetPAG StableDiffusionXLControlNetPAGImg2Img StableDiffusionXLImg2Img
        StableDiffusionXLInpaint StableDiffusionXLPAG StableDiffusionXLPAGImg2Img
        StableDiffusionXLPAGInpaint""",
    ),
    "Stable Diffusion XL with a picture's latents": Family(
        {**XL, "unet": lambda: unet(in_channels=8, **TIMES)},
        PROMPTED_XL,
        SCHEDULE,
        "StableDiffusionXLInstructPix2Pix",
    ),
    "Stable Diffusion XL with an adapter": Family(
        {**XL, "unet": lambda: unet(**CROSS_FIRST, **TIMES)},
        PROMPTED_XL,
        SCHEDULE,
        "StableDiffusionXLAdapter",
    ),
    "Stable Diffusion XL with ControlNet-XS": Family(
        {
            **XL,
            "unet": lambda: unet(layers_per_block=2, **TIMES),
            "controlnet": lambda: control_xs(learn_time_embedding=True),
        },
        PROMPTED_XL,
        SCHEDULE,
        "StableDiffusionXLControlNetXS",
    ),
    "Stable Diffusion XL with a union of controls": Family(
        {**XL, "controlnet": lambda: control_union(**TIMES)},
        {**PROMPTED_XL, "control_mode": lambda: 0, "control_image": lambda: [picture()]},
        SCHEDULE,
        """
        StableDiffusionXLControlNetUnion StableDiffusionXLControlNetUnionImg2Img
        StableDiffusionXLControlNetUnionInpaint""",
    ),
    "Stable Diffusion 3": Family(
        SD_3,
        PROMPTED_3,
        SHIFTED,
        """
        StableDiffusion3 StableDiffusion3ControlNet StableDiffusion3Img2Img StableDiffusion3PAG
        StableDiffusion3PAGImg2Img""",
    ),
    "Stable Diffusion 3 with a masked control": Family(
        {
            **SD_3,
            "controlnet": lambda: network(
                "SD3ControlNetModel",
                **SD3,
                in_channels=4,
                num_layers=1,
                extra_conditioning_channels=1,
            ),
        },
        PROMPTED_3,
        SHIFTED,
        "StableDiffusion3ControlNetInpainting",
    ),
    "Stable Diffusion 3 of 16 channels": Family(
        {"vae": lambda: autoencoder(16), "transformer": lambda: transformer_3(16)},
        PROMPTED_3,
        SHIFTED,
        "StableDiffusion3Inpaint",
    ),
    "Flux": Family(
        FLUXES,
        {**PROMPTED_3, "_auto_resize": lambda: False, "max_area": lambda: SIZE**2},
        DYNAMIC,
        """
        Flux FluxControlNet FluxControlNetImg2Img FluxControlNetInpaint FluxImg2Img FluxInpaint
        FluxKontext FluxKontextInpaint""",
    ),
    "Flux with a control": Family(
        {"vae": autoencoder, "transformer": lambda: flux_transformer(32)},
        PROMPTED_3,
        DYNAMIC,
        "FluxControl FluxControlImg2Img FluxControlInpaint",
    ),
    "Flux that fills": Family(
        {"vae": autoencoder, "transformer": lambda: flux_transformer(48)},
        PROMPTED_3,
        DYNAMIC,
        "FluxFill",
    ),
    "Chroma": Family(
        {"vae": autoencoder, "transformer": chroma}, MASKED, DYNAMIC, "Chroma ChromaImg2Img"
    ),
    "Bria": Family(
        {
            "vae": autoencoder,
            "transformer": lambda: like_flux("BriaTransformer2DModel", joint_attention_dim=8),
        },
        PROMPTED,
        SHIFTED,
        "Bria",
    ),
    "Ovis": Family(
        {
            "vae": autoencoder,
            "transformer": lambda: like_flux(
                "OvisImageTransformer2DModel", out_channels=16, joint_attention_dim=8
            ),
        },
        MASKED,
        DYNAMIC,
        "OvisImage",
    ),
    "PixArt": Family(
        {"vae": autoencoder, "transformer": pixart},
        MASKED,
        LEARNED,
        "PixArtAlpha PixArtSigma PixArtSigmaPAG",
    ),
    "DiT": Family(
        {"vae": autoencoder, "transformer": dit},
        {**COMMON, "class_labels": lambda: [1]},
        SCHEDULE,
        "DiT",
    ),
    "Hunyuan-DiT": Family(
        {
            "vae": autoencoder,
            "transformer": lambda: network("HunyuanDiT2DModel", **HUNYUAN, num_layers=2),
            "controlnet": lambda: network(
                "HunyuanDiT2DControlNetModel", **HUNYUAN, transformer_num_layers=2
            ),
            "requires_safety_checker": lambda: False,
        },
        TWO_TEXTS,
        {**LEARNED, "prediction_type": "v_prediction"},
        "HunyuanDiT HunyuanDiTControlNet HunyuanDiTPAG",
    ),
    "Lumina": Family({"vae": autoencoder, "transformer": lumina}, MASKED, SHIFTED, "Lumina"),
    "Lumina 2": Family({"vae": autoencoder, "transformer": lumina_2}, MASKED, SHIFTED, "Lumina2"),
    "AuraFlow": Family({"vae": autoencoder, "transformer": aura_flow}, MASKED, SHIFTED, "AuraFlow"),
    "PRX": Family({"vae": autoencoder, "transformer": prx}, MASKED, SHIFTED, "PRX"),
    "PRX of pixels": Family({"transformer": lambda: prx(3)}, MASKED, SHIFTED, "PRXPixel"),
    "Z-Image": Family(
        {"vae": lambda: autoencoder(16), "transformer": z_image},
        {
            **COMMON,
            "prompt_embeds": lambda: [normals(5, 8)],
            "negative_prompt_embeds": lambda: [normals(5, 8) / 2],
        },
        SHIFTED,
        "ZImage ZImageImg2Img ZImageInpaint",
    ),
    "CogView 3": Family(
        {"vae": autoencoder, "transformer": lambda: cogview("CogView3PlusTransformer2DModel")},
        PROMPTED,
        NO_SIGNAL,
        "CogView3Plus",
    ),
    "CogView 4": Family(
        {"vae": autoencoder, "transformer": cogview_4}, PROMPTED, DYNAMIC, "CogView4"
    ),
    "CogView 4 with a control": Family(
        {"vae": autoencoder, "transformer": lambda: cogview_4(8)},
        PROMPTED,
        DYNAMIC,
        "CogView4Control",
    ),
    "Sana": Family(
        {
            "vae": deep_autoencoder,
            "transformer": sana,
            "controlnet": lambda: sana("SanaControlNetModel"),
        },
        {**MASKED, **of_size(32)},
        SHIFTED,
        "Sana SanaControlNet SanaPAG",
    ),
    "Sana that needs few steps": Family(
        {"vae": deep_autoencoder, "transformer": lambda: sana(guidance_embeds=True)},
        {**MASKED, **of_size(32)},
        SHIFTED,
        "",
    ),
    "Sana of videos": Family(
        {"vae": video_autoencoder, "transformer": sana_video},
        {**MASKED_VIDEO, **of_size(32)},
        SHIFTED,
        "SanaImageToVideo SanaVideo",
    ),
    "Qwen-Image": Family(
        QWENS,
        MASKED,
        DYNAMIC,
        "QwenImage QwenImageControlNet QwenImageImg2Img QwenImageInpaint",
    ),
    "Qwen-Image with a masked control": Family(
        {
            **QWENS,
            "controlnet": lambda: network(
                "QwenImageControlNetModel", **QWEN, extra_condition_channels=4
            ),
        },
        MASKED,
        DYNAMIC,
        "QwenImageControlNetInpaint",
    ),
    "Kandinsky 2.2": Family(KANDINSKY, EMBEDDED_IMAGE, LEARNED, "KandinskyV22 KandinskyV22Img2Img"),
    "Kandinsky 2.2 that fills": Family(
        {**KANDINSKY, "unet": lambda: kandinsky_decoder(9)},
        EMBEDDED_IMAGE,
        LEARNED,
        "KandinskyV22Inpaint",
    ),
    "Kandinsky 2.2 with a control": Family(
        {**KANDINSKY, "unet": lambda: kandinsky_decoder(8, addition_embed_type="image_hint")},
        EMBEDDED_IMAGE,
        LEARNED,
        "KandinskyV22Controlnet KandinskyV22ControlnetImg2Img",
    ),
    "Kandinsky 3": Family(
        {"unet": kandinsky_3, "movq": spatially_quantised},
        {**MASKED, **of_size(64)},
        SCHEDULE,
        "Kandinsky3 Kandinsky3Img2Img",
    ),
    "Kandinsky 5": Family(
        {"vae": hunyuan_autoencoder, "transformer": kandinsky_5},
        {
            **COMMON,
            "num_frames": lambda: 5,
            "prompt_embeds_qwen": lambda: normals(1, 5, 8),
            "prompt_embeds_clip": lambda: normals(1, 8),
            "negative_prompt_embeds_qwen": lambda: normals(1, 5, 8) / 2,
            "negative_prompt_embeds_clip": lambda: normals(1, 8) / 2,
            "prompt_cu_seqlens": lambda: torch.tensor([0, 5]),
            "negative_prompt_cu_seqlens": lambda: torch.tensor([0, 5]),
        },
        SHIFTED,
        "Kandinsky5T2V",
    ),
    "Wan": Family(VIDEOS, MASKED_VIDEO, SHIFTED, "Wan WanVideoToVideo"),
    "Wan from a picture": Family(
        {**VIDEOS, "transformer": lambda: wan(channels=12)},
        MASKED_VIDEO,
        SHIFTED,
        "WanImageToVideo",
    ),
    "Wan that edits": Family(
        {**VIDEOS, "transformer": lambda: wan(channels=8)}, MASKED_VIDEO, SHIFTED, "LucyEdit"
    ),
    "Wan with a control": Family(
        {
            **VIDEOS,
            "transformer": lambda: wan(
                "WanVACETransformer3DModel", vace_layers=(0,), vace_in_channels=2 * 4 + 64
            ),
        },
        {**MASKED_VIDEO, "video": lambda: None},
        SHIFTED,
        "WanVACE",
    ),
    "SkyReels": Family(
        {**VIDEOS, "transformer": lambda: wan("SkyReelsV2Transformer3DModel")},
        MASKED_VIDEO,
        SHIFTED,
        "SkyReelsV2",
    ),
    "SkyReels, each frame at its own time": Family(
        {**VIDEOS, "transformer": lambda: wan("SkyReelsV2Transformer3DModel")},
        {**MASKED_VIDEO, "prompt": lambda: None},
        SHIFTED,
        """
        SkyReelsV2DiffusionForcing SkyReelsV2DiffusionForcingImageToVideo
        SkyReelsV2DiffusionForcingVideoToVideo""",
    ),
    "CogVideoX": Family(
        {"vae": cogvideo_autoencoder, "transformer": cogvideo},
        MASKED_VIDEO,
        NO_SIGNAL,
        "CogVideoX CogVideoXVideoToVideo",
    ),
    "CogVideoX from pictures": Family(
        {"vae": cogvideo_autoencoder, "transformer": lambda: cogvideo(8)},
        MASKED_VIDEO,
        NO_SIGNAL,
        "CogVideoXFunControl CogVideoXImageToVideo",
    ),
    "HunyuanVideo": Family(HUNYUAN_VIDEOS, {**MASKED_VIDEO, **POOLED}, SHIFTED, "HunyuanVideo"),
    "HunyuanVideo from a picture": Family(
        {
            **HUNYUAN_VIDEOS,
            "transformer": lambda: hunyuan_video(
                9, guidance_embeds=False, image_condition_type="latent_concat"
            ),
        },
        {**MASKED_VIDEO, **POOLED},
        SHIFTED,
        "HunyuanVideoImageToVideo",
    ),
    "SkyReels from a picture": Family(
        {**HUNYUAN_VIDEOS, "transformer": lambda: hunyuan_video(8, guidance_embeds=False)},
        {**MASKED_VIDEO, **POOLED},
        SHIFTED,
        "HunyuanSkyreelsImageToVideo",
    ),
    "LTX": Family(
        {"vae": ltx_autoencoder, "transformer": ltx},
        {**MASKED_VIDEO, **of_size(32)},
        DYNAMIC,
        "LTX LTXImageToVideo",
    ),
    "LTX with conditions": Family(
        {"vae": ltx_autoencoder, "transformer": ltx},
        {**MASKED_VIDEO, **of_size(32)},
        SHIFTED,
        "",
    ),
    "Mochi": Family({"vae": mochi_autoencoder, "transformer": mochi}, MASKED_VIDEO, FLOW, "Mochi"),
    "Allegro": Family(
        {"vae": allegro_autoencoder, "transformer": allegro},
        {**MASKED_VIDEO, "num_frames": lambda: 8, "output_type": lambda: "latent"},
        SCHEDULE,
        "Allegro",
    ),
    "Latte": Family({"vae": autoencoder, "transformer": latte}, MASKED, LEARNED, "Latte"),
    "EasyAnimate": Family(
        {"vae": magvit, "transformer": easy_animate}, MASKED_VIDEO, SHIFTED, "EasyAnimate"
    ),
    "ModelScope": Family(
        {**SD, "unet": unet_of_videos}, PROMPTED, SCHEDULE, "TextToVideoSD VideoToVideoSD"
    ),
    "DeepFloyd IF": Family(
        {**SD, "unet": lambda: unet(in_channels=3, out_channels=6)},
        {**COMMON, **EMBEDDED},
        PIXELS,
        "IF IFImg2Img IFInpainting",
    ),
    "DeepFloyd IF that enlarges": Family(
        {**SD, "unet": lambda: unet(in_channels=6, out_channels=6, num_class_embeds=1000)},
        {**COMMON, **EMBEDDED, "original_image": picture},
        PIXELS,
        "IFImg2ImgSuperResolution IFInpaintingSuperResolution IFSuperResolution",
    ),
    "pixels": Family({"unet": unconditional}, COMMON, {**SCHEDULE, "clip_sample": True}, "DDPM"),
    "latents": Family({"vqvae": quantised, "unet": unconditional}, COMMON, SCHEDULE, "LDM"),
    "latents that enlarge": Family(
        {"vqvae": quantised, "unet": lambda: unconditional(6)},
        {**COMMON, "image": lambda: picture().resize((32, 32))},
        SCHEDULE,
        "LDMSuperResolution",
    ),
}


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
