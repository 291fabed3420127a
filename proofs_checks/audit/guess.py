"""Another convention under which a sampler with a wrong law has the right one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from proofs_checks.audit.conventions import FRAMES, PREDICTIONS, Convention
from proofs_checks.audit.foreign import ForeignSampler
from proofs_checks.audit.measure import Limit, Measurement
from proofs_checks.audit.protocol import SamplerFailure, Target
from proofs_checks.audit.solver_objects import SolverObject

_STEPS = (16, 32, 64, 128)
_SHRINKS = 0.75
"""Errors on half the step, of a law that may be right: at order 1 they are half as large."""

_MOST = 2

_OUTPUTS = {
    "denoised": "the denoised state",
    "noise": "a noise",
    "velocity": "a velocity",
    "v": "a v",
    "score": "a score",
}
_STATES = {"ve": "x itself", "vp": "variance-preserving", "flow": "those of a flow"}


def guess(target: Target) -> str | None:
    """A sentence that names the frames and predictions for which the law is right.

    All others than the target's are tried on small grids. None if no other gives the law of the data's
    diffusion, or more than `_MOST` do; and for a sampler that chooses its levels.
    """
    if target.levels is not None:
        return None
    convention = getattr(target.sampler, "convention", Convention())
    right = list(itertools.islice(_right(target, convention), _MOST + 1))
    if not 0 < len(right) <= _MOST:
        return None
    return "it is " + ", or ".join(_said(limit, convention, other) for other, limit in right)


def _said(limit: Limit, convention: Convention, other: Convention) -> str:
    words = []
    if other.predicts != convention.predicts:
        words.append(f"the model's output were {_OUTPUTS[other.predicts]}")
    if other.frame != convention.frame:
        words.append(f"the states were {_STATES[other.frame]}")
    kind = "ODE" if limit.eta == 0 else "SDE"
    query = f"frame={other.frame}&predicts={other.predicts}"
    return f"the {kind}'s if {' and '.join(words)} (?{query})"


def _right(target: Target, convention: Convention) -> Iterator[tuple[Convention, Limit]]:
    """The other conventions with the right law, those that change less first."""
    pairs = [(frame, predicts) for frame in FRAMES for predicts in PREDICTIONS]
    pairs.sort(key=lambda p: (p[0] != convention.frame) + (p[1] != convention.predicts))
    for frame, predicts in pairs[1:]:
        other = replace(convention, frame=frame, predicts=predicts)
        limit = _limit(replace(target, sampler=_following(target, other)))
        if limit is not None and limit.law:
            yield other, limit


def _following(target: Target, convention: Convention) -> ForeignSampler | SolverObject:
    if isinstance(target.sampler, ForeignSampler | SolverObject):
        return replace(target.sampler, convention=convention)
    return ForeignSampler(target.sampler, convention)


def _limit(target: Target) -> Limit | None:
    """Its limit; None where two small grids rule it out, or it fails."""
    measured = Measurement(target, _STEPS)
    try:
        few, more = (float(measured.law_errors(measured.map(n)).norm()) for n in _STEPS[:2])
        return measured.limit if more < _SHRINKS * few else None
    except SamplerFailure:
        return None
