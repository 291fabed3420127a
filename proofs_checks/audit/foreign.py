r"""A sampler of another convention, run as one that follows the audit's protocol.

Its states, times and arrays are translated on the way in and out, and so is every call of its model; no
line of it is changed. A noise level that is infinite in its own terms, as at t = 1 of a flow, is
1e8 to the audit; at level 0 a prediction that is no estimate of the data is that of 1e-8.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import Recorder, Source
from proofs_checks.audit.arrays import ARRAYS, Arrays
from proofs_checks.audit.conventions import Convention, Time
from proofs_checks.audit.draws import FirstDraw
from proofs_checks.audit.protocol import (
    Model,
    NoiseSampler,
    OtherGrid,
    SamplerFailure,
    Target,
    call,
)

_HIGHEST, _LOWEST = 1e8, 1e-8
"""Noise levels that stand for infinity and, where an output is divided by the level, for 0."""

_SAME = 1e-5
"""Relative difference of a level that went through a time in single precision."""

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Those of a signature; none of a function that is not of Python."""
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ()


class _Enough(BaseException):
    """Ends a trial run; no Exception, as samplers catch those."""


@dataclass
class _Calls:
    """The model as the sampler calls it, in one run.

    Parameters
    ----------
    convention : says what is given and what is asked for.
    arrays : in which.
    answer : ``(x, sigma (batch,))`` and the sampler's further keywords to the estimate of the data.
    known : levels of the grid; one that is near is one of them.
    levels : of the calls so far. last : x at the last call at the end of the grid.
    """

    convention: Convention
    arrays: Arrays
    answer: Model
    known: Sequence[float] = ()
    levels: list[float] = field(default_factory=list)
    last: Tensor | None = None

    def level(self, t: Any, time: Time) -> float:
        """The noise level of a time, given as a number or as one for each sample."""
        values = np.asarray(self.arrays.tensor(t), dtype=np.float64).reshape(-1)
        if not len(values) or (values != values[0]).any():
            raise SamplerFailure("names several noise levels in one call")
        try:
            level = time.level(float(values[0]))
        except ValueError:
            level = math.nan
        if not level >= 0:
            raise SamplerFailure(
                f"names {values[0]:.6g} as a time, which is none of the kind that time and model_time say"
            )
        near = (k for k in self.known if abs(k - level) <= _SAME * k)
        return next(near, min(level, _HIGHEST))

    def __call__(self, state: Any, t: Any, *_: Any, **keywords: Any) -> Any:
        """The output that the convention asks for."""
        given, level = self.arrays.tensor(state), self.level(t, self.convention.time_of_model)
        if not isinstance(given, Tensor):
            raise SamplerFailure(
                f"calls its model with {type(given).__name__} for states: say which with arrays="
            )
        self.levels.append(level)
        if level == 0 and self.convention.predicts != "denoised":
            level = _LOWEST
        alpha = self.convention.alpha(level)
        x = given if alpha == 1 else given / alpha
        if self.known and level == self.known[-1]:
            self.last = x.clone()  # it may be changed in place
        denoised = self.answer(x, x.new_full((len(x),), level), **keywords)
        skip, out = self.convention.skip_and_out(level)
        return self.arrays.of((denoised - skip * given) / out)


@dataclass(frozen=True)
class ForeignSampler:
    """A function of another convention as a sampler that follows the audit's protocol.

    Parameters
    ----------
    function : runs unmodified.
    convention : what it does otherwise.
    options : of every call, with which its own levels are learned.

    Raises
    ------
    LibraryError : its library of arrays is not installed.
    """

    function: Callable[..., Any]
    convention: Convention
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self._arrays

    @functools.cached_property
    def _parameters(self) -> tuple[Parameter, ...]:
        return parameters(self.function)

    @functools.cached_property
    def _arguments(self) -> tuple[tuple[str, str | None], ...]:
        positions = tuple(p.name for p in self._parameters if p.kind in _POSITIONAL)
        named = tuple(p.name for p in self._parameters if p.kind is not Parameter.POSITIONAL_ONLY)
        return self.convention.arguments(positions, named)

    @property
    def __signature__(self) -> Signature:
        taken = sum(keyword is None for _, keyword in self._arguments)
        names = {keyword for _, keyword in self._arguments}
        positional = [p for p in self._parameters if p.kind in _POSITIONAL]
        bound = {p.name for p in positional[:taken]} | names
        own = [
            p.replace(kind=p.kind if p.kind is Parameter.VAR_KEYWORD else Parameter.KEYWORD_ONLY)
            for p in self._parameters
            if p.name not in bound and p.kind is not Parameter.VAR_POSITIONAL
        ]
        own.sort(key=lambda p: p.kind)
        kind = Parameter.POSITIONAL_OR_KEYWORD
        return Signature([*(Parameter(n, kind) for n in ("model", "x", "sigmas")), *own])

    @functools.cached_property
    def _arrays(self) -> Arrays:
        return ARRAYS[self.convention.arrays]()

    def levels(self, steps: int) -> list[float]:
        """The noise levels of a run with that many steps, of a sampler that chooses them.

        Those of its model calls, one a step, and the level where it ends: 0, or the last positive level
        where that is the same whatever the number of steps.

        Raises
        ------
        SamplerFailure : its calls do not show the steps.
        """
        starts = self._starts(steps)
        if self.convention.ends != "zero":
            return [*starts, float(self.convention.ends)]
        last = self._starts(steps + 1)[-1]
        fixed = len(starts) > 1 and abs(last - starts[-1]) <= _SAME * last
        return [*starts] if fixed else [*starts, 0.0]

    @functools.cached_property
    def _starts(self) -> Callable[[int], tuple[float, ...]]:
        """The level where each of that many steps begins; found once."""
        return functools.cache(self._find_starts)

    def _find_starts(self, steps: int) -> tuple[float, ...]:
        calls = self._calls(lambda x, sigma, **_: x * 0)

        def run(model: Model, x: Tensor, sigmas: Tensor) -> Tensor:
            self._run(calls, x, steps, x, self.options)
            return x

        start = torch.zeros(2, 1, 1, 1, dtype=torch.float64)
        call(Target("its levels", run), calls, start, start, Recorder(Source.OWN))
        levels = [level for level, _ in itertools.groupby(calls.levels)]
        if len(levels) == steps + 1 and self.convention.ends != "zero":
            levels = levels[:-1]  # a last stage, where the run ends
        stages, rest = divmod(len(levels), steps)
        starts = tuple(levels[:: stages or 1])
        if rest or any(a <= b for a, b in itertools.pairwise(starts)):
            raise SamplerFailure(
                f"calls its model at {len(levels)} levels for {steps} steps: they do not show where "
                "its steps begin"
            )
        return starts

    def __call__(
        self,
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        *,
        noise_sampler: NoiseSampler | None = None,
        callback: Any = None,
        **keywords: Any,
    ) -> Tensor:
        """Run it from states x at the first level; keywords as in the signature.

        Raises
        ------
        OtherGrid : a grid that it did not choose, of a sampler that chooses its own.
        SamplerFailure : it breaks its convention.
        """
        levels = sigmas.double().tolist()
        calls = self._calls(model, levels)
        steps, stops_early = self._steps(levels)
        if noise_sampler is not None:
            keywords["noise_sampler"] = self._noise_sampler(calls, noise_sampler, x, levels[-1])
        elif "noise_sampler" in keywords:
            keywords["noise_sampler"] = None
        if callback is not None:
            keywords["callback"] = self._callback(calls, callback)
        start = self.convention.alpha(levels[0])
        given = self._grid(sigmas) if self.convention.grid == "given" else steps
        result = self._run(calls, x if start == 1 else start * x, given, x, keywords)
        if stops_early:
            if calls.last is None:
                raise SamplerFailure(
                    f"does not call its model at the last positive level, sigma {levels[-1]:.4g}"
                )
            return calls.last
        end = self.convention.alpha(levels[-1])
        final = self._arrays.tensor(result)
        return final if end == 1 or not isinstance(final, Tensor) else final / end

    def _calls(self, answer: Model, known: Sequence[float] = ()) -> _Calls:
        return _Calls(self.convention, self._arrays, answer, known)

    def _steps(self, levels: list[float]) -> tuple[int, bool]:
        """The number of steps, and whether the result is the state before the last one."""
        if self.convention.grid == "given":
            return len(levels) - 1, self.convention.ends != "given" and levels[-1] > 0
        steps = len(levels) - 1
        for count in (steps, steps + 1):
            own = self.levels(count) if count else []
            if len(own) == len(levels) and np.allclose(own, levels, rtol=_SAME):
                return count, count > steps
        raise OtherGrid("chooses its own noise levels: no other grid can be given")

    def _grid(self, sigmas: Tensor) -> Tensor:
        """The grid as the sampler wants it."""
        levels = sigmas.tolist()
        if self.convention.ends == "zero" and levels[-1] > 0:
            levels.append(0.0)
        if self.convention.ends == "appends" and levels[-1] == 0:
            levels.pop()
        time = self.convention.level_time.time
        return sigmas.new_tensor([time(level) for level in levels])

    def _run(
        self,
        calls: _Calls,
        state: Tensor,
        grid: Tensor | int,
        x: Tensor,
        keywords: Mapping[str, Any],
    ) -> Any:
        """The sampler's own result, from a state in its own frame."""

        def run() -> Any:
            with self._arrays.running():
                values: dict[str, Any] = {
                    "model": calls,
                    "x": self._arrays.of(state),
                    "shape": tuple(x.shape),
                    "levels": self._arrays.of(grid) if isinstance(grid, Tensor) else None,
                    "steps": grid,
                    "rng": self._arrays.generator(),
                }
                positional = [values[role] for role, keyword in self._arguments if not keyword]
                named = {keyword: values[role] for role, keyword in self._arguments if keyword}
                return self.function(*positional, **named, **keywords)

        if self.convention.start == "given":
            return run()
        with FirstDraw(state / self._scale(run, calls, state)) as draw:
            result = run()
        assert draw.asked  # in the trial too
        return result

    def _scale(self, run: Callable[[], Any], calls: _Calls, state: Tensor) -> float:
        """The number by which it multiplies its first draw: a trial of ones, up to the first model call."""
        seen: list[Tensor] = []

        def stop(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
            seen.append(x * self.convention.alpha(calls.levels[-1]))
            raise _Enough

        answer, calls.answer = calls.answer, stop
        with (
            torch.random.fork_rng(),
            FirstDraw(torch.ones_like(state)) as draw,
            contextlib.suppress(_Enough),
        ):
            run()
        calls.answer = answer
        calls.levels.clear()
        calls.last = None
        first = seen[0].reshape(-1) if seen else state.new_zeros(1)
        if not draw.asked or first[0] == 0 or ((first / first[0] - 1).abs() > _SAME).any():
            raise SamplerFailure(
                f"does not start from a multiple of a normal draw of shape {tuple(state.shape)}"
            )
        return float(first[0])

    def _noise_sampler(
        self, calls: _Calls, noise_sampler: NoiseSampler, x: Tensor, last: float
    ) -> Callable[[Any, Any], Any]:
        time = self.convention.level_time

        def noise(t: Any, t_next: Any) -> Any:
            level, level_next = calls.level(t, time), calls.level(t_next, time)
            beyond = level <= last  # of a step whose result is not taken
            return self._arrays.of(x * 0 if beyond else noise_sampler(level, level_next))

        return noise

    def _callback(self, calls: _Calls, callback: Any) -> Callable[[Any], None]:
        def report(shown: Any) -> None:
            if isinstance(shown, dict):
                shown = {name: self._arrays.tensor(value) for name, value in shown.items()}
                time = self.convention.level_time
                for name in {"sigma", "sigma_hat"} & shown.keys():
                    shown[name] = calls.level(shown[name], time)
                if {"x", "sigma_hat"} <= shown.keys():
                    shown["x"] = shown["x"] / self.convention.alpha(shown["sigma_hat"])
            callback(shown)

        return report
