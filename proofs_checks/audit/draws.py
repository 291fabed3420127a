"""Intercepted draws: every normal number that torch draws, answered by the audit instead.

Code that takes no noise sampler is examined unmodified: while the mode is on, ``torch.randn``,
``randn_like``, ``normal`` and ``normal_`` ask a function for their values. A draw is known by the state of
its generator, so two draws from one state are the same random number, as they are in truth: a tree
that recomputes a node from its seed, or a sampler that seeds its generator twice. Numbers of other laws
are refused, but for a few integers: they may seed a tree.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seeds_theory.sources import seeded_generator

Answer = Callable[[int, Tensor], Tensor]
"""Given the number of a draw and a tensor of its shape, dtype and device, its values."""

USED = -1
"""The number of the draw that made the initial states."""

_STANDARD = (torch.randn, torch.randn_like)
_SCALED = (torch.normal, Tensor.normal_)
NORMAL_DRAWS = _STANDARD + _SCALED
"""Torch's functions that draw normal numbers."""

_INTEGERS = (torch.randint, torch.randint_like, Tensor.random_)
_OTHER_LAWS = (
    torch.rand,
    torch.rand_like,
    torch.bernoulli,
    Tensor.bernoulli,
    Tensor.bernoulli_,
    Tensor.uniform_,
    Tensor.exponential_,
)

_WATCHED = frozenset(NORMAL_DRAWS + _INTEGERS + _OTHER_LAWS)


class RefusedDraw(Exception):
    """A draw that no sound sampler makes; says why."""


class UnansweredDraw(RefusedDraw):
    """A draw that may be sound, but that no source of noise for these states can answer."""


def require_answerable(number: int, drawn: Tensor, shape: torch.Size) -> None:
    """Refuse a draw that is not new noise for states of that shape.

    Raises
    ------
    RefusedDraw : the numbers of the initial states again, or fewer numbers than the states have.
    UnansweredDraw : more numbers; which of them go to which state is not known.
    """
    if number == USED:
        raise RefusedDraw("draws again the numbers that made the initial state")
    text = f"draws noise of shape {tuple(drawn.shape)} for states {tuple(shape)}"
    if drawn.numel() < shape.numel():
        raise RefusedDraw(f"{text}: its samples share noise")
    if drawn.shape != shape:
        raise UnansweredDraw(f"{text}, which the audit does not answer")


class SeededNormals:
    """Noise of one run from a seed: independent normals, injected and through torch's own draws.

    injects : whether a noise sampler is given. seed, stream : of `seeded_generator`.
    """

    def __init__(self, injects: bool, seed: int, stream: int) -> None:
        self.injects = injects
        self._generator = seeded_generator(seed, stream)
        self._known: dict[int, Tensor] = {}

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        """New ones, whatever the stretch."""
        return self._new(like)

    def draw(self, number: int, like: Tensor) -> Tensor:
        """New ones for a new number: draws from one state of a generator are one."""
        if number not in self._known:
            self._known[number] = self._new(like)
        return self._known[number].to(like)

    def _new(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self._generator, dtype=torch.float64).to(like)


class FirstDraw(TorchFunctionMode):
    """Answers the first normal draw of a shape with given numbers, and leaves its generator as it was."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer, self.asked = answer, False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.asked or func not in NORMAL_DRAWS:
            return func(*args, **kwargs)
        generator = kwargs.get("generator") or torch.default_generator
        state = generator.get_state()
        drawn = func(*args, **kwargs)
        if drawn.shape != self.answer.shape:
            return drawn
        generator.set_state(state)
        self.asked = True
        return drawn.copy_(self.answer)


class Interception(TorchFunctionMode):
    """The mode; see the module."""

    def __init__(self, answer: Answer, used: bytes, shape: Sequence[int] | None) -> None:
        super().__init__()
        self._answer = answer
        self._shape = None if shape is None else torch.Size(shape)
        self._known: dict[tuple[bytes, int], int] = {(used, 0): USED}

    def _values(self, state: bytes, drawn: Tensor) -> Tensor:
        """The answer to one draw, in any layout, or to several drawn at once, beside each other in front."""
        shape = self._shape
        if shape is None or (drawn.shape[1:] != shape and drawn.numel() != shape.numel()):
            return self._answer(self._number(state, 0), drawn)
        several = drawn.reshape(-1, *shape)
        answers = [self._answer(self._number(state, i), each) for i, each in enumerate(several)]
        return torch.stack(answers).reshape(drawn.shape)

    def _refuse_other_laws(self, func: Any, drawn: Tensor) -> None:
        few = self._shape is None or drawn.numel() < self._shape.numel()
        if func in _OTHER_LAWS or not few:
            raise UnansweredDraw(
                f"draws numbers by {func.__name__}; the audit answers normal ones only"
            )

    def _number(self, state: bytes, index: int) -> int:
        return self._known.setdefault((state, index), len(self._known) - 1)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _WATCHED:
            return func(*args, **kwargs)
        if func in _OTHER_LAWS + _INTEGERS:
            drawn = func(*args, **kwargs)
            self._refuse_other_laws(func, drawn)
            return drawn
        generator = kwargs.get("generator") or torch.default_generator
        state = generator.get_state()
        drawn = func(*args, **kwargs)
        generator.set_state(state)
        _advance(generator)
        values = self._values(state.numpy().tobytes(), drawn)
        if func in _SCALED:
            law = dict(zip(("mean", "std"), args[func is Tensor.normal_ :], strict=False)) | kwargs
            mean, deviation = law.get("mean", 0.0), law.get("std", 1.0)
            values = mean + deviation * values
        given = func is Tensor.normal_ or kwargs.get("out") is not None
        return drawn.copy_(values) if given else values


def _advance(generator: torch.Generator) -> None:
    """Move on by a fixed amount, so that a run with more samples meets the same states."""
    torch.empty(16, device=generator.device).normal_(generator=generator)


@contextlib.contextmanager
def intercepted_draws(
    answer: Answer, seed: int, shape: Sequence[int] | None = None
) -> Iterator[Interception]:
    """Answer all normal draws of torch in this block, as after drawing initial states with that seed.

    Torch's global generator is seeded, and restored at the end. A draw that repeats the numbers of the
    initial states has the number `USED`. With the `shape` of the states, several of that shape drawn at
    once are several draws.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        used = torch.default_generator.get_state().numpy().tobytes()
        _advance(torch.default_generator)
        with Interception(answer, used, shape) as mode:
            yield mode
