"""Small networks of diffusers with random weights, saved as pipelines by diffusers itself."""

import json

import diffusers
import torch

UNET = {
    "sample_size": 8,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
}


def small_unet(**options):
    """A UNet2DModel of some 20 000 parameters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return diffusers.UNet2DModel(**UNET | options).eval().requires_grad_(False)


def saved(folder, unet=None, scheduler=None):
    """The folder of a pipeline of images without prompts; its parts."""
    unet = unet or small_unet()
    scheduler = scheduler or diffusers.DDPMScheduler()
    diffusers.DDPMPipeline(unet=unet, scheduler=scheduler).save_pretrained(folder)
    return folder, unet, scheduler


def saved_dit(folder):
    """The folder of a class-conditional pipeline of latents, and its parts: 5 classes, images of 16x16."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = diffusers.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            sample_size=8,
            num_embeds_ada_norm=5,
        )
        for parameter in transformer.parameters():  # some are 0 in a new one
            parameter.data += 0.05 * torch.randn(parameter.shape)
        vae = diffusers.AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            sample_size=16,
        )
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    pipe = diffusers.DiTPipeline(
        transformer=transformer.eval(), vae=vae.eval(), scheduler=scheduler
    )
    pipe.save_pretrained(folder)
    return folder, pipe


def rewritten(file, **changes):
    """A JSON file with other settings; `...` takes one away."""
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
