"""Tiny networks of diffusers with random weights, which do not depend on the order of the tests."""

from __future__ import annotations

import functools
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIZE = 16


def normals(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def picture(mode: str = "RGB") -> Image.Image:
    values = np.linspace(0, 255, SIZE * SIZE).reshape(SIZE, SIZE).astype(np.uint8)
    return Image.fromarray(values).convert(mode)


def built(kind: str, **options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(diffusers, kind)(**options).eval()


network = functools.cache(built)


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
    return network("UNet2DConditionModel", **{**UNET, **own, **options})


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


def flux_transformer(in_channels: int = 16) -> Any:
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


def unconditional(channels: int = 3) -> Any:
    return network(
        "UNet2DModel",
        in_channels=channels,
        sample_size=8,
        block_out_channels=(8, 8),
        norm_num_groups=2,
        layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
    )


def motion(**options: Any) -> Any:
    return network(
        "MotionAdapter",
        block_out_channels=(8, 16),
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=2,
        **options,
    )


def sparse_control() -> Any:
    return network(
        "SparseControlNetModel",
        **UNET,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        conditioning_embedding_out_channels=(8, 8),
        conditioning_channels=3,
        motion_num_attention_heads=2,
        use_simplified_condition_embedding=False,
    )


def control_union(**options: Any) -> Any:
    return network(
        "ControlNetUnionModel",
        **UNET,
        down_block_types=DOWN,
        conditioning_embedding_out_channels=(4, 8),
        num_trans_channel=8,
        num_proj_channel=8,
        num_trans_head=2,
        **options,
    )


def control_xs(**options: Any) -> Any:
    return network(
        "ControlNetXSAdapter",
        sample_size=8,
        conditioning_embedding_out_channels=(4, 8),
        num_attention_heads=2,
        block_out_channels=(4, 8),
        base_block_out_channels=UNET["block_out_channels"],
        cross_attention_dim=8,
        down_block_types=DOWN,
        max_norm_num_groups=2,
        use_linear_projection=False,
        **options,
    )


def adapter() -> Any:
    return network("T2IAdapter", channels=(8, 16), num_res_blocks=1, downscale_factor=2)


def wan(kind: str = "WanTransformer3DModel", channels: int = 4, **options: Any) -> Any:
    return network(
        kind,
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=channels,
        out_channels=4,
        text_dim=8,
        freq_dim=16,
        ffn_dim=8,
        num_layers=2,
        rope_max_seq_len=32,
        **options,
    )


@functools.cache
def video_autoencoder(kind: str = "AutoencoderKLWan") -> Any:
    return built(
        kind,
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=(0.1, -0.1, 0.2, 0.0),
        latents_std=(1.0, 1.1, 0.9, 1.0),
    )


def cosmos(channels: int = 5) -> Any:
    return network(
        "CosmosTransformer3DModel",
        in_channels=channels,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=1,
        mlp_ratio=1,
        text_embed_dim=8,
        adaln_lora_dim=4,
        max_size=(4, 8, 8),
    )


def sana(kind: str = "SanaTransformer2DModel", **options: Any) -> Any:
    return network(
        kind,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=8,
        **options,
    )


def deep_autoencoder() -> Any:
    return network(
        "AutoencoderDC",
        latent_channels=4,
        attention_head_dim=4,
        encoder_block_types=("ResBlock", "ResBlock"),
        decoder_block_types=("ResBlock", "ResBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
    )


def cogvideo(channels: int = 4) -> Any:
    return network(
        "CogVideoXTransformer3DModel",
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=channels,
        out_channels=4,
        time_embed_dim=4,
        text_embed_dim=8,
        num_layers=1,
        sample_width=2,
        sample_height=2,
        sample_frames=5,
        max_text_seq_length=5,
    )


def cogvideo_autoencoder() -> Any:
    return network(
        "AutoencoderKLCogVideoX",
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_height=SIZE,
        sample_width=SIZE,
    )


def cogview(kind: str, channels: int = 4, **options: Any) -> Any:
    return network(
        kind,
        in_channels=channels,
        out_channels=4,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        text_embed_dim=8,
        time_embed_dim=8,
        condition_dim=2,
        pos_embed_max_size=8,
        sample_size=8,
        **options,
    )


HUNYUAN = {
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "in_channels": 4,
    "patch_size": 2,
    "sample_size": 8,
    "mlp_ratio": 1.0,
    "cross_attention_dim": 8,
    "cross_attention_dim_t5": 8,
    "pooled_projection_dim": 4,
    "text_len": 5,
    "text_len_t5": 5,
}


def hunyuan_video(channels: int = 4, **options: Any) -> Any:
    return network(
        "HunyuanVideoTransformer3DModel",
        in_channels=channels,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=1,
        text_embed_dim=8,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 2, 4),
        **options,
    )


def hunyuan_autoencoder() -> Any:
    return network(
        "AutoencoderKLHunyuanVideo",
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=2,
    )


def lumina() -> Any:
    return network(
        "LuminaNextDiT2DModel",
        sample_size=8,
        in_channels=4,
        hidden_size=8,
        num_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=4,
        ffn_dim_multiplier=1.0,
        cross_attention_dim=8,
    )


def lumina_2() -> Any:
    return network(
        "Lumina2Transformer2DModel",
        sample_size=8,
        in_channels=4,
        hidden_size=16,
        num_layers=1,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=4,
        ffn_dim_multiplier=1.0,
        axes_dim_rope=(4, 2, 2),
        axes_lens=(16, 16, 16),
        cap_feat_dim=8,
    )


QWEN = {
    "in_channels": 16,
    "out_channels": 4,
    "num_layers": 1,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": 8,
    "axes_dims_rope": (2, 2, 4),
}


def qwen(**options: Any) -> Any:
    return network("QwenImageTransformer2DModel", **QWEN, **options)


def ltx() -> Any:
    return network(
        "LTXVideoTransformer3DModel",
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=1,
        caption_channels=8,
    )


def ltx_autoencoder() -> Any:
    return network(
        "AutoencoderKLLTXVideo",
        latent_channels=8,
        block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
    )


def mochi() -> Any:
    return network(
        "MochiTransformer3DModel",
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        pooled_projection_dim=8,
        text_embed_dim=8,
        time_embed_dim=4,
        max_sequence_length=5,
    )


def mochi_autoencoder() -> Any:
    return network(
        "AutoencoderKLMochi",
        encoder_block_out_channels=(32,) * 4,
        decoder_block_out_channels=(32,) * 4,
        layers_per_block=(1,) * 5,
        add_attention_block=(False,) * 5,
    )


def allegro() -> Any:
    return network(
        "AllegroTransformer3DModel",
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=1,
        cross_attention_dim=24,
        sample_height=2,
        sample_width=2,
        sample_frames=2,
        caption_channels=8,
    )


def allegro_autoencoder() -> Any:
    return network(
        "AutoencoderKLAllegro", block_out_channels=(8,) * 4, layers_per_block=1, norm_num_groups=2
    )


def aura_flow() -> Any:
    return network(
        "AuraFlowTransformer2DModel",
        sample_size=8,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=16,
        pos_embed_max_size=64,
    )


def latte() -> Any:
    return network(
        "LatteTransformer3DModel",
        num_attention_heads=2,
        attention_head_dim=4,
        in_channels=4,
        out_channels=8,
        sample_size=8,
        patch_size=2,
        caption_channels=8,
        cross_attention_dim=8,
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        attention_bias=True,
        activation_fn="gelu-approximate",
        video_length=2,
    )


def like_flux(kind: str, **options: Any) -> Any:
    return network(
        kind,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        axes_dims_rope=(2, 2, 4),
        **options,
    )


def z_image() -> Any:
    return network(
        "ZImageTransformer2DModel",
        in_channels=16,
        dim=16,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=8,
        axes_dims=(4, 2, 2),
        axes_lens=(64, 64, 64),
    )


def kandinsky_5(channels: int = 4, **options: Any) -> Any:
    return network(
        "Kandinsky5Transformer3DModel",
        in_visual_dim=channels,
        out_visual_dim=channels,
        in_text_dim=8,
        in_text_dim2=8,
        time_dim=8,
        model_dim=16,
        ff_dim=8,
        num_text_blocks=1,
        num_visual_blocks=1,
        axes_dims=(2, 2, 4),
        **options,
    )


def prx(channels: int = 4) -> Any:
    return network(
        "PRXTransformer2DModel",
        in_channels=channels,
        context_in_dim=8,
        hidden_size=16,
        mlp_ratio=1.0,
        num_heads=2,
        depth=1,
        axes_dim=(4, 4),
    )


def easy_animate(channels: int = 4) -> Any:
    return network(
        "EasyAnimateTransformer3DModel",
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=channels,
        out_channels=4,
        patch_size=2,
        sample_width=16,
        sample_height=16,
        num_layers=1,
        mmdit_layers=1,
        time_embed_dim=4,
        text_embed_dim=8,
    )


def magvit() -> Any:
    return network(
        "AutoencoderKLMagvit",
        latent_channels=4,
        block_out_channels=(8,) * 4,
        layers_per_block=1,
        norm_num_groups=2,
    )


def kandinsky_decoder(channels: int = 4, **options: Any) -> Any:
    return unet(
        in_channels=channels,
        out_channels=8,
        addition_embed_type=options.pop("addition_embed_type", "image"),
        encoder_hid_dim=8,
        encoder_hid_dim_type="image_proj",
        resnet_time_scale_shift="scale_shift",
        **options,
    )


def quantised(**options: Any) -> Any:
    own = {"block_out_channels": (8, 8), "norm_num_groups": 2, "latent_channels": 3}
    return network(
        "VQModel",
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        num_vq_embeddings=8,
        **{**own, **options},
    )


def spatially_quantised() -> Any:
    return quantised(
        block_out_channels=(32, 32), norm_type="spatial", latent_channels=4, vq_embed_dim=4
    )


def unet_of_videos() -> Any:
    return network(
        "UNet3DConditionModel",
        **{**UNET, "attention_head_dim": 4},
        sample_size=8,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )


def kandinsky_3() -> Any:
    return network(
        "Kandinsky3UNet",
        time_embedding_dim=8,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(8, 16),
        cross_attention_dim=8,
        encoder_hid_dim=8,
    )


def chroma() -> Any:
    return like_flux(
        "ChromaTransformer2DModel",
        joint_attention_dim=8,
        approximator_num_channels=8,
        approximator_hidden_dim=8,
        approximator_layers=1,
    )


def dit() -> Any:
    return network(
        "DiTTransformer2DModel",
        sample_size=8,
        num_layers=1,
        patch_size=2,
        attention_head_dim=4,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,  # with a learned variance, as the published ones
        num_embeds_ada_norm=1000,
    )


def cogview_4(channels: int = 4) -> Any:
    return cogview("CogView4Transformer2DModel", channels, rope_axes_dim=(2, 2))


def sana_video() -> Any:
    return network(
        "SanaVideoTransformer3DModel",
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=12,
        num_cross_attention_heads=2,
        cross_attention_head_dim=12,
        cross_attention_dim=24,
        caption_channels=8,
        sample_size=2,
    )
