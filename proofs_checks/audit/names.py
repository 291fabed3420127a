"""What a target of the audit can be called, and what it checks, known without importing a sampler."""

from __future__ import annotations

from collections.abc import Iterable

from seeds_theory.catalogue import require_sampler_name
from seeds_theory.errors import ParameterError, unknown

LIBRARIES = (
    *("kdiffusion", "diffusers", "torchsde", "diffrax", "azula"),
    *("comfyui", "res4lyf", "sgm"),
    *("wan", "hunyuan", "flux", "flow_grpo", "dance_grpo", "flow_cps", "precise"),
    *("torchdiffeq", "flow_matching"),
    *("physicsnemo", "sbi", "deepinv"),
    *("dpmsolver", "unipc", "sasolver", "ersde", "dpmsolverv3", "scoresde", "consistency", "edm"),
    *("edm2", "restart", "diffsolvers", "ddim", "lucidrains"),
)
"""Other libraries with an adapter, named as their modules in `proofs_checks.audit.peers`."""

CHECK_NAMES = (
    "runs",
    "batch",
    "shapes",
    "short-grids",
    "weak-order",
    "convergence",
    "accident",
    "marginals",
    "sagging-order",
    "uneven-steps",
    "noise-source",
    "empty-stretch",
    "correlated-noise",
    "strong-order",
    "limit",
    "mixture",
    "grid-to-zero",
    "last-level",
    "first-call",
    "model-calls",
    "single-precision",
    "initial-noise",
    "hidden-randomness",
    "repeated-noise",
    "seeds",
    "eta-zero",
    "callback",
    "inputs",
)
"""The ids of `proofs_checks.audit.checks.CHECKS`."""


def require_check_names(names: Iterable[str]) -> None:
    """Raise UnknownNameError for an id that is no check's."""
    for name in names:
        if name not in CHECK_NAMES:
            raise unknown("check", name, CHECK_NAMES)


def require_target_name(text: str) -> None:
    """A target without a colon is a sampler of this library.

    Raises
    ------
    ParameterError : it is a file without a function.
    UnknownNameError : it is none; lists all, and says how others are written.
    """
    base = text.partition("?")[0]
    if ":" not in base and base.endswith(".py"):
        raise ParameterError(f"name the function in the file, as {base}:sample; got {text!r}")
    if ":" not in base:
        adapters = ":..., ".join(LIBRARIES)
        forms = f"module:function, file.py:function, module:Class, pipe:COMMAND or {adapters}:..."
        others = f"; of others, write {forms}"
        require_sampler_name(base, others)
