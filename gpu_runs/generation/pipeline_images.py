"""The images of a text-to-image pipeline of diffusers, one for each prompt and seed.

The image of a prompt and a seed starts from the latents of ``torch.Generator().manual_seed(seed)``, as
diffusers' users draw them on a CPU, and the noise of its steps is that of `SeededNoise` of the seed. So it is
what the pipeline gives for them alone, whatever else is in the batch; a seed has one noise for all prompts.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu_runs.checkpoints.diffusers_settings import defaults_of
from gpu_runs.checkpoints.folder_files import digest_of
from gpu_runs.checkpoints.pipeline_folder import open_pipeline_folder, quiet
from gpu_runs.errors import CheckpointError, printable
from gpu_runs.files.inputs import reason
from gpu_runs.files.prompts import read_prompts
from gpu_runs.files.strict_json import with_words
from gpu_runs.generation.sampler import too_large
from gpu_runs.machine.device import arithmetic
from gpu_runs.names import DTYPES
from seeds_theory.command import is_out_of_memory
from seeds_theory.diffusers import SEEDSScheduler
from seeds_theory.errors import DenoiserError, ParameterError, SeedsError, unknown
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise

_MOST_IMAGES = 10_000_000
_OURS = (
    *("prompt", "negative_prompt", "guidance_scale", "height", "width"),
    *("num_inference_steps", "generator", "output_type", "num_images_per_prompt", "eta"),
    *("self", "kwargs", "return_dict"),
)
"""Arguments of a pipeline's call that have options of their own, are the run's or have no effect."""
_GUIDED = "true_cfg_scale"
"""The guidance by a negative prompt, in pipelines whose guidance_scale is an input of the network."""


class PipelineError(SeedsError):
    """A pipeline that fails on what it is given; the message is one line."""


class PromptWarning(UserWarning):
    """Prompts that are longer than the pipeline reads."""


@dataclass(frozen=True)
class PipelineGeneration:
    """All that determines an image but the pipeline, the prompt and the seed.

    Parameters
    ----------
    method, steps, options : as of `gpu_runs.generation.sampler.Generation`; the noise levels are those of the
        scheduler in the folder, for so many steps.
    guidance : the pipeline's ``guidance_scale``; None for its default.
    negative_prompt : for all images.
    height, width : in pixels; None for what the network was trained on.
    dtype : of the networks, a name in `gpu_runs.names.DTYPES`.
    call : other arguments of the pipeline's call, by name: numbers, words, true or false.
    """

    method: str
    steps: int
    options: dict[str, Any] = field(default_factory=dict)
    guidance: float | None = None
    negative_prompt: str | None = None
    height: int | None = None
    width: int | None = None
    dtype: str = "float32"
    call: dict[str, Any] = field(default_factory=dict)


class PipelineImages:
    """The images of a pipeline for each prompt and seed, an `gpu_runs.generation.images_of_run.ImagesOfRun`.

    With P prompts, the image of prompt p (from 0) and seed s has the number s P + p.

    Parameters
    ----------
    folder : as ``save_pretrained`` writes it, see `gpu_runs.checkpoints.pipeline_folder`.
    prompts : a file, see `gpu_runs.files.prompts.read_prompts`.
    settings : of the images. device : where it computes.
    variant : of the files of weights, as "fp16".

    Raises
    ------
    SeedsError : whatever is wrong with the folder, the prompts or the settings.
    """

    libraries = ("diffusers", "transformers")

    def __init__(
        self,
        folder: str | Path,
        prompts: str | Path,
        settings: PipelineGeneration,
        device: torch.device,
        variant: str | None = None,
    ) -> None:
        if settings.dtype not in DTYPES:
            raise unknown("dtype", settings.dtype, DTYPES)
        self.settings, self.prompts = settings, read_prompts(prompts)
        found = open_pipeline_folder(folder, variant)
        self.arguments = _arguments(found.kind, settings)
        hashes = found.hashes()
        self.pipe = found.load(getattr(torch, settings.dtype), device)
        self.pipe.scheduler = _scheduler(self.pipe.scheduler, settings)
        self.nfe = self._calls()
        self._require_inputs()
        self._warn_of_long_prompts()
        scheduler = json.loads(self.pipe.scheduler.to_json_string())
        self.identity: dict[str, Any] = {
            "pipeline": found.kind.__name__,
            "checkpoint": digest_of(hashes),
            "prompts": hashlib.sha256("\n".join(self.prompts).encode()).hexdigest(),
            **asdict(settings),
            "scheduler": with_words({k: v for k, v in scheduler.items() if not k.startswith("_")}),
        }
        self.about: dict[str, Any] = {
            "network": str(folder),
            "files": hashes,
            "call": self._known_arguments(),
            "nfe": self.nfe,
            "eta": Solver(settings.method, dict(settings.options)).eta,
            "prompts": self.prompts,
        }

    def numbers(self, seeds: Sequence[int]) -> list[int]:
        """Of each prompt with each seed."""
        count = len(self.prompts)
        if len(seeds) * count > _MOST_IMAGES:
            raise ParameterError(
                f"a run has at most {_MOST_IMAGES} images; got {count} prompts with {len(seeds)} seeds: use "
                "several"
            )
        if (seeds[-1] + 1) * count > 2**64:
            raise ParameterError(
                f"with {count} prompts seeds lie below {2**64 // count}; got {seeds[-1]}"
            )
        return [seed * count + prompt for seed in seeds for prompt in range(count)]

    def file_name(self, number: int) -> str:
        """Folders of 1000 prompts; prompt 1234 with seed 7 is ``001000/001234-000007``."""
        seed, prompt = divmod(number, len(self.prompts))
        return f"{prompt - prompt % 1000:06d}/{prompt:06d}-{seed:06d}"

    def columns(self, numbers: Sequence[int]) -> dict[str, list[Any]]:
        """Seeds, the numbers of prompts, and their texts."""
        pairs = [divmod(number, len(self.prompts)) for number in numbers]
        return {
            "seeds": [seed for seed, _ in pairs],
            "prompts": [prompt for _, prompt in pairs],
            "texts": [self.prompts[prompt] for _, prompt in pairs],
        }

    def __call__(self, numbers: Sequence[int], size: int) -> Tensor:
        """The images of these numbers as one batch: uint8 (n, 3, height, width) on the CPU.

        They are rounded as diffusers rounds pictures.

        Raises
        ------
        DenoiserError : NaN or infinite values; names the prompts and seeds.
        OutOfMemory : the batch is too large. PipelineError : the pipeline fails.
        """
        columns = self.columns(numbers)
        pairs = list(zip(columns["prompts"], columns["seeds"], strict=True))
        self.pipe.scheduler.noise = SeededNoise(columns["seeds"])
        arguments = dict(self.arguments)
        if self.settings.negative_prompt is not None:
            arguments["negative_prompt"] = [self.settings.negative_prompt] * len(pairs)
        try:
            with self._blamed(len(pairs)), arithmetic(), quiet():
                images = self.pipe(
                    prompt=columns["texts"],
                    num_inference_steps=self.settings.steps,
                    generator=[torch.Generator().manual_seed(seed) for _, seed in pairs],
                    output_type="pt",
                    **arguments,
                ).images
                pixels = images.float().cpu()
        except DenoiserError as error:
            named = ", ".join(f"prompt {prompt} with seed {seed}" for prompt, seed in pairs[:5])
            raise DenoiserError(f"in the batch of {named}: {error}") from None
        return self._pictures(pixels, pairs)

    def _pictures(self, pixels: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
        """Pixels in [0, 1], (n, 3, height, width), as uint8, checked."""
        if pixels.ndim != 4 or len(pixels) != len(pairs) or pixels.shape[1] not in (1, 3):
            raise PipelineError(
                f"{type(self.pipe).__name__} makes values of shape {tuple(pixels.shape)} for {len(pairs)} "
                "images"
            )
        for name, found in zip(("height", "width"), pixels.shape[2:], strict=True):
            asked = self.arguments.get(name)
            if asked not in (None, found):
                raise PipelineError(
                    f"{type(self.pipe).__name__} makes images of {name} {found} where {asked} is asked for: "
                    f"choose --{name} {found}"
                )
        broken = (~pixels.isfinite()).flatten(1).any(1).tolist()
        if any(broken):
            prompt, seed = pairs[broken.index(True)]
            raise DenoiserError(
                f"the image of prompt {prompt} with seed {seed} has values that are not finite: another "
                "--dtype may do, as float16 has a short range"
            )
        return (pixels * 255).round().to(torch.uint8)

    def _calls(self) -> int:
        """Calls of the network for an image; a guided one works on two at once."""
        scheduler = self.pipe.scheduler
        with self._blamed(1):
            # A shift that the pipeline computes of the size changes the levels, not their number.
            shift = scheduler.config.base_shift if scheduler.config.use_dynamic_shifting else None
            scheduler.set_timesteps(self.settings.steps, mu=shift)
        return len(scheduler.timesteps)

    def _known_arguments(self) -> dict[str, Any]:
        """The arguments of the call, with the pipeline's guidance and size where none are chosen."""
        own = defaults_of(type(self.pipe).__call__)
        guidance = {name: own[name] for name in ("guidance_scale", _GUIDED) if name in own}
        return {**guidance, **_size(self.pipe), **self.arguments}

    def _require_inputs(self) -> None:
        """The pipeline's own check of its arguments, before anything is written."""
        check = getattr(self.pipe, "check_inputs", None)
        if check is None:
            return
        asked = inspect.signature(check).parameters
        given = {
            **dict.fromkeys(asked),  # old ones, as callback_steps, are in no call
            **defaults_of(check),
            **defaults_of(type(self.pipe).__call__),
            **_size(self.pipe),
            **self.arguments,
            "prompt": list(self.prompts[:1]),
        }
        if self.settings.negative_prompt is not None:
            given["negative_prompt"] = [self.settings.negative_prompt]
        if None in [given[name] for name in ("height", "width") if name in asked]:
            return  # it says no size that it would choose
        with self._blamed(1), quiet():
            check(**{name: given[name] for name in asked})

    def _warn_of_long_prompts(self) -> None:
        """What a tokenizer leaves of a prompt that is too long for it, said once."""
        given = {**defaults_of(type(self.pipe).__call__), **self.settings.call}
        longest = given.get("max_sequence_length")
        for name, part in self.pipe.components.items():
            kept = getattr(part, "model_max_length", None) if name.startswith("tokenizer") else None
            if kept is None:
                continue
            if longest and "CLIP" not in type(part).__name__:  # whose length is that of its network
                kept = min(kept, longest)
            # A token has one byte or more, and a prompt some that mark its ends.
            near = [p for p, text in enumerate(self.prompts) if len(text.encode()) + 4 > kept]
            with quiet():
                long = [
                    (p, length)
                    for p in near
                    if (length := len(part(self.prompts[p]).input_ids)) > kept
                ]
            if long:
                others = f", and {len(long) - 1} others are too long" if len(long) > 1 else ""
                warnings.warn(
                    f"prompt {long[0][0]} has {long[0][1]} tokens{others}: {name} reads {kept} at most, what "
                    "follows has no effect on it",
                    PromptWarning,
                    stacklevel=3,
                )

    @contextmanager
    def _blamed(self, batch: int) -> Iterator[None]:
        """Whatever the pipeline raises, in one line."""
        try:
            yield
        except SeedsError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise too_large(batch, "--dtype bfloat16 may fit") from error
            raise PipelineError(
                f"{type(self.pipe).__name__} fails with {type(error).__name__}: {reason(error)}"
            ) from error


def _arguments(kind: type, settings: PipelineGeneration) -> dict[str, Any]:
    """The arguments of the pipeline's call that are the same for all images.

    Raises
    ------
    ParameterError : one that it does not have, or that has no effect; or no number or word.
    """
    call = inspect.signature(kind.__call__).parameters
    named = {
        "guidance_scale": ("--guidance", settings.guidance),
        "negative_prompt": ("--negative-prompt", settings.negative_prompt),
        "height": ("--height", settings.height),
        "width": ("--width", settings.width),
    }
    for name, (option, value) in named.items():
        if value is not None and name not in call:
            raise ParameterError(f"{kind.__name__} has no {name}: leave {option} out")
    guidance = settings.guidance
    if guidance is not None and not 0 <= guidance < math.inf:
        raise ParameterError(f"guidance is finite and 0 or more; got {guidance}")
    for name, value in settings.call.items():
        is_prompt = name.startswith(("prompt_", "negative_prompt_"))  # one for each image
        if name not in call or name in _OURS or is_prompt:
            raise ParameterError(
                f"{printable(name)} is no argument of {kind.__name__} that is set with --call"
            )
        if not isinstance(value, bool | int | float | str) or value in (math.inf, -math.inf):
            raise ParameterError(f"--call {name} is a number or a word; got {value!r}")
    if settings.negative_prompt is not None:
        if _GUIDED in call and not settings.call.get(_GUIDED, 1) > 1:
            raise ParameterError(
                f"the negative prompt has an effect on {kind.__name__} with --call {_GUIDED}=4, or another "
                "number above 1"
            )
        if _GUIDED not in call and guidance is not None and guidance <= 1:
            raise ParameterError(
                f"the negative prompt has no effect with guidance {guidance:g}: leave it out, or set "
                "--guidance above 1"
            )
    size = {"height": settings.height, "width": settings.width}
    for name, value in size.items():
        if value is not None and value < 1:
            raise ParameterError(f"{name} is 1 or more; got {value}")
    found = {"guidance_scale": guidance, **size, **settings.call}
    return {name: value for name, value in found.items() if value is not None}


def _size(pipe: Any) -> dict[str, int]:
    """The size that a pipeline chooses by itself, as far as it can be seen."""
    network = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    trained = getattr(getattr(network, "config", None), "sample_size", None)
    samples = getattr(pipe, "default_sample_size", trained)
    factor = getattr(pipe, "vae_scale_factor", None)
    if not (isinstance(samples, int) and isinstance(factor, int)):
        return {}
    return dict.fromkeys(("height", "width"), samples * factor)


def _scheduler(theirs: Any, settings: PipelineGeneration) -> SEEDSScheduler:
    """Our scheduler in place of the pipeline's, with its training schedule and grid.

    Raises
    ------
    ParameterError, UnknownNameError, TableauError : the method or its options, or a network of another kind.
    """
    options: Mapping[str, Any] = settings.options
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{name} is finite; got {value}")
    others = {k: v for k, v in options.items() if k not in ("eta", "prediction")}
    if not hasattr(theirs, "config"):
        raise CheckpointError(f"{type(theirs).__name__} is no scheduler of diffusers")
    found: SEEDSScheduler = SEEDSScheduler.from_config(
        theirs.config,
        method=settings.method,
        eta=options.get("eta"),
        algorithm=options.get("prediction", "data"),
        options=others or None,
    )
    return found
