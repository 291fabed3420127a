"""What the survey audits: a module for each library, with its samplers and modes and what each claims."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass

from proofs_checks.audit.expectation import Expectation


@dataclass(frozen=True)
class Entry:
    """A sampler in the survey, and what its own name, options or documentation claim, if anything."""

    target: str
    claims: Expectation | None = None

    @property
    def library(self) -> str:
        """The adapter's name; a function in a module of this package is of that module's library."""
        return self.target.partition(":")[0].rpartition(".")[2]


def ode(order: int) -> Expectation:
    """Of a sampler of the ODE."""
    return Expectation(ode=order)


def sde(order: int) -> Expectation:
    """Of a sampler of the SDE: past estimates give weak order 2 and no more is promised."""
    return Expectation(weak=min(order, 2))


def of(library: str, name: str, claims: Expectation | None = None, **options: object) -> Entry:
    """A sampler with options, which follow those that its name has already."""
    query = "&".join(f"{option}={value}" for option, value in options.items())
    joint = ("&" if "?" in name else "?") if query else ""
    return Entry(f"{library}:{name}{joint}{query}", claims)


def each(
    library: str, claims: Expectation | None, names: Iterable[str], **options: object
) -> list[Entry]:
    """Several that claim the same."""
    return [of(library, name, claims, **options) for name in names]


def by_order(
    library: str, name: str, option: str, orders: Iterable[int], **options: object
) -> list[Entry]:
    """A sampler of the ODE at each order that its option can have."""
    return [of(library, name, ode(k), **{option: k}, **options) for k in orders]


def densities_of(library: str) -> tuple[str, ...]:
    """The steps of a library whose log-densities the survey looks at; most have none."""
    return getattr(importlib.import_module(f"{__name__}.{library}"), "DENSITIES", ())


def entries_of(library: str) -> tuple[Entry, ...]:
    """What the survey audits of a library."""
    return importlib.import_module(f"{__name__}.{library}").ENTRIES
