"""The exported pack of nodes in a host that calls samplers as ComfyUI does, beside ours on the same noise."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from comfy_host import CONST, EPS, KSAMPLER, Guider, comfy, initial, load  # noqa: F401
from exported import written
from torch import Tensor

from seeds_theory import METHODS, ParameterError, SeededNoise, few_steps
from seeds_theory.emit.method import method_program
from seeds_theory.emit.targets import comfyui as pack
from seeds_theory.emit.targets import target
from seeds_theory.kdiffusion import run
from seeds_theory.methods import method as tableau_of
from seeds_theory.settings import ETAS, settings
from seeds_theory.solver import Solver

SIGMAS = torch.tensor([14.6, 5.0, 2.0, 0.7, 0.03, 0.0])
FLOW_SIGMAS = torch.tensor([1.0, 0.9, 0.6, 0.2, 0.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in custom_nodes."""
    folder = tmp_path_factory.mktemp("custom_nodes") / "seeds"
    written(folder, "comfyui", "seeds-2@0.7")
    return folder


@pytest.fixture
def node(comfy: None, folder: Path) -> Any:  # noqa: F811
    """The node of that folder."""
    return load(folder).NODE_CLASS_MAPPINGS["SamplerSEEDS"]


def sampler(node: Any, **widgets: Any) -> KSAMPLER:
    (found,) = getattr(node(), node.FUNCTION)(**widgets)
    return found


@pytest.mark.parametrize("sampling", [EPS(), CONST()], ids=["eps", "flow"])
def test_a_node_runs_every_method_as_ours(sampling: object, node: Any) -> None:
    flow = isinstance(sampling, CONST)
    sigmas = FLOW_SIGMAS if flow else SIGMAS
    x = sigmas[0] * initial(5).double()
    for method, eta in itertools.product([*METHODS, "seeds-2@0.7", "seeds-2m"], (0.0, 0.5, 1.0)):
        guider, seen, expected_seen = Guider(sampling), [], []
        found = sampler(node, method=method, eta=eta, s_noise=1.1).sample(
            guider, sigmas, x, seed=7, callback=lambda *call, to=seen: to.append(call)
        )
        ours = Guider(sampling)
        expected = run(
            Solver(method),
            ours,
            x,
            sigmas,
            callback=lambda told, to=expected_seen: to.append(told),
            eta=eta,
            s_noise=1.1,
            noise=SeededNoise([7, 8, 9]),
            flow=flow,
        )
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        assert guider.seen == pytest.approx(ours.seen, rel=1e-14)
        for (i, denoised, state, _), told in zip(seen, expected_seen, strict=True):
            assert i == told["i"]
            torch.testing.assert_close(denoised, told["denoised"], rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(state, told["x"], rtol=1e-12, atol=1e-12)


def test_a_prompt_with_the_method_alone_has_the_images_of_ours_in_single_precision(
    node: Any,
) -> None:
    x = SIGMAS[0] * initial(5)
    found = sampler(node, method="seeds-3").sample(Guider(EPS()), SIGMAS, x, seed=7)
    expected = run(Solver("seeds-3"), Guider(EPS()), x, SIGMAS, noise=SeededNoise([7, 8, 9]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_the_folder_says_what_the_host_asks_for(node: Any, folder: Path) -> None:
    inputs = node.INPUT_TYPES()
    (method,) = inputs["required"].values()
    assert (
        method[0] == [*METHODS, "seeds-2@0.7", "seeds-2m"] and method[1]["default"] == "seeds-2@0.7"
    )
    assert {name: of["default"] for name, (_, of) in inputs["optional"].items()} == {
        "eta": 1.0,
        "s_noise": 1.0,
        "seeds": "",
    }
    assert all(options["tooltip"] for _, options in {"": method, **inputs["optional"]}.values())


def test_the_folder_says_what_the_manager_and_the_registry_ask_for(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["dependencies"] == []
    required = (folder / "requirements.txt").read_text().splitlines()
    assert all(line.startswith("#") for line in required)  # the manager installs what is in it
    assert project["project"]["urls"]["Repository"] == pack.REPOSITORY
    comfy_table = project["tool"]["comfy"]
    assert comfy_table.keys() == {"PublisherId", "DisplayName", "Icon"}
    assert comfy_table["PublisherId"] == pack.PUBLISHER and pack.PUBLISHER in pack.REPOSITORY
    assert comfy_table["Icon"].endswith("/icon.svg")
    icon = ElementTree.fromstring((folder / "icon.svg").read_text())
    assert icon.get("width") == icon.get("height") == "400" and len(icon) == 6
    licence = Path(__file__).parents[3] / "LICENSE"
    assert (folder / "LICENSE").read_text() == licence.read_text()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.suffix != ".pyc")
    assert size < 100_000


def test_every_node_has_a_page_of_help(comfy: None, folder: Path) -> None:  # noqa: F811
    module = load(folder)
    assert module.NODE_DISPLAY_NAME_MAPPINGS.keys() == module.NODE_CLASS_MAPPINGS.keys()
    pages = folder / module.WEB_DIRECTORY / "docs"
    assert {page.stem for page in pages.iterdir()} == module.NODE_CLASS_MAPPINGS.keys()
    for name, node in module.NODE_CLASS_MAPPINGS.items():
        text = (pages / f"{name}.md").read_text()
        for widgets in node.INPUT_TYPES().values():
            assert all(f"| `{widget}` |" in text for widget in widgets)
    assert "| `seeds-2m` | 1 | 2 | 1.5 | 2 |" in (pages / "SamplerSEEDS.md").read_text()
    page = (pages / "SamplerSEEDS.md").read_text()
    for name in METHODS:
        tableau = tableau_of(name)
        orders = (tableau.orders.weak, f"{float(tableau.orders.strong):g}", tableau.orders.ode)
        assert f"| `{name}` | {' | '.join(map(str, (tableau.calls, *orders)))} |" in page


def test_the_methods_are_in_the_list_of_the_ksampler(node: Any) -> None:
    names = vars(sys.modules["comfy.samplers"])["SAMPLER_NAMES"]
    own = [f"seeds_theory_{name.removeprefix('seeds-')}" for name in METHODS]
    assert names == ["euler", *own, "seeds_theory_2_0_7", "seeds_theory_2m"]
    x = SIGMAS[0] * initial(5)
    for name, method in zip(names[1:], [*METHODS, "seeds-2@0.7", "seeds-2m"], strict=True):
        function = vars(sys.modules["comfy.k_diffusion.sampling"])[f"sample_{name}"]
        listed = KSAMPLER(function, {}).sample(Guider(EPS()), SIGMAS, x, seed=3)
        own_node = sampler(node, method=method)
        assert torch.equal(listed, own_node.sample(Guider(EPS()), SIGMAS, x, seed=3))


@pytest.mark.parametrize("sampling", [EPS(), CONST()], ids=["eps", "flow"])
def test_grids_that_the_hosts_nodes_make(sampling: object, node: Any) -> None:
    def ends(levels: list[float], eta: float = 1.0) -> Tensor:
        found = sampler(node, method="seeds-2", eta=eta)
        return found.sample(Guider(sampling), torch.tensor(levels), x, seed=7)

    x = initial(5)
    for none in ([], [0.0], [0.7]):
        assert torch.equal(ends(none), x)
    assert torch.equal(ends([1.0, 0.0]), Guider(sampling)(x, torch.ones(3)))
    assert torch.equal(ends([0.9, 0.6, 0.6, 0.2, 0.0, 0.0]), ends([0.9, 0.6, 0.2, 0.0]))
    there = ends([0.2, 0.3, 0.4, 0.5], eta=0.0)
    coarse, fine = (
        ends(torch.linspace(0.2, 0.5, n + 1).tolist(), eta=0.0) - there for n in (6, 12)
    )
    assert coarse.norm() < 1e-2 * x.norm() and fine.isfinite().all()
    if isinstance(sampling, CONST):
        assert torch.equal(ends([1.05, 0.5]), ends([1.0, 0.5]))
        noise = ends([0.2, 0.5, 1.0], eta=0.0)
        ours = run(Solver("seeds-2"), Guider(sampling), x, [0.2, 0.5, 1.0], eta=0.0, flow=True)
        torch.testing.assert_close(noise, ours, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="only with eta = 0"):
        ends([0.2, 0.5])


def test_an_image_has_its_seed_in_any_batch(node: Any) -> None:
    x = SIGMAS[0] * initial(5)
    whole = sampler(node, method="seeds-3s", seeds="12, 7-8")
    found = whole.sample(Guider(EPS()), SIGMAS, x, seed=1)
    alone = sampler(node, method="seeds-3s", seeds="7").sample(
        Guider(EPS()), SIGMAS, x[1:2], seed=1
    )
    assert torch.equal(found[1:2], alone)
    assert torch.equal(whole.sample(Guider(EPS()), SIGMAS, x, seed=2), found)
    with pytest.raises(ValueError, match="got 3 seeds for a batch of 1"):
        whole.sample(Guider(EPS()), SIGMAS, x[:1], seed=1)
    again = sampler(node, method="seeds-3s", seeds="8 - 7, 8").sample(Guider(EPS()), SIGMAS, x, 1)
    assert again.shape == x.shape and not torch.equal(again[0], found[0])
    for wrong in ("five", "7-", "7,,8", "0-100000"):
        with pytest.raises(ValueError, match="seeds are numbers and ranges"):
            sampler(node, method="seeds-1", seeds=wrong)
        assert "seeds are numbers" in node.VALIDATE_INPUTS(seeds=wrong)
    assert node.VALIDATE_INPUTS(seeds=None) is True  # as of an input that another node feeds
    assert node.VALIDATE_INPUTS() is node.VALIDATE_INPUTS(seeds="3, 2-1") is True


def test_without_a_seed_torch_draws_and_noise_has_the_models_scale(node: Any) -> None:
    x = SIGMAS[0] * initial(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = sampler(node, method="seeds-3").sample(Guider(EPS()), SIGMAS, x, seed=None)
        torch.manual_seed(0)
        expected = run(Solver("seeds-3"), Guider(EPS()), x, SIGMAS)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    scaled = CONST()
    scaled.noise_scale = 8.0  # type: ignore[attr-defined]
    results = [
        sampler(node, method="seeds-1", s_noise=s_noise).sample(
            Guider(sampling), FLOW_SIGMAS[:-1], initial(5), seed=3
        )
        for sampling, s_noise in ((scaled, 0.5), (CONST(), 4.0))
    ]
    assert torch.equal(*results)


NODES = """
import importlib.util, sys
import numpy, torch, tqdm.auto  # which the host has imported
before = set(sys.modules)
for ours in ("seeds_theory", "toy_models", "proofs_checks", "gpu_runs", "sympy", "scipy"):
    sys.modules[ours] = None  # an import of it raises
spec = importlib.util.spec_from_file_location("seeds", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["seeds"] = module
spec.loader.exec_module(module)
print(*module.NODE_CLASS_MAPPINGS)
print(*sorted(set(sys.modules) - before - {name for name in sys.modules if sys.modules[name] is None}))
"""


@pytest.mark.slow
def test_the_folder_needs_nothing_of_ours(folder: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", NODES, str(folder / "__init__.py")],
        capture_output=True,
        text=True,
        check=True,
    )
    nodes, imported = found.stdout.splitlines()
    assert nodes == "SamplerSEEDS SEEDSFewStepsSigmas"
    parts = ("coefficients", "few_steps", "nodes", "samplers")
    assert imported.split() == ["seeds", *(f"seeds.{part}" for part in parts)]
    with pytest.raises(ParameterError, match="data prediction; got 'noise'"):
        target("comfyui").files(method_program("seeds-3", "noise"))


# ------------------------------------------------------------------------------- the host's noise sampler

GRIDS = {
    "levels again": (EPS(), [14.6, 5.0, 5.0, 0.7, 0.7, 0.03, 0.0, 0.0]),
    "the first level again": (EPS(), [5.0, 5.0, 1.0, 0.0]),
    "flow from 1 again": (CONST(), [1.0, 1.0, 0.5, 0.2]),
    "flow from above 1": (CONST(), [1.2, 1.0, 0.5, 0.2]),
    "not to 0": (EPS(), [14.6, 5.0, 0.7]),
    "flow from 1": (CONST(), [1.0, 0.9, 0.6, 0.6, 0.2, 0.0]),
    "flow from below 1": (CONST(), [0.9, 0.6, 0.2]),
}
VALUES = ["seeds-1", "seeds-2", "seeds-2b", "seeds-3", "seeds-3b"]
WITH_NODES = ["seeds-2@1", "seeds-3@0.4,1", "seeds-3@0.8,0.3"]


class Asked:
    """A noise sampler with a generator, without an answer to what is empty; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self._generator = torch.Generator().manual_seed(2)

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        assert sigma.ndim == sigma_next.ndim == 0
        self.asked.append((float(sigma), float(sigma_next)))
        noise = torch.randn(3, 4, 2, 2, generator=self._generator, dtype=torch.float64)
        return noise / 0 if sigma == sigma_next else noise


def with_noise_sampler(node: Any, noise_sampler: Callable, **widgets: Any) -> KSAMPLER:
    found = sampler(node, **widgets)
    found.extra_options["noise_sampler"] = noise_sampler
    return found


def exported_node(folder: Path, name: str) -> Any:
    """The node of a folder that has a method with nodes of its own."""
    written(folder, "comfyui", name)
    return load(folder).NODE_CLASS_MAPPINGS["SamplerSEEDS"]


@pytest.mark.parametrize("with_nodes", WITH_NODES)
def test_the_hosts_noise_sampler_is_asked_as_in_the_package(
    with_nodes: str,
    comfy: None,  # noqa: F811
    tmp_path: Path,
) -> None:
    node = exported_node(tmp_path / "seeds", with_nodes)
    names = [with_nodes, *VALUES] if with_nodes == WITH_NODES[0] else [with_nodes]
    for (sampling, levels), name in itertools.product(GRIDS.values(), names):
        sigmas, x = torch.tensor(levels).double(), levels[0] * initial(5).double()
        theirs, ours = Asked(), Asked()
        sampler_of_name = with_noise_sampler(node, theirs, method=name, s_noise=1.1)
        found = sampler_of_name.sample(Guider(sampling), sigmas, x, seed=7)
        options = {"s_noise": 1.1, "flow": isinstance(sampling, CONST), "noise_sampler": ours}
        expected = run(Solver(name), Guider(sampling), x, sigmas, **options)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        assert len(theirs.asked) == len(ours.asked)
        for one, other in zip(theirs.asked, ours.asked, strict=True):
            assert one == pytest.approx(other, rel=1e-14)


def test_at_node_1_and_from_sigma_1_the_empty_stretches_are_asked_for_too(
    comfy: None,  # noqa: F811
    tmp_path: Path,
) -> None:
    node_at_1 = exported_node(tmp_path / "seeds", "seeds-2@1")
    noise, sigmas = Asked(), torch.tensor([1.0, 0.5, 0.5, 0.2, 0.0], dtype=torch.float64)
    node = with_noise_sampler(node_at_1, noise, method="seeds-2@1")
    node.sample(Guider(CONST()), sigmas, initial(5).double(), seed=7)
    asked = [(round(a, 12), round(b, 12)) for a, b in noise.asked]
    at_05 = [(0.5, 0.5)] * 2
    assert asked == [(1.0, 0.5), (0.5, 0.5), *at_05, (0.5, 0.2), (0.2, 0.2)]


def test_a_noise_sampler_is_not_asked_for_nothing_nor_where_it_has_no_answer(node: Any) -> None:
    def no(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        raise AssertionError

    x = SIGMAS[0] * initial(5)
    for widgets in ({"eta": 0.0}, {"s_noise": 0.0}, {"seeds": "1-3"}):
        found = with_noise_sampler(node, no, method="seeds-3", **widgets)
        end = found.sample(Guider(EPS()), SIGMAS, x, seed=7)
        expected = sampler(node, method="seeds-3", **widgets).sample(Guider(EPS()), SIGMAS, x, 7)
        assert torch.equal(end, expected)
    for name in ("seeds-2s", "seeds-3s", "seeds-4s", "seeds-2m"):
        with pytest.raises(ValueError, match=f"{name} takes no noise_sampler"):
            with_noise_sampler(node, no, method=name).sample(Guider(EPS()), SIGMAS, x, seed=7)


# --------------------------------------------------------------------------- what it says, where it calls


@pytest.mark.parametrize("sampling", [EPS(), CONST()], ids=["eps", "flow"])
def test_the_model_is_called_off_the_grid_by_all_but_seeds_1(sampling: object, node: Any) -> None:
    sigmas = FLOW_SIGMAS if isinstance(sampling, CONST) else SIGMAS
    for name in (*METHODS, "seeds-2m"):
        guider = Guider(sampling)
        sampler(node, method=name).sample(guider, sigmas, sigmas[0] * initial(5), seed=7)
        near = torch.isclose(sigmas, torch.tensor(guider.seen)[:, None], rtol=1e-4)
        assert near.any(dim=1).all() == (name == "seeds-1")
    assert "All but seeds-1 call" in node.INPUT_TYPES()["required"]["method"][1]["tooltip"]


def test_an_error_of_a_flow_tells_its_own_sigma(node: Any) -> None:
    for levels, says in (
        ([0.2, 0.5], "got 0.2 then 0.5 at index 1"),
        ([0.9, 0.5, 1.0], "got 0.5 then 1 at index 2"),
    ):
        with pytest.raises(ValueError, match=says):
            sampler(node, method="seeds-2").sample(
                Guider(CONST()), torch.tensor(levels), initial(5), seed=7
            )
    with pytest.raises(ValueError, match=r"got 0 then 0\.5 at index 1"):
        sampler(node, method="seeds-2", eta=0.0).sample(
            Guider(CONST()), torch.tensor([0.0, 0.5]), initial(5), seed=7
        )


# ------------------------------------------------------------------------------------ the few-step sigmas


class Model:
    """What the host hands to nodes as MODEL."""

    def __init__(self, sampling: Any, sigma_max: float) -> None:
        sampling.sigma_max = torch.tensor(sigma_max)
        self.get_model_object = {"model_sampling": sampling}.__getitem__


@pytest.fixture
def sigmas_node(comfy: None, folder: Path) -> Any:  # noqa: F811
    return load(folder).NODE_CLASS_MAPPINGS["SEEDSFewStepsSigmas"]()


def sigmas_of(node: Any, *arguments: Any, **optional: Any) -> Tensor:
    (found,) = getattr(node, node.FUNCTION)(*arguments, **optional)
    assert found.dtype == torch.float32
    return found


@pytest.mark.parametrize(("calls", "kind"), [key for key in settings() if key[1] != "best"])
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_few_step_sigmas_are_those_of_the_settings(
    calls: int, kind: str, width: float, sigmas_node: Any
) -> None:
    setting = few_steps(calls, eta=ETAS[kind])
    found = sigmas_of(sigmas_node, Model(EPS(), 14.6), calls, kind, width=width)
    assert found.tolist() == pytest.approx(setting.sigmas(width, 14.6), rel=1e-6)
    found = sigmas_of(sigmas_node, Model(CONST(), 1.0), calls, kind, width=width)
    levels = setting.sigmas(width)[1:]
    assert found.tolist() == pytest.approx([1.0, *(levels / (1 + levels))], rel=1e-6)


def test_few_step_sigmas_take_steps_and_have_bounds(sigmas_node: Any) -> None:
    model = Model(EPS(), 14.6)
    inputs = sigmas_node.INPUT_TYPES()
    assert inputs["required"]["calls"][1]["min"] == min(calls for calls, _ in settings())
    own, seven = (sigmas_of(sigmas_node, model, 20, "sde", steps=steps) for steps in (0, 7))
    assert len(seven) == 8
    torch.testing.assert_close(seven[[0, -2, -1]], own[[0, -2, -1]])
    assert seven[1:-1].log().diff().std() < 1e-5
    with pytest.raises(ValueError, match="no grid was tuned for 4 model calls: take 5 or more"):
        sigmas_of(sigmas_node, model, 4, "sde")
    assert sigmas_of(sigmas_node, model, 7, "sde").equal(sigmas_of(sigmas_node, model, 6, "sde"))
    with pytest.raises(ValueError, match="take a smaller width"):
        sigmas_of(sigmas_node, Model(EPS(), 1e-3), 10, "sde", width=1.0)
    assert len(sigmas_of(sigmas_node, model, 10, "sde", steps=1)) == 2


# -------------------------------------------------------------------------------------------- workflows


def graphs(folder: Path) -> dict[str, tuple[dict, dict]]:
    """The workflows of the folder, for the screen and for the server."""
    shown = {path.stem: path for path in (folder / "example_workflows").glob("*.json")}
    posted = {path.stem: path for path in (folder / "example_workflows/api").glob("*.json")}
    assert shown.keys() == posted.keys() == {"seeds", "few_steps"}
    return {
        name: (json.loads(shown[name].read_text()), json.loads(posted[name].read_text()))
        for name in shown
    }


def test_a_workflow_has_the_inputs_that_the_nodes_have(comfy: None, folder: Path) -> None:  # noqa: F811
    nodes = load(folder).NODE_CLASS_MAPPINGS
    used = set()
    for shown, posted in graphs(folder).values():
        on_screen = {str(one["id"]): one for one in shown["nodes"]}
        assert posted.keys() == {"prompt"} and on_screen.keys() == posted["prompt"].keys()
        for number, one in posted["prompt"].items():
            if (node := nodes.get(one["class_type"])) is None:
                continue
            used.add(one["class_type"])
            of = node.INPUT_TYPES()
            every = of["required"] | of["optional"]
            assert list(one["inputs"]) == list(every)
            widgets = {n: v for n, v in one["inputs"].items() if not isinstance(v, list)}
            assert on_screen[number]["widgets_values"] == list(widgets.values())
            for name, value in widgets.items():
                kind = every[name][0]
                fits = {"FLOAT": float, "INT": int, "STRING": str}
                assert value in kind if isinstance(kind, list) else isinstance(value, fits[kind])
    assert used == nodes.keys()


def test_both_formats_of_a_workflow_have_the_same_links(folder: Path) -> None:
    for shown, posted in graphs(folder).values():
        nodes = {one["id"]: one for one in shown["nodes"]}
        assert shown["last_node_id"] == len(nodes) and shown["last_link_id"] == len(shown["links"])
        ends = set()
        for number, source, slot, goal, place, kind in shown["links"]:
            output, taken = nodes[source]["outputs"][slot], nodes[goal]["inputs"][place]
            assert output["type"] == taken["type"] == kind
            assert number in output["links"] and taken["link"] == number
            ends.add((str(source), slot, str(goal), taken["name"]))
        assert ends == {
            (*value, number, name)
            for number, one in posted["prompt"].items()
            for name, value in one["inputs"].items()
            if isinstance(value, list)
        }
        for one in nodes.values():
            assert one["type"] == posted["prompt"][str(one["id"])]["class_type"]
        places = {tuple(one["pos"]) for one in nodes.values()}
        assert len(places) == len(nodes)
