"""Names of steps with a log-density, written as those of samplers: ``file.py:step?noise_level=0.7``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from proofs_checks.audit.densities.own import solver_step
from proofs_checks.audit.densities.protocol import Step
from proofs_checks.audit.densities.report import DensityReport, audit_density
from proofs_checks.audit.densities.trainers import is_of_trainers, trainer_step
from proofs_checks.audit.names import LIBRARIES, require_target_name
from proofs_checks.audit.peers import library
from proofs_checks.audit.targets import split_target
from seeds_theory.errors import ParameterError
from seeds_theory.named_code import load_named
from seeds_theory.solver import Solver


def find_step(text: str) -> Step:
    """The step of a name: a function of a module or a file, one of a library, or of this one.

    A function with parameters ``model_output``, ``timestep`` and ``sample`` has the signature of trainers.

    Raises
    ------
    UnknownNameError : nothing of that name; says what is known.
    ParameterError : options that cannot be read, or a library without such steps.
    """
    base, options = split_target(text)
    module, colon, name = base.partition(":")
    if not colon:
        require_target_name(base)
        return solver_step(Solver(base, options))
    if module in LIBRARIES:
        adapter: Any = library(module)
        if not hasattr(adapter, "load_step"):
            able = [other for other in LIBRARIES if hasattr(library(other), "load_step")]
            raise ParameterError(
                f"{module} has no steps with a log-density; those that have are {', '.join(able)}"
            )
        return adapter.load_step(name, options)
    found = load_named(base, "step", "step").found
    if is_of_trainers(found):
        return trainer_step(found, **options)
    return functools.partial(found, **options) if options else found


def audit_densities(targets: Sequence[str]) -> list[DensityReport]:
    """Audit the densities of steps by name; all names are looked up before any work."""
    steps = [find_step(target) for target in targets]
    return [audit_density(step, name=target) for step, target in zip(steps, targets, strict=True)]
