"""Pipelines of diffusers by families: tiny networks with random weights, every order, to the end."""

from __future__ import annotations

import importlib.util
import itertools

import numpy as np
import pytest
import torch

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from pipeline_families import FAMILIES, images, made  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the two libraries' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:diffusers.*"),
]

OTHERS = {
    "KarrasVePipeline": ("pixels", "'schedule'"),
    "LTXConditionPipeline": ("LTX with conditions", "'per_token_timesteps'"),
    "LatentConsistencyModelImg2ImgPipeline": ("Stable Diffusion", "'original_inference_steps'"),
    "LatentConsistencyModelPipeline": ("Stable Diffusion", "'original_inference_steps'"),
    "SanaSprintImg2ImgPipeline": ("Sana that needs few steps", "'max_timesteps'"),
    "SanaSprintPipeline": ("Sana that needs few steps", "'max_timesteps'"),
    "ScoreSdeVePipeline": ("pixels", "'set_sigmas'"),
    "StableDiffusionParadigmsPipeline": ("Stable Diffusion", "'_get_variance'"),
    "StableDiffusionSAGPipeline": (
        "Stable Diffusion",
        "does not support using a scheduler of type SEEDSScheduler",
    ),
}
"""Pipelines that ask for more than a scheduler's interface, and what they say."""

OWN = {"DDIMPipeline": "DDIMScheduler", "PNDMPipeline": "PNDMScheduler"}
"""Pipelines that make a scheduler of their own from the configuration of the one that they are given."""

COPIES = (
    "SkyReelsV2DiffusionForcingImageToVideoPipeline",
    "SkyReelsV2DiffusionForcingPipeline",
    "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
)
"""Pipelines that give each frame a copy of the scheduler."""

BROKEN = {
    "ChromaInpaintPipeline": ("Chroma", "'guidance_embeds'"),
    "EasyAnimateControlPipeline": ("EasyAnimate", "'text_encoder_index'"),
}
"""Pipelines that fail so with any scheduler."""

LIBRARIES = {
    "AudioDiffusionPipeline": ("librosa", "librosa"),
    "ConsisIDPipeline": ("cv2", "OpenCV"),
    "Cosmos2TextToImagePipeline": ("cosmos_guardrail", "cosmos_guardrail"),
    "Cosmos2VideoToWorldPipeline": ("cosmos_guardrail", "cosmos_guardrail"),
    "CosmosTextToWorldPipeline": ("cosmos_guardrail", "cosmos_guardrail"),
    "CosmosVideoToWorldPipeline": ("cosmos_guardrail", "cosmos_guardrail"),
    "KolorsImg2ImgPipeline": ("sentencepiece", "sentencepiece"),
    "KolorsPAGPipeline": ("sentencepiece", "sentencepiece"),
    "KolorsPipeline": ("sentencepiece", "sentencepiece"),
    "SpectrogramDiffusionPipeline": ("note_seq", "note-seq"),
}
"""Pipelines that are not made at all without a library, its module and its name, which this one lacks."""

TABLE = [
    (f"{kind}Pipeline", name) for name, family in FAMILIES.items() for kind in family.kinds.split()
]


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize(("name", "family"), TABLE)
def test_a_pipeline_runs_to_its_end_at_every_order(name: str, family: str) -> None:
    ends = []
    for order in (1, 2, 3):
        pipe = made(name, family, order)
        with torch.random.fork_rng():
            torch.manual_seed(0)  # pipelines of flows pass their scheduler no generator
            ends.append(images(pipe, family))
            scheduler = pipe.scheduler
            calls = len(scheduler.timesteps)
            assert calls == 2 * order + 1
            assert scheduler.step_index == (None if name in COPIES else calls)
            assert np.isfinite(ends[-1]).all() and ends[-1].std() > 0
            torch.manual_seed(0)
            np.testing.assert_array_equal(images(pipe, family), ends[-1])
    for one, other in itertools.pairwise(ends):
        assert not np.array_equal(one, other)


def test_a_pipeline_is_in_one_family() -> None:
    names = [name for name, _ in TABLE]
    assert len(set(names)) == len(names) >= 100
    assert not {*OTHERS, *OWN, *BROKEN, *LIBRARIES} & set(names) and set(COPIES) <= set(names)


@pytest.mark.parametrize("name", OTHERS)
def test_a_pipeline_that_asks_for_more_says_so(name: str) -> None:
    family, says = OTHERS[name]
    pipe = made(name, family, 1)
    with pytest.raises((AttributeError, TypeError, ValueError), match=says):
        images(pipe, family)


@pytest.mark.parametrize("name", OWN)
def test_a_pipeline_makes_a_scheduler_of_its_own(name: str) -> None:
    assert type(made(name, "pixels", 1).scheduler).__name__ == OWN[name]


@pytest.mark.parametrize("name", BROKEN)
def test_a_pipeline_fails_with_any_scheduler(name: str) -> None:
    family, says = BROKEN[name]
    pipe = made(name, family, 1)
    for scheduler in (pipe.scheduler, diffusers.FlowMatchEulerDiscreteScheduler()):
        pipe.scheduler = scheduler
        with pytest.raises((AttributeError, TypeError), match=says):
            images(pipe, family)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_pipeline_is_not_made_without_its_library(name: str) -> None:
    module, library = LIBRARIES[name]
    if importlib.util.find_spec(module):
        pytest.skip(f"{library} is there")
    with pytest.raises(ImportError, match=library):
        made(name, "Wan", 1)
