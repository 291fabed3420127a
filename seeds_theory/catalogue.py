"""The names of all samplers, known without importing any: for commands, completion and early errors."""

from __future__ import annotations

from seeds_theory.baselines.registered import BASELINES
from seeds_theory.errors import UnknownNameError, unknown
from seeds_theory.scheme import registered

METHOD_NAMES = tuple(registered())
"""Of the methods in `seeds_theory.methods.METHODS`."""

BASELINE_NAMES = tuple(BASELINES)
"""Of the baselines in `seeds_theory.baselines.BASELINES`."""

SAMPLER_NAMES = METHOD_NAMES + BASELINE_NAMES
"""Of all: what `seeds_theory.solver.Solver` takes."""


POLICY_NAMES = ("flow-sde", "dance-sde", "precise", "cps")
"""Of `seeds_theory.policies.POLICIES`: samplers whose eta depends on the grid, or with a level for it."""


def unknown_sampler(name: str, remark: str = "") -> UnknownNameError:
    """The error of a name that `seeds_theory.solver.Solver` does not take; of a policy, how it is made."""
    if name in POLICY_NAMES:
        return UnknownNameError(
            f"{name!r} has another eta on each grid: policy({name!r}, sigmas).on(sigmas) is its plan, and "
            f"SEEDSScheduler(method={name!r}) runs it in a pipeline{remark}"
        )
    return unknown("sampler", name, SAMPLER_NAMES, remark)


def require_sampler_name(name: str, remark: str = "") -> None:
    """It names a method, perhaps with nodes as ``"seeds-2@0.7"``, or a baseline.

    remark : the end of the message.

    Raises
    ------
    UnknownNameError : it does not; lists all.
    """
    if name not in BASELINE_NAMES and name.partition("@")[0] not in METHOD_NAMES:
        raise unknown_sampler(name, remark)


def require_method_name(name: str) -> None:
    """It names a method; raises UnknownNameError, which lists all."""
    if name not in METHOD_NAMES:
        raise unknown("method", name, METHOD_NAMES)
