"""The text at the top of a file in C, Rust or JavaScript."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from seeds_theory.emit import description
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.python import Python

_WIDTH = 96


def heading(method: MethodProgram) -> str:
    """What is computed, what the names of the code are in it, and where it is from."""
    return "\n\n".join(
        "\n".join(map(_formula_line, description.formula(method)))
        if text is None
        else textwrap.fill(text, _WIDTH, break_on_hyphens=False)
        for text in _paragraphs(method)
    )


def _formula_line(text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=" " * 4,
        subsequent_indent=" " * 10,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _paragraphs(method: MethodProgram) -> Iterator[str | None]:
    """The texts, and None where the formula goes."""
    yield description.summary(method)
    yield (
        "States are x / alpha, so that sigma, the noise level, is the standard deviation of their noise. The "
        "denoiser D(x, sigma) estimates the clean data."
    )
    yield f"A step from level s to t with {description.definitions(method)}:"
    yield None
    yield (
        f"phi_k(z) = (e^z - sum_{{j<k}} z^j/j!)/z^k. {description.noise(method)}. {_normals(method)} "
        f"{_names(method)}"
    )
    yield (
        "eta = 1 is the reverse SDE, eta = 0 the probability-flow ODE, which takes no normals. A step to "
        "level 0 is D(x, s); one from an infinite level, where x is unit noise, is D(x, s) + t w_1, or "
        "D(x, s) + t x at eta = 0."
    )
    yield description.source(method)


def _names(method: MethodProgram) -> str:
    """What a porter finds in the code for the formula."""
    integrand = description.integrand(method)
    if method.calls == 1:
        return f"In the code, x_t = p_t x + b_1 f_1 + N_t, and f_1 is {integrand}_1."
    return (
        "In the code, u_j = p_j x + a_j1 f_1 + a_j2 f_2 + ... + N_j, "
        f"x_t = p_t x + b_1 f_1 + b_2 f_2 + ... + N_t, and f_i is {integrand}_i."
    )


def _normals(method: MethodProgram) -> str:
    """Where on the path the unit noises are."""
    cuts = (method.intervals[0][0], *(stop for _, stop in method.intervals))
    stretches = " > ".join(map(Python().expression, cuts))
    where = (
        "the step"
        if len(method.intervals) == 1
        else f"each stretch of the path {stretches}, in this order"
    )
    return f"Unit noises are standard normals, {method.degree} for {where}."
