"""The node of ComfyUI, loaded from a folder and run by a host that calls samplers as ComfyUI does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from comfy_host import CONST, EPS, KSAMPLER, Guider, comfy, initial, load  # noqa: F401
from torch import Tensor

import seeds_theory.comfyui
from seeds_theory import METHODS, SeededNoise
from seeds_theory.errors import (
    NoiseError,
    ParameterError,
    SeedsError,
    TableauError,
    UnknownNameError,
)
from seeds_theory.kdiffusion import run
from seeds_theory.solver import Solver

pytestmark = pytest.mark.usefixtures("comfy")
PACKAGE = Path(seeds_theory.comfyui.__file__).parent
SIGMAS = torch.tensor([14.6, 5.0, 2.0, 0.7, 0.03, 0.0])
FLOW = torch.tensor([1.0, 0.9, 0.6, 0.2, 0.0])
WIDGETS = {"method": "seeds-3", "eta": 1.0, "s_noise": 1.0, "nodes": "", "seeds": ""}


def sampler(**widgets: Any) -> KSAMPLER:
    node = seeds_theory.comfyui.NODE_CLASS_MAPPINGS["SamplerSEEDS"]()
    (found,) = getattr(node, node.FUNCTION)(**WIDGETS | widgets)
    return found


# --------------------------------------------------------------------------------------- the folder


@pytest.mark.parametrize("way", ["one line", "copy", "link"])
def test_a_folder_in_custom_nodes_brings_the_node(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "seeds"
    if way == "one line":
        folder.mkdir()
        (folder / "__init__.py").write_text("from seeds_theory.comfyui import *\n")
    elif way == "copy":
        shutil.copytree(PACKAGE, folder)
    else:
        folder.symlink_to(PACKAGE, target_is_directory=True)
    module = load(folder)
    assert list(module.NODE_CLASS_MAPPINGS) == ["SamplerSEEDS"]
    assert module.NODE_DISPLAY_NAME_MAPPINGS.keys() == module.NODE_CLASS_MAPPINGS.keys()
    node = module.NODE_CLASS_MAPPINGS["SamplerSEEDS"]
    (found,) = getattr(node(), node.FUNCTION)(**WIDGETS)
    assert found.sample(Guider(EPS()), SIGMAS, SIGMAS[0] * initial(1), seed=1).isfinite().all()


def test_the_node_has_what_the_host_asks_for() -> None:
    node = seeds_theory.comfyui.SamplerSEEDS
    (inputs,) = node.INPUT_TYPES().values()
    assert {name: options["default"] for name, (_, options) in inputs.items()} == WIDGETS
    assert inputs["method"][0] == [*METHODS, "seeds-2m"]
    assert node.RETURN_TYPES == ("SAMPLER",)
    assert node.CATEGORY == "sampling/custom_sampling/samplers"


# ---------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("sampling", [EPS(), CONST()], ids=["eps", "flow"])
@pytest.mark.parametrize("method", seeds_theory.comfyui.SamplerSEEDS.METHODS)
def test_the_node_runs_the_method_in_the_frame_of_the_model(method: str, sampling: object) -> None:
    flow = isinstance(sampling, CONST)
    sigmas = FLOW if flow else SIGMAS
    guider, x = Guider(sampling), sigmas[0] * initial(5)
    found = sampler(method=method, eta=0.5, s_noise=1.1).sample(guider, sigmas, x, seed=7)
    noise = SeededNoise([7, 8, 9])
    options = {"eta": 0.5, "s_noise": 1.1, "noise": noise, "flow": flow}
    assert torch.equal(found, run(Solver(method), Guider(sampling), x, sigmas, **options))
    assert guider.seen[0] == sigmas[0]
    assert found.dtype == torch.float32


def test_nodes_and_seeds_are_read_from_text() -> None:
    x = SIGMAS[0] * initial(5, batch=5)
    found = sampler(method="seeds-2", nodes="0.7", seeds="7, 8, 10-12").sample(
        Guider(EPS()), SIGMAS, x, seed=1
    )
    noise = SeededNoise([7, 8, 10, 11, 12])
    assert torch.equal(found, run(Solver("seeds-2@7/10"), Guider(EPS()), x, SIGMAS, noise=noise))
    assert sampler(nodes="1/3, 2/3").extra_options["solver"].name == "seeds-3"
    assert sampler(nodes=" 1/4, 0.8 ").extra_options["solver"].name == "seeds-3@1/4,4/5"


def test_a_node_gives_the_same_images_again_and_one_image_alone() -> None:
    node, x = sampler(seeds="3-5"), SIGMAS[0] * initial(5)
    first, again = (node.sample(Guider(EPS()), SIGMAS, x, seed=1) for _ in range(2))
    alone = sampler(seeds="4").sample(Guider(EPS()), SIGMAS, x[1:2], seed=1)
    assert torch.equal(first, again)
    assert torch.equal(first[1:2], alone)


def test_without_a_seed_of_the_host_torch_draws() -> None:
    torch.manual_seed(0)
    x = SIGMAS[0] * initial(5)
    first = sampler().sample(Guider(EPS()), SIGMAS, x, seed=None)
    torch.manual_seed(0)
    assert torch.equal(first, run(Solver("seeds-3"), Guider(EPS()), x, SIGMAS))


def test_the_host_is_called_back_once_a_step() -> None:
    seen: list[tuple] = []
    x = SIGMAS[0] * initial(5)
    sampler().sample(Guider(EPS()), SIGMAS, x, seed=1, callback=lambda *call: seen.append(call))
    assert [(i, total) for i, _, _, total in seen] == [(i, 5) for i in range(5)]
    assert torch.equal(seen[0][2], x)


@pytest.mark.parametrize(
    ("widgets", "error", "says"),
    [
        ({"nodes": "0.5, 2"}, TableauError, "nodes lie in (0, 1]; got 2"),
        ({"nodes": "half"}, TableauError, "numbers or fractions in (0, 1]; got half"),
        ({"nodes": "0.5"}, TableauError, "'seeds-3' takes 2 node(s), as 1/3, 2/3; got 0.5"),
        ({"seeds": "five"}, ParameterError, "seeds are numbers and ranges, as 0-9,20,30-39"),
        ({"method": "seeds-9"}, UnknownNameError, "known: seeds-1"),
        ({"method": "seeds-2m", "nodes": "0.5"}, TableauError, "'seeds-2m' has no nodes; got 0.5"),
        ({"method": "seeds-9", "nodes": "0.5"}, UnknownNameError, "known: seeds-1"),
    ],
)
def test_wrong_widgets_are_told_in_one_line(
    widgets: dict[str, str], error: type[SeedsError], says: str
) -> None:
    with pytest.raises(error) as caught:
        sampler(**widgets)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_of_seeds_that_is_not_that_of_the_images_is_told() -> None:
    with pytest.raises(NoiseError, match="one seed per sample: got 2 seeds for a batch of 3"):
        sampler(seeds="1,2").sample(Guider(EPS()), SIGMAS, SIGMAS[0] * initial(5), seed=1)


def test_noise_that_is_not_of_unit_variance_is_scaled_as_the_host_does() -> None:
    """Models of flow whose states are (1 - sigma) x0 + sigma noise_scale noise."""

    def spread(scale: float | None) -> Tensor:
        sampling = CONST()
        if scale is not None:
            sampling.noise_scale = scale  # type: ignore[attr-defined]
        guider = Guider(sampling)
        guider.__class__ = type("Zero", (Guider,), {"__call__": lambda self, x, sigma: 0 * x})
        (sampler,) = seeds_theory.comfyui.SamplerSEEDS().get_sampler(**WIDGETS)
        return sampler.sample(guider, FLOW[:-1], torch.zeros(4, 1, 8, 8), seed=3)

    assert torch.equal(spread(1.0), spread(None))
    torch.testing.assert_close(spread(8.0), 8 * spread(1.0))
