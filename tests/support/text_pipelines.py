"""Tiny pipelines of diffusers that read prompts: tokenizers of letters, text encoders with random weights."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from pipeline_networks import SIZE, TIMES, autoencoder, network, unet

SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LONGEST = 16  # tokens, of a prompt and the two that mark its ends


@functools.cache
def text_encoder(kind: str) -> Any:
    options = transformers.CLIPTextConfig(
        hidden_size=8,
        intermediate_size=8,
        num_attention_heads=2,
        num_hidden_layers=2,
        projection_dim=8,
        vocab_size=64,
        max_position_embeddings=LONGEST,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)  # weights that do not depend on the order of the tests
        return getattr(transformers, kind)(options).eval()


def tokenizer(folder: Path) -> Any:
    """A token for each letter; its files are written to the folder."""
    letters = [chr(ord("a") + i) for i in range(26)]
    words = ["<|startoftext|>", "!", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=LONGEST
    )


def stable_diffusion(folder: Path) -> Any:
    return diffusers.StableDiffusionPipeline(
        vae=autoencoder(),
        unet=unet(),
        text_encoder=text_encoder("CLIPTextModel"),
        tokenizer=tokenizer(folder),
        scheduler=diffusers.PNDMScheduler(**SCHEDULE, skip_prk_steps=True, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl(folder: Path) -> Any:
    words = tokenizer(folder)
    return diffusers.StableDiffusionXLPipeline(
        vae=autoencoder(),
        unet=unet(cross_attention_dim=16, **TIMES),
        text_encoder=text_encoder("CLIPTextModel"),
        text_encoder_2=text_encoder("CLIPTextModelWithProjection"),
        tokenizer=words,
        tokenizer_2=words,
        scheduler=diffusers.EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="leading"),
        add_watermarker=False,
    )


def stable_diffusion_3(folder: Path) -> Any:
    """A flow, with the two CLIP encoders and none of T5."""
    words = tokenizer(folder)
    transformer = network(
        "SD3Transformer2DModel",
        sample_size=8,
        patch_size=1,
        attention_head_dim=4,
        num_attention_heads=2,
        caption_projection_dim=8,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        in_channels=4,
        out_channels=4,
        num_layers=1,
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer,
        vae=autoencoder(),
        text_encoder=text_encoder("CLIPTextModelWithProjection"),
        text_encoder_2=text_encoder("CLIPTextModelWithProjection"),
        text_encoder_3=None,
        tokenizer=words,
        tokenizer_2=words,
        tokenizer_3=None,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


BUILT = {"sd": stable_diffusion, "sdxl": stable_diffusion_xl, "flow": stable_diffusion_3}
"""Pipelines by a short name; each takes a folder for the files of its tokenizer."""

__all__ = ["BUILT", "LONGEST", "SIZE", "text_encoder", "tokenizer"]
