"""A run is one graph: no value is read on the way, it compiles whole, and a GPU can capture it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from seeds_theory import kdiffusion
from seeds_theory.brownian import BrownianPath, path_points
from seeds_theory.grids import rho_grid
from seeds_theory.loop import FiniteWatch, follow
from seeds_theory.methods import METHODS
from seeds_theory.plan import Plan, make_plan
from seeds_theory.sources import GeneratorNoise, InjectedNoise, NoiseSource, SeededNoise

GRID = rho_grid(10.0, 0.1, 3, to_zero=True)
SHAPE = (2, 3, 4)


def curved(x: Tensor, sigma: float) -> Tensor:
    return torch.tanh(x / (1 + sigma))


def run(x: Tensor, rows: Tensor, plan: Plan) -> Tensor:
    return follow(curved, x, plan, InjectedNoise(rows))


def inputs(plan: Plan, seed: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = 10 * torch.randn(SHAPE, generator=generator)
    return x.to(device), torch.randn(plan.normals, *SHAPE, generator=generator).to(device)


# ------------------------------------------------------- on the meta device a tensor has no values


@pytest.fixture
def _without_the_check_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FiniteWatch, "check", lambda watch: None)


def sources(plan: Plan, x: Tensor) -> dict[str, Callable[[], NoiseSource | None]]:
    def generators(count: int) -> Sequence[torch.Generator]:
        return [torch.Generator() for _ in range(count)]

    return {
        "default": lambda: None,
        "one generator": lambda: GeneratorNoise(torch.Generator()),
        "one generator per sample": lambda: GeneratorNoise(generators(len(x))),
        "seeds": lambda: SeededNoise(range(len(x))),
        "rows": lambda: InjectedNoise(torch.zeros(plan.normals, *x.shape)),
        "path": lambda: BrownianPath(path_points([plan]), plan.eta, x, SeededNoise(range(len(x)))),
    }


@pytest.mark.usefixtures("_without_the_check_at_the_end")
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("source", ["default", "one generator", "seeds", "rows"])
def test_no_value_is_read_in_a_run(name: str, source: str) -> None:
    plan, x = make_plan(name, GRID), torch.empty(SHAPE, device="meta")
    assert follow(curved, x, plan, sources(plan, x)[source]()).is_meta


@pytest.mark.usefixtures("_without_the_check_at_the_end")
@pytest.mark.parametrize("source", ["path", "one generator per sample"])
def test_no_value_is_read_from_a_path_or_a_list_of_generators(source: str) -> None:
    plan, x = make_plan("seeds-3", GRID), torch.empty(SHAPE, device="meta")
    assert follow(curved, x, plan, sources(plan, x)[source]()).is_meta


@pytest.mark.usefixtures("_without_the_check_at_the_end")
@pytest.mark.parametrize("name", [name for name in vars(kdiffusion) if name.startswith("sample_")])
@pytest.mark.parametrize("extra", [{}, {"extra_args": {"seed": 3}}], ids=["torch", "seed"])
def test_no_value_is_read_behind_k_diffusions_signature(name: str, extra: dict[str, Any]) -> None:
    """The grid is read once, before the run; callbacks are given tensors."""
    levels = []

    def model(x: Tensor, sigma: Tensor, seed: int | None = None) -> Tensor:
        levels.append(sigma)
        return x / (1 + sigma[:, None, None])

    x = torch.empty(SHAPE, device="meta")
    reports: list[dict[str, Any]] = []
    end = getattr(kdiffusion, name)(
        model, x, torch.tensor(GRID), callback=reports.append, disable=True, **extra
    )
    assert end.is_meta
    assert all(level.is_meta for level in levels)
    assert len(reports) == 3


def test_the_values_are_read_once_at_the_end() -> None:
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        follow(curved, torch.empty(SHAPE, device="meta"), make_plan("seeds-1", GRID))


# ---------------------------------------------------------------------------------- torch.compile


@pytest.fixture(autouse=True)
def _forget_graphs() -> None:
    torch._dynamo.reset()


@pytest.mark.parametrize("name", METHODS)
def test_a_run_compiles_to_one_graph_that_gives_the_same_result(name: str) -> None:
    plan = make_plan(name, GRID)
    compiled = torch.compile(run, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*inputs(plan, 0), plan), run(*inputs(plan, 0), plan))
    with torch._dynamo.config.patch(error_on_recompile=True):
        torch.testing.assert_close(compiled(*inputs(plan, 1), plan), run(*inputs(plan, 1), plan))


@pytest.mark.parametrize("prediction", ["data", "noise"])
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_either_prediction_and_any_eta_compile(prediction: str, eta: float) -> None:
    plan = make_plan("seeds-2", GRID, prediction=prediction, eta=eta)
    compiled = torch.compile(run, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*inputs(plan, 0), plan), run(*inputs(plan, 0), plan))


def test_torchs_own_generator_draws_within_the_graph() -> None:
    plan = make_plan("seeds-3", GRID)
    x, _ = inputs(plan, 0)
    compiled = torch.compile(lambda x: follow(curved, x, plan), fullgraph=True, backend="eager")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        first, second = compiled(x), compiled(x)
        torch.manual_seed(5)
        torch.testing.assert_close(first, follow(curved, x, plan))
        torch.testing.assert_close(second, follow(curved, x, plan))


# ------------------------------------------------------------------------------------ CUDA graphs


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_a_captured_run_is_replayed_with_other_values(name: str) -> None:
    plan = make_plan(name, GRID)
    x, rows = inputs(plan, 0, "cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # a first run outside of the graph
        run(x, rows, plan)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        end = run(x, rows, plan)
    other_x, other_rows = inputs(plan, 1, "cuda")
    x.copy_(other_x)
    rows.copy_(other_rows)
    graph.replay()
    torch.testing.assert_close(end, run(other_x, other_rows, plan))
