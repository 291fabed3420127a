"""The samplers with the signature of k-diffusion's, for code that calls those: k-diffusion, ComfyUI, web UIs.

``sample_seeds_*`` are plain functions with named parameters; `as_k_diffusion` gives any method or baseline by
name. All are one function, `run`, around a `Solver`.

``sampler(model, x, sigmas, extra_args=None, callback=None, disable=None, eta=1.0, ...)``

* ``model(x, sigma, **extra_args)``, sigma of shape (batch,) and of the type of x, returns the denoised x.
* ``noise_sampler(sigma, sigma_next)`` returns unit-variance noise for that stretch. It is asked once for each
  stretch of a step, in time order, with tensors that have no dimensions. A method asks as ComfyUI's do, for
  every stretch between its nodes, empty ones too: after a node at 1, in a step that goes nowhere, and from
  a flow's sigma of 1, where all nodes below 1 are. There is no such parameter where it could not give
  what is asked for: samplers without noise, with noise of several paths, or with averages of the path.
* Without it, and with ``extra_args["seed"]``, the noise is that of `SeededNoise`: with the seeds seed,
  seed + 1, ... of an integer, or those of a list. What a step draws depends on them and on the level where it
  starts: so it is the same if the run is cut there, and two parts of a run share nothing. It never repeats
  the numbers that ``torch.manual_seed(seed)`` gave for the initial state. Without a seed, torch's global
  generator draws.
* ``callback`` is given a dictionary with x, i, sigma, sigma_hat and denoised after each step.
* ``disable=True`` hides the progress bar, False shows it, and None shows it on a terminal.
* ``flow=True``: sigmas in [0, 1] and states (1 - sigma) x0 + sigma noise, as models of rectified flow have
  them. The model and the noise sampler are given these sigmas. A first sigma of 1 is exact: pure noise.
"""

from __future__ import annotations

import inspect
import itertools
import math
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from seeds_theory.errors import (
    GridError,
    NoiseError,
    ParameterError,
    SeedsError,
    TableauError,
    UnknownNameError,
    at_step,
)
from seeds_theory.eta_schedule import Eta, EtaWindows, require_eta, step_etas
from seeds_theory.grids import require_grid
from seeds_theory.loop import StepInfo, follow, require_state
from seeds_theory.nodes import exact_node
from seeds_theory.plan import Interval, Plan, make_plan
from seeds_theory.schedule import flow_alpha
from seeds_theory.scheme import registered, scheme_of
from seeds_theory.solver import SOLVERS, Solver
from seeds_theory.sources import GeneratorNoise, NoiseSource, SeededNoise, silent

Model = Callable[..., Any]
Sigmas = Tensor | Sequence[float]
NoiseSampler = Callable[[Tensor, Tensor], Any]
KCallback = Callable[[dict[str, Any]], None]
Extra = dict[str, Any] | None


def sample_seeds_1(
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
    *,
    flow: bool = False,
) -> Tensor:
    """SEEDS-1: one model call per step, strong and weak order 1. Arguments and errors as of `run`."""
    arguments = (model, x, sigmas, extra_args, callback, disable, eta, s_noise, noise_sampler)
    return run(with_nodes("seeds-1"), *arguments, flow=flow)


def sample_seeds_2(
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
    r: float = 0.5,
    solver_type: str = "phi_1",
    *,
    flow: bool = False,
) -> Tensor:
    """SEEDS-2: two model calls per step, weak order 2. Other arguments and errors as of `run`.

    r : the node of the stage, in (0, 1].
    solver_type : "phi_1", type 2a, or "phi_2", type 2b.
    """
    if solver_type not in _TYPES:
        raise UnknownNameError(
            f"solver_type is one of {', '.join(map(repr, _TYPES))}; got {solver_type!r}"
        )
    arguments = (model, x, sigmas, extra_args, callback, disable, eta, s_noise, noise_sampler)
    return run(with_nodes(_TYPES[solver_type], r), *arguments, flow=flow)


def sample_seeds_3(
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
    r_1: float = 1 / 3,
    r_2: float = 2 / 3,
    *,
    flow: bool = False,
) -> Tensor:
    """SEEDS-3, type 3a: three model calls per step, weak order 2. Other arguments and errors as of `run`.

    r_1, r_2 : the nodes of the stages, in (0, 1].
    """
    arguments = (model, x, sigmas, extra_args, callback, disable, eta, s_noise, noise_sampler)
    return run(with_nodes("seeds-3", r_1, r_2), *arguments, flow=flow)


def sample_seeds_2s(
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    *,
    flow: bool = False,
) -> Tensor:
    """SEEDS-2S: two model calls per step, strong order 1.5. Arguments and errors as of `run`.

    Its stage has an average of the path, which no noise sampler can give.
    """
    arguments = (model, x, sigmas, extra_args, callback, disable, eta, s_noise)
    return run(with_nodes("seeds-2s"), *arguments, flow=flow)


def sample_seeds_3s(
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    *,
    flow: bool = False,
) -> Tensor:
    """SEEDS-3S: three model calls per step, strong order 1.5, 3 at eta = 0. As `sample_seeds_2s`."""
    arguments = (model, x, sigmas, extra_args, callback, disable, eta, s_noise)
    return run(with_nodes("seeds-3s"), *arguments, flow=flow)


def sample_seeds_4s(
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    *,
    flow: bool = False,
) -> Tensor:
    """SEEDS-4S: four model calls per step, weak order 3, strong order 1.5. As `sample_seeds_2s`."""
    arguments = (model, x, sigmas, extra_args, callback, disable, eta, s_noise)
    return run(with_nodes("seeds-4s"), *arguments, flow=flow)


def sample_seeds_2m(
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta = 1.0,
    s_noise: float = 1.0,
    *,
    flow: bool = False,
) -> Tensor:
    """SEEDS-2M: one model call per step, weak order 2, strong order 1.5. As `sample_seeds_2s`."""
    arguments = (model, x, sigmas, extra_args, callback, disable, eta, s_noise)
    return run(with_nodes("seeds-2m"), *arguments, flow=flow)


_TYPES = {"phi_1": "seeds-2", "phi_2": "seeds-2b"}


def with_nodes(name: str, *nodes: float | str) -> Solver:
    """The solver of a name, kept; its nodes as numbers or fractions, by default its own.

    Raises
    ------
    UnknownNameError, TableauError : the name, or its nodes.
    """
    return _with_nodes(name, tuple(map(str, nodes)))


@lru_cache(maxsize=64)
def _with_nodes(name: str, nodes: tuple[str, ...]) -> Solver:
    try:
        exact = [str(exact_node(node)) for node in nodes]
    except (ValueError, ZeroDivisionError, OverflowError):
        given = ", ".join(nodes)
        raise TableauError(f"nodes are numbers or fractions in (0, 1]; got {given}") from None
    known = registered()
    own = [str(node) for node in known[name].nodes] if name in known else []
    if name in SOLVERS and len(exact) not in (0, len(own)):
        takes = f"takes {len(own)} node(s), as {', '.join(own)}" if own else "has no nodes"
        raise TableauError(f"{name!r} {takes}; got {', '.join(nodes)}: leave them out for its own")
    return Solver(name if exact in ([], own) else f"{name}@{','.join(exact)}")


@dataclass(frozen=True)
class KDiffusionSampler:
    """A solver behind k-diffusion's signature; see the module."""

    solver: Solver

    @cached_property
    def __signature__(self) -> inspect.Signature:
        optional: dict[str, Any] = dict.fromkeys(("extra_args", "callback", "disable"))
        solver, baseline = self.solver, self.solver.baseline
        sets_noise = baseline and any(name in solver.options for name in baseline.noise_options)
        if baseline is None or (baseline.only_eta is None and not sets_noise):
            optional["eta"] = solver.eta
        if baseline is None or baseline.stochastic:
            optional["s_noise"] = 1.0
        if solver.follows_values:
            optional["noise_sampler"] = None
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature(
            [inspect.Parameter(name, kind) for name in ("model", "x", "sigmas")]
            + [inspect.Parameter(name, kind, default=value) for name, value in optional.items()]
            + [inspect.Parameter("flow", inspect.Parameter.KEYWORD_ONLY, default=False)]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Sample; arguments as in the signature, errors as of `run`."""
        try:
            given = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise ParameterError(f"{self.solver.name}: {error}") from None
        return run(self.solver, **given.arguments)


def as_k_diffusion(name: str, **options: Any) -> KDiffusionSampler:
    """A method or baseline by name, with its options, behind k-diffusion's signature.

    >>> sampler = as_k_diffusion("seeds-3", eta=0.5)

    Raises
    ------
    UnknownNameError, ParameterError, TableauError : each lists what is known.
    """
    return KDiffusionSampler(Solver(name, options))


def run(
    solver: Solver,
    model: Model,
    x: Tensor,
    sigmas: Sigmas,
    extra_args: Extra = None,
    callback: KCallback | None = None,
    disable: bool | None = None,
    eta: Eta | None = None,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
    *,
    noise: NoiseSource | None = None,
    flow: bool = False,
) -> Tensor:
    """Sample with any solver, called as k-diffusion calls a sampler.

    Parameters
    ----------
    model, callback, disable, noise_sampler, flow : see the module.
    x : states ``(batch, *event)`` at ``sigmas[0]``, of any floating-point type, which the result keeps.
    sigmas : noise levels as hosts make them, of any type: descending, at eta = 0 also ascending; the last may
        be 0. A level that comes again at once is no step; where there is none, x is returned.
    extra_args : keyword arguments of the model; its seed is that of the noise, and the model's too if it has
        such an argument, as ComfyUI's has.
    eta : 1 is the reverse SDE, 0 the ODE; by default the solver's own. Or one for each of the caller's steps,
        windows of its sigmas as ``"1:0.3-5"``, or a function of sigma, as in `seeds_theory.make_plan`.
    s_noise : multiplies every normal; 1 is the SDE.
    noise : a source of this library, instead of noise_sampler or the seed.

    Returns
    -------
    The states at ``sigmas[-1]``, shaped like x.

    Raises
    ------
    ParameterError, GridError, DenoiserError, NoiseError : as from `seeds_theory.follow`; also for s_noise, or
        a noise sampler that could not give what is asked for.
    """
    require_state(x)
    along = require_eta(solver.eta if eta is None else eta)
    repeats = solver.baseline is not None and solver.baseline.repeats
    rises = along == 0 or (isinstance(along, tuple) and not any(along))
    frame = _Frame(_tensor(sigmas), flow, rises=rises, repeats=repeats)
    if not frame.moves:
        return x
    etas = frame.etas(along)
    extra = dict(extra_args or {})
    seed = extra.get("seed")
    if seed is not None and not _takes_seed(model):
        del extra["seed"]
    if noise is None and noise_sampler is not None:
        _require_values(solver)
        noise = _StretchNoise(noise_sampler, frame, _nodes(solver))
    noise = _multiplied(noise or _seeded(seed, len(x)), s_noise)
    progress = sys.stderr.isatty() if disable is None else not disable
    try:
        return _run(solver, model, x, frame, extra, callback, etas, noise, progress)
    except SeedsError as error:
        if error.place is None:
            raise
        index, level, wrong = error.place
        raise at_step(type(error), frame.moves[index], frame.sigma(level), wrong) from None


def _run(
    solver: Solver,
    model: Model,
    x: Tensor,
    frame: _Frame,
    extra: dict[str, Any],
    callback: KCallback | None,
    eta: float | tuple[float, ...],
    noise: NoiseSource,
    progress: bool,
) -> Tensor:
    """The same with everything checked; an error of a step has the solver's number and level."""
    flow = frame.flow
    reporter = _Reporter(callback, frame) if callback else None

    def denoiser(x: Tensor, sigma: float) -> Tensor:
        if reporter:
            reporter.calls.append((x, sigma))
        levels = torch.full((len(x),), frame.sigma(sigma), dtype=x.dtype, device=x.device)
        estimate = model(x, levels, **extra)
        return estimate.to(x.dtype) if isinstance(estimate, Tensor) else estimate

    if solver.baseline is None:
        own = tuple((name, value) for name, value in solver.options.items() if name != "eta")
        plan = _plan(solver.name, own, eta, frame.levels, flow)
        return follow(denoiser, x, plan, noise, callback=reporter, progress=progress)
    options: dict[str, Any] = {"eta": eta, "callback": reporter, "progress": progress}
    if not flow:
        return solver(denoiser, x, frame.levels, noise, **options)
    start = x / _alpha(frame.levels[0])
    end = solver(
        lambda y, sigma: denoiser(_alpha(sigma) * y, sigma), start, frame.levels, noise, **options
    )
    return _alpha(frame.levels[-1]) * end


class _Frame:
    """The caller's sigmas as the solver's noise levels, and back.

    moves : the index of each of the solver's steps in the caller's grid.
    """

    def __init__(self, grid: Tensor, flow: bool, *, rises: bool, repeats: bool) -> None:
        self._grid, self.flow, sigmas = grid, flow, tuple(grid.tolist())
        own = _flow_levels(sigmas) if flow else sigmas
        pairs = enumerate(itertools.pairwise(own))
        moves = [i for i, (a, b) in pairs if a != b or (repeats and 0 < a < math.inf)]
        if flow and moves:  # in the caller's numbers; any other grid the solver checks
            grid_of_moves = [sigmas[0], *(sigmas[i + 1] for i in moves)]
            _ = require_grid(grid_of_moves, repeats=repeats, rises=rises)
            if max(grid_of_moves[1:-1], default=0.0) >= 1:
                raise GridError(
                    f"sigmas of flow reach {max(grid_of_moves[1:-1]):g} only at an end, where there is "
                    "noise alone: cut the grid there"
                )
        self.moves = moves
        self.levels = (*own[:1], *(own[i + 1] for i in moves))
        self._own = dict(zip(own, sigmas, strict=True)) if flow else None

    def etas(self, eta: Any) -> float | tuple[float, ...]:
        """The eta of each of the solver's steps, of one that is given in the caller's steps or sigmas."""
        if isinstance(eta, tuple):
            found = step_etas(eta, self._grid.tolist())
            if isinstance(found, float):
                return found
            eta = tuple(found[index] for index in self.moves)
        elif self.flow and isinstance(eta, EtaWindows):
            eta = eta.of_flow()
        elif self.flow and callable(eta):
            return step_etas(lambda level: eta(self.sigma(level)), self.levels)
        return step_etas(eta, self.levels)

    def stalls(self, step: int) -> int:
        """How many of the caller's steps go nowhere right after one of the solver's, above sigma 0."""
        first, last = (*self.moves, len(self._grid) - 1)[step : step + 2]
        return int((self._grid[first + 2 : last + 1] > 0).sum())

    def sigma(self, level: float) -> float:
        """The caller's sigma; on the grid just the one that was given."""
        if self._own is None:
            return level
        return self._own[level] if level in self._own else level / (1 + level)

    def tensor(self, level: float) -> Tensor:
        """The same as a tensor without dimensions, like the caller's."""
        return self._grid.new_full((), self.sigma(level))


def _tensor(sigmas: Sigmas) -> Tensor:
    """The grid in one dimension, in single precision at least."""
    try:
        grid = torch.as_tensor(sigmas, dtype=None if isinstance(sigmas, Tensor) else torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise GridError(f"sigmas are a sequence of noise levels; got {sigmas!r}") from None
    if grid.ndim != 1:
        raise GridError(f"sigmas are a one-dimensional sequence; got shape {tuple(grid.shape)}")
    return grid.to(torch.promote_types(grid.dtype, torch.float32))


_ABOVE_FLOW = 1.5
"""Hosts take sigmas somewhat above 1, of scaled or rounded schedules, as 1; from here on they are others."""


def _flow_levels(sigmas: tuple[float, ...]) -> tuple[float, ...]:
    """The noise levels sigma/(1 - sigma) of a grid of flow."""
    highest = max(sigmas, default=0.0)
    if highest >= _ABOVE_FLOW:
        raise GridError(
            f"sigmas of flow lie in [0, 1]; got {highest:g}: for states x0 + sigma noise, leave out flow"
        )
    return tuple(math.inf if sigma >= 1 else sigma / (1 - sigma) for sigma in sigmas)


def _alpha(level: float) -> float:
    """Of flow; at an infinite level a state is the unit noise itself."""
    return flow_alpha(level) if level < math.inf else 1.0


@lru_cache(maxsize=64)
def _plan(
    method: str,
    options: tuple[tuple[str, Any], ...],
    eta: float | tuple[float, ...],
    levels: tuple[float, ...],
    flow: bool,
) -> Plan:
    """A plan, kept for the next run; in the frame of flow if asked for."""
    plan = make_plan(method, levels, eta=eta, **dict(options))
    return plan.scaled(flow_alpha) if flow else plan


def _takes_seed(model: Any) -> bool:
    """Whether a model has an argument of that name, or takes any: a wrapper, if what it wraps does."""
    forward = model.forward if isinstance(model, torch.nn.Module) else model
    try:
        taken = inspect.signature(forward).parameters
    except (TypeError, ValueError):  # of what is not written in Python
        return True
    if "seed" in taken or not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return "seed" in taken
    inner = getattr(model, "inner_model", None)
    return inner is None or _takes_seed(inner)


def _seeded(seed: object, batch: int) -> NoiseSource:
    if seed is None:
        return GeneratorNoise()
    if isinstance(seed, Sequence):
        return SeededNoise(seed)
    try:
        first = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise ParameterError(
            f'extra_args["seed"] is an integer, or a list with one for each sample; got {seed!r}'
        ) from None
    return SeededNoise([(first + i) % 2**64 for i in range(batch)])


def _require_values(solver: Solver) -> None:
    if not solver.follows_values:
        raise ParameterError(
            f"{solver.name!r} takes no noise_sampler: it has no noise, or one that increments of a path do "
            "not give; seed it by extra_args, or pass a noise source"
        )


def _nodes(solver: Solver) -> tuple[float, ...]:
    """Where the rows of a method's step are, in time order; none of a baseline, which asks by itself."""
    if solver.baseline is not None:
        return ()
    return tuple(sorted(scheme_of(solver.name, "data").nodes))  # the same in all predictions


class _StretchNoise:
    """A noise source that asks a noise sampler; noise off the solution's path is drawn by torch.

    A sampler that draws from a generator serves ComfyUI's methods alike only if it is asked as often. So it
    is asked for empty stretches too, and what it returns for them is dropped.

    nodes : where the rows of a method's step are, in time order; none if nothing more is asked for than
        intervals.
    """

    def __init__(
        self, noise_sampler: NoiseSampler, frame: _Frame, nodes: tuple[float, ...]
    ) -> None:
        self._noise_sampler, self._frame, self._nodes = noise_sampler, frame, nodes

    def __call__(self, intervals: Sequence[Interval], like: Tensor) -> Tensor:
        start, end = intervals[0].sigma, intervals[-1].sigma_next
        if start == self._frame.levels[0]:
            self._pass(start, self._frame.moves[0] * len(self._nodes))
        if start == math.inf:  # where all nodes below 1 are
            self._pass(start, sum(node < 1 for node in self._nodes))
        drawn = [
            self._ask(interval.sigma, interval.sigma_next)
            if interval.path == 0
            else torch.randn_like(like)
            for interval in intervals
        ]
        self._pass(end, sum(node == 1 for node in self._nodes) - 1)
        if self._nodes:
            step = self._frame.levels.index(start)
            self._pass(end, self._frame.stalls(step) * len(self._nodes))
        for noise in drawn:
            if not isinstance(noise, Tensor) or noise.shape != like.shape:
                given = tuple(noise.shape) if isinstance(noise, Tensor) else type(noise).__name__
                raise NoiseError(
                    f"a noise sampler returns a tensor {tuple(like.shape)}, like x; got {given}"
                )
        return torch.stack(drawn).to(like)

    def _ask(self, level: float, level_next: float) -> Any:
        return self._noise_sampler(self._frame.tensor(level), self._frame.tensor(level_next))

    def _pass(self, level: float, times: int) -> None:
        """Ask for empty stretches."""
        for _ in range(times):
            self._ask(level, level)


def _multiplied(noise: NoiseSource, factor: float) -> NoiseSource:
    """A source whose normals are multiplied; where nothing is left of them, it is not asked."""
    if not isinstance(factor, Real) or not 0 <= factor < math.inf:
        raise ParameterError(f"s_noise is a finite number >= 0; got {factor!r}")
    if factor == 1:
        return noise
    return silent if factor == 0 else lambda intervals, like: noise(intervals, like) * factor


class _Reporter:
    """Calls back with the dictionary of k-diffusion: x and sigma_hat are those of the first model call."""

    def __init__(self, callback: KCallback, frame: _Frame) -> None:
        self._callback, self._frame = callback, frame
        self.calls: list[tuple[Tensor, float]] = []

    def __call__(self, step: StepInfo) -> None:
        x, sigma_hat = self.calls[0]
        self.calls.clear()
        self._callback(
            {
                "x": x,
                "i": self._frame.moves[step.index],
                "sigma": self._frame.tensor(step.sigma),
                "sigma_hat": self._frame.tensor(sigma_hat),
                "denoised": step.denoised,
            }
        )
