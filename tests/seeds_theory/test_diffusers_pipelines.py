"""The scheduler in pipelines of diffusers: tiny networks with random weights, nothing is downloaded.

Where a pipeline's guidance is off, its result is compared with `follow` on the same network.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

from pipeline_networks import SIZE, TIMES, autoencoder, flux_transformer, transformer_3, unet  # noqa: E402
from text_pipelines import text_encoder, tokenizer  # noqa: E402

from seeds_theory import (  # noqa: E402
    DiscreteSchedule,
    NetworkDenoiser,
    RectifiedFlow,
    SeededNoise,
    follow,
    make_plan,
)
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.diffusers.training import alphas_cumprod, betas  # noqa: E402
from seeds_theory.schedule import preserving_alpha  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the two libraries' own
    pytest.mark.filterwarnings("ignore::FutureWarning:diffusers.*"),
    pytest.mark.filterwarnings("ignore:skip_prk_steps=True of a scheduler"),  # as it ships
]

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
TABLE = DiscreteSchedule(
    alphas_cumprod(betas(1000, 0.00085, 0.012, "scaled_linear"), zero_snr=False).tolist()
)
LATENTS = (4, 8, 8)


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------------------------- components


def seeded(build: Any) -> Any:
    """Weights that do not depend on the order of the tests."""

    @functools.cache
    def built(*args: Any, **kwargs: Any) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return build(*args, **kwargs).eval()

    return built


@seeded
def diffusion_transformer() -> Any:
    return diffusers.DiTTransformer2DModel(
        sample_size=4,
        num_layers=1,
        patch_size=2,
        attention_head_dim=4,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,  # with a learned variance, as the published ones
        num_embeds_ada_norm=1000,
    )


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stable_diffusion(kind: str = "StableDiffusionPipeline", **options: Any) -> Any:
    """The pipeline as it ships, then the line of the README."""
    theirs = diffusers.PNDMScheduler(**STABLE_DIFFUSION, skip_prk_steps=True, steps_offset=1)
    parts = dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    pipe = getattr(diffusers, kind)(
        vae=autoencoder(),
        unet=unet(),
        scheduler=theirs,
        requires_safety_checker=False,
        **parts,
    )
    pipe.scheduler = SEEDSScheduler.from_config(pipe.scheduler.config, **options)
    return quiet(pipe)


def stable_diffusion_3(kind: str = "StableDiffusion3Pipeline", **options: Any) -> Any:
    numbers = ("", "_2", "_3")
    parts = dict.fromkeys(f"{part}{n}" for part in ("text_encoder", "tokenizer") for n in numbers)
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipe = getattr(diffusers, kind)(
        transformer=transformer_3(), vae=autoencoder(), scheduler=theirs, **parts
    )
    pipe.scheduler = SEEDSScheduler.from_config(pipe.scheduler.config, **options)
    return quiet(pipe)


PROMPT = normals(1, 5, 8, seed=10)
PROMPT_3, POOLED_3 = normals(1, 5, 16, seed=11), normals(1, 12, seed=12)


def flux() -> Any:
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    parts = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    pipe = diffusers.FluxPipeline(
        transformer=flux_transformer(), vae=autoencoder(), scheduler=theirs, **parts
    )
    pipe.scheduler = SEEDSScheduler.from_config(pipe.scheduler.config)
    return quiet(pipe)


def latents_of(pipe: Any, count: int = 1, **options: Any) -> Tensor:
    """The pipeline's result before it is decoded, without guidance."""
    if hasattr(pipe, "unet"):
        options["prompt_embeds"] = PROMPT.expand(count, -1, -1)
    else:
        options["prompt_embeds"] = PROMPT_3.expand(count, -1, -1)
        options["pooled_prompt_embeds"] = POOLED_3.expand(count, -1)
    with torch.no_grad():
        return pipe(output_type="latent", guidance_scale=1.0, **options).images


def denoiser(pipe: Any) -> NetworkDenoiser:
    """The pipeline's network as a denoiser of this library."""
    if hasattr(pipe, "unet"):
        return NetworkDenoiser(
            lambda x, t: pipe.unet(x, t, PROMPT.expand(len(x), -1, -1)).sample,
            TABLE,
            predicts="noise",
            round_time=False,
        )
    return NetworkDenoiser(
        lambda x, t: (
            pipe.transformer(
                x, PROMPT_3.expand(len(x), -1, -1), POOLED_3.expand(len(x), -1), 1000 * t
            ).sample
        ),
        RectifiedFlow(),
        predicts="flow",
    )


def starts(scheduler: SEEDSScheduler) -> list[float]:
    return [*scheduler.levels[:-1][:: scheduler.order], scheduler.levels[-1]]


# --------------------------------------------------------------------------------- the core's numbers


@pytest.mark.parametrize(("order", "eta"), [(1, 1.0), (2, 1.0), (3, 0.5), (3, 0.0)])
def test_stable_diffusion_runs_the_core_on_its_unet(order: int, eta: float) -> None:
    pipe = stable_diffusion(solver_order=order, eta=eta)
    pipe.scheduler.noise = SeededNoise([5, 6])
    start = normals(2, *LATENTS)
    found = latents_of(pipe, 2, num_inference_steps=3, latents=start)
    plan = make_plan(f"seeds-{order}", starts(pipe.scheduler), eta=eta)
    x = start / preserving_alpha(plan.sigmas[0])
    expected = follow(denoiser(pipe), x, plan, SeededNoise([5, 6]))
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("order", "eta"), [(1, 1.0), (2, 0.0), (3, 1.0)])
def test_stable_diffusion_3_runs_the_core_on_its_transformer(order: int, eta: float) -> None:
    pipe = stable_diffusion_3(solver_order=order, eta=eta)
    pipe.scheduler.noise = SeededNoise([5, 6])
    start = normals(2, *LATENTS)
    found = latents_of(pipe, 2, num_inference_steps=3, latents=start)
    first = make_plan("seeds-1", pipe.scheduler.levels[: order + 1], eta=eta)
    rest = make_plan(f"seeds-{order}", starts(pipe.scheduler)[1:], eta=eta)
    source = SeededNoise([5, 6])
    expected = follow(denoiser(pipe), start, first, source)
    expected = follow(denoiser(pipe), expected, rest, source)
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-4)


def image_to_image(flow: bool, **options: Any) -> Any:
    if flow:
        return stable_diffusion_3("StableDiffusion3Img2ImgPipeline", **options)
    return stable_diffusion("StableDiffusionImg2ImgPipeline", **options)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("flow", [False, True], ids=["stable diffusion", "stable diffusion 3"])
def test_image_to_image_runs_the_core_from_the_middle(flow: bool, order: int) -> None:
    pipe = image_to_image(flow, solver_order=order)
    pipe.scheduler.noise = SeededNoise([5])
    clean = normals(1, *LATENTS, seed=3)
    found = latents_of(
        pipe,
        image=clean,
        strength=0.5,
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(9),
    )
    plan = make_plan(f"seeds-{order}", starts(pipe.scheduler)[2:])
    noise = normals(1, *LATENTS, seed=9)
    x = clean + plan.sigmas[0] * noise
    expected = follow(denoiser(pipe), x, plan, SeededNoise([5]))
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-4)


def test_inpainting_keeps_what_is_not_masked_and_paints_the_rest() -> None:
    pipe = stable_diffusion("StableDiffusionInpaintPipeline")
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., SIZE // 2 :] = 1
    seen: list[Tensor] = []

    def watch(pipe: Any, index: int, t: Tensor, values: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append(values["latents"].clone())
        return values

    options = {
        "image": normals(1, 3, SIZE, SIZE).clamp(-1, 1) / 2 + 0.5,
        "mask_image": mask,
        "strength": 0.75,
        "num_inference_steps": 4,
        "callback_on_step_end": watch,
        "height": SIZE,
        "width": SIZE,
    }
    runs = [latents_of(pipe, **options, generator=torch.Generator().manual_seed(0)) for _ in "ab"]
    assert torch.equal(*runs) and runs[0].isfinite().all()
    calls = len(pipe.scheduler.timesteps) - pipe.scheduler.order
    assert len(seen) == 2 * calls
    half = LATENTS[-1] // 2
    kept, painted = runs[0][..., :half], runs[0][..., half:]
    # The kept half at each call is the image at the level of the next one, on one noise.
    levels = pipe.scheduler.levels[pipe.scheduler.order + 1 : -1]
    noises = [
        (latents[..., :half] - preserving_alpha(level) * kept) / (preserving_alpha(level) * level)
        for latents, level in zip(seen, levels, strict=False)
    ]
    assert len(noises) == calls - 1
    for one, other in itertools.pairwise(noises):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    assert float(painted.std()) > 0.1


def test_flux_gives_the_scheduler_its_shift() -> None:
    pipe = flux()
    told: list[float] = []
    pipe.transformer.register_forward_pre_hook(
        lambda module, args, given: told.append(float(given["timestep"][0])), with_kwargs=True
    )
    with torch.no_grad():
        pipe(
            prompt_embeds=PROMPT_3,
            pooled_prompt_embeds=POOLED_3,
            num_inference_steps=3,
            height=SIZE,
            width=SIZE,
            output_type="latent",
        )
    mu = 0.5 + (1.15 - 0.5) / (4096 - 256) * (16 - 256)  # for 16 tokens, as Flux interpolates
    even = torch.tensor([1, 2 / 3, 1 / 3])
    shifted = math.exp(mu) * even / (1 + (math.exp(mu) - 1) * even)
    torch.testing.assert_close(torch.tensor(told[::2]), shifted, rtol=1e-5, atol=0)
    assert told == pytest.approx((pipe.scheduler.timesteps / 1000).tolist(), rel=1e-5)


# ------------------------------------------------------------------------------------- in their hands


def test_a_list_of_generators_gives_the_same_image_in_any_batch() -> None:
    pipe = stable_diffusion()

    def images(*seeds: int) -> Tensor:
        generator = [torch.Generator().manual_seed(seed) for seed in seeds]
        return latents_of(pipe, len(seeds), num_inference_steps=3, generator=generator)

    whole = images(1, 2, 3)
    torch.testing.assert_close(images(2), whole[1:2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(images(3, 1), whole[[2, 0]], rtol=1e-4, atol=1e-4)


def test_seeds_make_a_flow_pipeline_reproducible_which_passes_no_generator() -> None:
    pipe = stable_diffusion_3()
    pipe.scheduler.noise = SeededNoise([1, 2, 3])
    start = normals(3, *LATENTS)
    whole = latents_of(pipe, 3, num_inference_steps=3, latents=start)
    assert torch.equal(latents_of(pipe, 3, num_inference_steps=3, latents=start), whole)
    pipe.scheduler.noise = SeededNoise([2])
    alone = latents_of(pipe, num_inference_steps=3, latents=start[1:2])
    torch.testing.assert_close(alone, whole[1:2], rtol=1e-4, atol=1e-4)


@pytest.fixture
def stable_diffusion_xl(tmp_path: Path) -> Any:
    """The pipeline with both text encoders, then the line of the README."""
    words = tokenizer(tmp_path)
    network = unet(cross_attention_dim=16, **TIMES)
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=autoencoder(),
        unet=network,
        text_encoder=text_encoder("CLIPTextModel"),
        text_encoder_2=text_encoder("CLIPTextModelWithProjection"),
        tokenizer=words,
        tokenizer_2=words,
        scheduler=diffusers.EulerDiscreteScheduler(**STABLE_DIFFUSION, timestep_spacing="leading"),
        add_watermarker=False,
    )
    pipe.scheduler = SEEDSScheduler.from_config(pipe.scheduler.config)
    assert pipe.scheduler.config.timestep_spacing == "leading"
    return quiet(pipe)


def test_stable_diffusion_xl_runs_from_its_prompts_with_a_callback_at_every_call(
    stable_diffusion_xl: Any,
) -> None:
    seen: list[tuple[int, float]] = []

    def watch(pipe: Any, index: int, t: Tensor, values: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append((index, float(t)))
        return values

    image = stable_diffusion_xl(
        "a b",
        negative_prompt="d",
        num_inference_steps=3,
        height=SIZE,
        width=SIZE,
        callback_on_step_end=watch,
        generator=torch.Generator().manual_seed(0),
    ).images[0]
    assert image.size == (SIZE, SIZE)
    timesteps = stable_diffusion_xl.scheduler.timesteps
    assert seen == list(enumerate(timesteps.tolist())) and len(seen) == 5


@pytest.mark.parametrize("shared", [True, False], ids=["one scheduler", "two schedulers"])
@pytest.mark.parametrize("end", [0.3, 0.4, 0.5, 0.6])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_refiner_goes_on_where_the_base_of_stable_diffusion_xl_stopped(
    stable_diffusion_xl: Any, order: int, end: float, shared: bool
) -> None:
    base, settings = stable_diffusion_xl, {**STABLE_DIFFUSION, "solver_order": order, "eta": 0.0}
    base.scheduler = SEEDSScheduler(**settings)
    refiner = diffusers.StableDiffusionXLImg2ImgPipeline(**base.components, add_watermarker=False)
    if not shared:
        refiner.scheduler = SEEDSScheduler(**settings)
    size = {"height": SIZE, "width": SIZE}
    options = {"prompt": "a b", "num_inference_steps": 4, "output_type": "latent"}
    start = normals(1, *LATENTS)
    at_once = base(**options, **size, latents=start).images
    first = base(**options, **size, latents=start, denoising_end=end).images
    whole_steps = base.scheduler.step_index % order == 0
    asked = {**options, "image": first, "denoising_start": end}
    if order == 2 and not shared:
        with pytest.warns(UserWarning, match=r"refiner\.scheduler = base\.scheduler"):
            found = quiet(refiner)(**asked).images
    else:
        found = quiet(refiner)(**asked).images
    assert refiner.scheduler.step_index == len(refiner.scheduler.timesteps)
    if whole_steps:
        torch.testing.assert_close(found, at_once, rtol=1e-4, atol=1e-4)
        return
    # The step that was cut has a lower order; what begins a call too early is 30 to 52 % off.
    off = float((found - at_once).norm() / at_once.norm())
    assert off > 0 and (off < 0.01) == (shared or order != 2)


def test_a_pipeline_is_saved_and_loaded_with_the_scheduler(tmp_path: Path) -> None:
    pipe = diffusers.DiTPipeline(
        diffusion_transformer(), autoencoder(), diffusers.DDIMScheduler(clip_sample=False)
    )
    pipe.scheduler = SEEDSScheduler.from_config(pipe.scheduler.config, method="seeds-3b", eta=0.5)
    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["scheduler"] == ["seeds_theory.diffusers", "SEEDSScheduler"]  # of old files too
    loaded = diffusers.DiTPipeline.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert isinstance(loaded.scheduler, SEEDSScheduler)
    assert (loaded.scheduler.config.method, loaded.scheduler.config.eta) == ("seeds-3b", 0.5)
    images = []
    for each in (pipe, loaded):
        with torch.random.fork_rng():
            torch.manual_seed(0)  # this pipeline passes its scheduler no generator
            images.append(quiet(each)([1, 2], num_inference_steps=2, output_type="np").images)
    assert images[0].shape == (2, 8, 8, 3) and (images[0] == images[1]).all()


def test_step_has_no_argument_that_pipelines_would_fill_with_something_else() -> None:
    parameters = inspect.signature(SEEDSScheduler.step).parameters
    assert "generator" in parameters and "eta" not in parameters
