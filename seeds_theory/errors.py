"""Typed errors: each states the rule, the value that broke it and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 60
"""The longest representation of a value that an error shows."""


class SeedsError(ValueError):
    """Base class of every error that bad input can raise in this project.

    place : of what happened in a step: its number, its noise level, and what is wrong there.
    """

    place: tuple[int, float, str] | None = None


class UnknownNameError(SeedsError):
    """A name that is not in a registry; the message lists the known ones."""


class ParameterError(SeedsError):
    """A scalar parameter outside its range (eta, a variance, a noise level, a count)."""


class GridError(SeedsError):
    """A grid of noise levels that no sampler can follow."""


class TableauError(SeedsError):
    """A tableau that is not an explicit exponential Runge-Kutta method."""


class DenoiserError(SeedsError):
    """A denoiser that breaks the protocol ``D(x, sigma)``: shape, dtype or a value not finite."""


class NoiseError(SeedsError):
    """A noise source that breaks the protocol, or that cannot serve what is asked of it."""


class DensityError(SeedsError):
    """A density that does not exist, as of a step without noise, or a record that is not of its plan."""


class LibraryError(SeedsError, ImportError):
    """An optional library that is not installed; the message says how to install it."""


def shown(value: object) -> str:
    """A value in an error of one line: itself, or its type if that is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN and "\n" not in text else type(value).__name__


def at_step(kind: type[SeedsError], index: int, sigma: float, wrong: str) -> SeedsError:
    """The error of what is wrong at a noise level of a step; `SeedsError.place` keeps it apart."""
    error = kind(f"step {index}, sigma {sigma:g}: {wrong}")
    error.place = (index, sigma, wrong)
    return error


def unknown(what: str, name: object, known: Iterable[str], remark: str = "") -> UnknownNameError:
    """The error of a name that is not known: one that is near, if any, then all, then a remark."""
    names = list(known)
    hint = did_you_mean(str(name).lower().partition("@")[0], names)
    return UnknownNameError(f"unknown {what} {name!r}{hint}; known: {', '.join(names)}{remark}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What follows a misspelt name in an error, in brackets, or nothing if no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unknown_method(name: str, known: Iterable[str]) -> UnknownNameError:
    """The error of a name that is no method's; baselines are named elsewhere."""
    nodes = ", with nodes as in 'seeds-2@0.7'"
    baselines = "; a baseline, as 'seeds-2m', has no plan: sample and Solver run it"
    return unknown("method", name, known, nodes + baselines)


def other_prediction(name: str, offered: Iterable[str], asked: str) -> TableauError:
    """The error of a prediction that a method has not."""
    return TableauError(
        f"the noise of {name!r} is that of the {' or '.join(offered)} prediction; asked for {asked!r}"
    )
