"""The node of ComfyUI, loaded from a folder and run by a host that calls samplers as ComfyUI does."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from comfy_host import CONST, EPS, KSAMPLER, Guider, comfy, initial, load  # noqa: F401
from torch import Tensor

import seeds_theory.comfyui
from seeds_theory import METHODS, SeededNoise, few_steps
from seeds_theory.errors import (
    NoiseError,
    ParameterError,
    SeedsError,
    TableauError,
    UnknownNameError,
)
from seeds_theory.kdiffusion import run
from seeds_theory.settings import ETAS
from seeds_theory.solver import Solver

pytestmark = pytest.mark.usefixtures("comfy")
PACKAGE = Path(seeds_theory.comfyui.__file__).parent
SIGMAS = torch.tensor([14.6, 5.0, 2.0, 0.7, 0.03, 0.0])
FLOW = torch.tensor([1.0, 0.9, 0.6, 0.2, 0.0])
NODES = ["SamplerSEEDS", "SamplerSEEDSBaseline", "SEEDSFewSteps"]
WIDGETS = {
    "method": "seeds-3",
    "eta": 1.0,
    "s_noise": 1.0,
    "nodes": "",
    "seeds": "",
    "eta_windows": "",
}


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
    assert list(module.NODE_CLASS_MAPPINGS) == NODES
    assert module.NODE_DISPLAY_NAME_MAPPINGS.keys() == module.NODE_CLASS_MAPPINGS.keys()
    node = module.NODE_CLASS_MAPPINGS["SamplerSEEDS"]
    (found,) = getattr(node(), node.FUNCTION)(**WIDGETS)
    assert found.sample(Guider(EPS()), SIGMAS, SIGMAS[0] * initial(1), seed=1).isfinite().all()


def test_the_node_has_what_the_host_asks_for() -> None:
    node = seeds_theory.comfyui.SamplerSEEDS
    inputs = node.INPUT_TYPES()
    every = inputs["required"] | inputs["optional"]
    assert {name: options["default"] for name, (_, options) in every.items()} == WIDGETS
    assert all(options["tooltip"] for _, options in every.values())
    assert inputs["required"].keys() == {"method"}  # a workflow may give nothing else
    assert every["method"][0] == [*METHODS, "seeds-2m"]
    assert node.RETURN_TYPES == ("SAMPLER",)
    assert node.CATEGORY == "sampling/custom_sampling/samplers"
    (found,) = node().get_sampler("seeds-2")
    assert found.extra_options["eta"] == 1.0


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
        ({"seeds": "five"}, ParameterError, "seeds are numbers and ranges, as 7, 8, 10-12"),
        ({"seeds": "1,,2"}, ParameterError, "seeds are numbers and ranges, as 7, 8, 10-12"),
        ({"seeds": "18446744073709551616"}, ParameterError, "seeds lie in [0, 2**64)"),
        ({"seeds": "0-99999999999"}, ParameterError, "at most 10000000 seeds"),
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
    given = {"method": "seeds-3", **widgets}
    assert seeds_theory.comfyui.SamplerSEEDS.VALIDATE_INPUTS(**given) == str(caught.value)


def test_right_widgets_are_valid() -> None:
    for node in (seeds_theory.comfyui.SamplerSEEDS, seeds_theory.comfyui.SamplerSEEDSBaseline):
        for method in node.METHODS:
            assert node.VALIDATE_INPUTS(method, seeds="12, 7, 7, 3-1") is True
    assert seeds_theory.comfyui.SamplerSEEDS.VALIDATE_INPUTS("seeds-2", nodes="0.7") is True
    assert seeds_theory.comfyui.SEEDSFewSteps.VALIDATE_INPUTS() is True
    linked = {"method": None, "nodes": None, "seeds": None}  # as of inputs that other nodes feed
    assert seeds_theory.comfyui.SamplerSEEDS.VALIDATE_INPUTS(**linked) is True
    assert seeds_theory.comfyui.SamplerSEEDSBaseline.VALIDATE_INPUTS(None, seeds=None) is True
    assert seeds_theory.comfyui.SEEDSFewSteps.VALIDATE_INPUTS(seeds=None) is True
    assert "seeds are" in str(seeds_theory.comfyui.SEEDSFewSteps.VALIDATE_INPUTS(seeds="a"))


@pytest.mark.parametrize("seeds", [[12, 7, 8], [7, 7, 7], [9, 8, 7]])
def test_seeds_come_in_any_order_and_again(seeds: list[int]) -> None:
    x = SIGMAS[0] * initial(5)
    text = "9-7" if seeds == [9, 8, 7] else ", ".join(map(str, seeds))
    found = sampler(seeds=text).sample(Guider(EPS()), SIGMAS, x, seed=1)
    expected = run(Solver("seeds-3"), Guider(EPS()), x, SIGMAS, noise=SeededNoise(seeds))
    assert torch.equal(found, expected)


# ------------------------------------------------------------------------------- grids and noise of hosts


@pytest.mark.parametrize("name", ["seeds-1", "seeds-3", "seeds-2m"])
@pytest.mark.parametrize("sampling", [EPS(), CONST()], ids=["eps", "flow"])
def test_a_run_in_two_stages_is_the_run(name: str, sampling: object) -> None:
    """SplitSigmas, each part with the same seed: but for a method that remembers, to the last digit."""
    sigmas = FLOW if isinstance(sampling, CONST) else SIGMAS
    node, x = sampler(method=name), sigmas[0] * initial(5)
    whole = node.sample(Guider(sampling), sigmas, x, seed=7)
    half = node.sample(Guider(sampling), sigmas[:3], x, seed=7)
    found = node.sample(Guider(sampling), sigmas[2:], half, seed=7)
    if name == "seeds-2m":
        assert not torch.equal(found, whole)
    else:
        torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)
    other = node.sample(Guider(sampling), sigmas[2:], half, seed=8)
    assert (found - other).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("sampling", "sigmas"),
    [
        (EPS(), [14.6]),
        (EPS(), [0.0]),
        (EPS(), [14.6, 5.0, 5.0, 1.0, 0.0, 0.0]),
        (CONST(), [1.0, 0.0]),
        (CONST(), [1.05, 0.5, 0.0]),
        (CONST(), [1.0]),
    ],
)
def test_grids_that_the_hosts_nodes_make_run(sampling: object, sigmas: list[float]) -> None:
    for method in seeds_theory.comfyui.SamplerSEEDS.METHODS:
        guider, x = Guider(sampling), sigmas[0] * initial(5)
        found = sampler(method=method).sample(guider, torch.tensor(sigmas), x, seed=7)
        assert found.isfinite().all()
        assert torch.equal(found, x) == (len(sigmas) == 1)


@pytest.mark.parametrize("sampling", [EPS(), CONST()], ids=["eps", "flow"])
def test_flipped_sigmas_unsample_at_eta_0(sampling: object) -> None:
    sigmas = (FLOW if isinstance(sampling, CONST) else SIGMAS)[:-1].flip(0)
    for method in seeds_theory.comfyui.SamplerSEEDS.METHODS:
        node = sampler(method=method, eta=0.0)
        there = node.sample(Guider(sampling), sigmas, initial(5), seed=7)
        assert there.isfinite().all() and (there - initial(5)).abs().max() > 0.1


def test_a_noise_sampler_of_the_host_is_asked() -> None:
    asked: list[tuple[float, float]] = []

    def noise_sampler(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        asked.append((float(sigma), float(sigma_next)))
        return torch.zeros(3, 4, 2, 2)

    node, x = sampler(method="seeds-1"), SIGMAS[0] * initial(5)
    node.extra_options["noise_sampler"] = noise_sampler
    node.sample(Guider(EPS()), SIGMAS, x, seed=7)
    assert asked == [
        pytest.approx(pair)
        for pair in zip(SIGMAS[:-2].tolist(), SIGMAS[1:-1].tolist(), strict=True)
    ]


def off_the_grid(node: Any, method: str, sampling: object) -> int:
    """How many calls of the model the host's context windows would not find in the grid."""
    sigmas = FLOW if isinstance(sampling, CONST) else SIGMAS
    guider, (found,) = Guider(sampling), node().get_sampler(method)
    found.sample(guider, sigmas, sigmas[0] * initial(5), seed=7)
    calls = torch.tensor(guider.seen)
    return int((~torch.isclose(sigmas, calls[:, None], rtol=1e-4)).all(dim=1).sum())


@pytest.mark.parametrize("sampling", [EPS(), CONST()], ids=["eps", "flow"])
def test_the_model_is_called_off_the_grid_by_those_that_say_so(sampling: object) -> None:
    node, baselines = (
        seeds_theory.comfyui.SamplerSEEDS,
        seeds_theory.comfyui.SamplerSEEDSBaseline,
    )
    off = [method for method in node.METHODS if off_the_grid(node, method, sampling)]
    assert off == [method for method in node.METHODS if method != "seeds-1"]
    assert "All but seeds-1 call" in node.INPUT_TYPES()["required"]["method"][1]["tooltip"]
    off = [method for method in baselines.METHODS if off_the_grid(baselines, method, sampling)]
    assert off == baselines.OFF_GRID
    told = baselines.INPUT_TYPES()["required"]["method"][1]["tooltip"]
    assert told.endswith(f": {', '.join(off)}.")


# ------------------------------------------------------------------------------------- the other nodes


@pytest.mark.parametrize("method", seeds_theory.comfyui.SamplerSEEDSBaseline.METHODS)
def test_published_samplers_run_in_a_node(method: str) -> None:
    node = seeds_theory.comfyui.SamplerSEEDSBaseline()
    for sampling, sigmas in ((EPS(), SIGMAS), (CONST(), FLOW)):
        (found,) = node.get_sampler(method, seeds="1-3")
        x = sigmas[0] * initial(5)
        end = found.sample(Guider(sampling), sigmas, x, seed=7)
        solver, flow = Solver(method), isinstance(sampling, CONST)
        eta = solver.eta if solver.baseline and solver.baseline.only_eta is not None else 1.0
        options = {"eta": eta, "noise": SeededNoise([1, 2, 3]), "flow": flow}
        assert torch.equal(end, run(solver, Guider(sampling), x, sigmas, **options))


class Model:
    """What the host hands to nodes as MODEL."""

    def __init__(self, sampling: Any) -> None:
        self.get_model_object = {"model_sampling": sampling}.__getitem__


@pytest.mark.parametrize("kind", ETAS)
def test_few_steps_are_a_sampler_and_sigmas(kind: str) -> None:
    node, eps = seeds_theory.comfyui.SEEDSFewSteps(), EPS()
    eps.sigma_max = torch.tensor(14.6)  # type: ignore[attr-defined]
    setting = few_steps(20, eta=ETAS[kind])
    found, sigmas = node.get_setting(Model(eps), 20, kind, 0.5)
    assert sigmas.tolist() == pytest.approx(setting.sigmas(0.5, 14.6), rel=1e-6)
    assert (found.extra_options["solver"], found.extra_options["eta"]) == (
        setting.sampler,
        setting.eta,
    )
    found, times = node.get_setting(Model(CONST()), 20, kind, 0.5)
    levels = setting.sigmas(0.5)[1:]
    assert times.tolist() == pytest.approx([1.0, *(levels / (1 + levels))], rel=1e-6)
    guider = Guider(CONST())
    assert found.sample(guider, times, initial(5), seed=1).isfinite().all()
    assert len(guider.seen) <= 20


def test_names_in_the_lists_of_the_host() -> None:
    names = vars(sys.modules["comfy.samplers"])["SAMPLER_NAMES"]
    for _ in range(2):
        seeds_theory.comfyui.add_names()
    assert names == [
        "euler",
        *(name.replace("-", "_theory_") for name in seeds_theory.comfyui.SamplerSEEDS.METHODS),
    ]
    functions = vars(sys.modules["comfy.k_diffusion.sampling"])
    by_name = KSAMPLER(functions["sample_seeds_theory_3"], {})
    x = SIGMAS[0] * initial(5)
    expected = sampler().sample(Guider(EPS()), SIGMAS, x, seed=3)
    assert torch.equal(by_name.sample(Guider(EPS()), SIGMAS, x, seed=3), expected)


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


def test_a_window_of_eta_takes_the_place_of_the_number() -> None:
    x = SIGMAS[0] * initial(1)
    ends = [
        sampler(eta=eta, eta_windows=windows).sample(Guider(EPS()), SIGMAS, x.clone(), seed=1)
        for eta, windows in ((0.5, ""), (1.0, "0.5:0-inf"), (1.0, ""), (1.0, "0.5"))
    ]
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[3])
    assert not torch.equal(ends[0], ends[2])
    node = seeds_theory.comfyui.SamplerSEEDS
    assert node.VALIDATE_INPUTS("seeds-3", eta_windows="1:0.3-5") is True
    assert "windows of noise levels" in str(node.VALIDATE_INPUTS("seeds-3", eta_windows="1:5"))
