"""Exercises of the chapter on what a failed condition costs."""

from __future__ import annotations

import math

from proofs_checks import trees
from proofs_checks.claims.necessity import lowest_defect, predicted_error, run_error
from proofs_checks.exercises.answers import Key


def exercise_1() -> Key:
    """The problem of a forest."""
    forest = ((1,), (1,))
    right = sum(isinstance(tree, tuple) for tree in forest) + len(set(trees.leaves(forest)))
    return Key(
        right,
        (
            (2, "the pair of leaves has a coordinate as well"),
            (4, "both leaves are of one pair, and share its coordinate"),
        ),
        "a coordinate for each node below phi, and one for each pair of leaves",
    )


def exercise_2() -> Key:
    """What twice the steps bring."""
    right = 2 ** (lowest_defect("seeds-2").power - 1)
    return Key(
        right,
        (
            (2 ** lowest_defect("seeds-2").power, "a step errs by h^3, and there are 1/h of them"),
            (2, "that is SEEDS-1"),
        ),
        "a step errs by Delta h^(p+1); the errors of all steps add up",
    )


def exercise_3() -> Key:
    """A run beside the theorem."""
    steps, length = 64, 1.2
    right = run_error("seeds-1", steps, length) / predicted_error("seeds-1", steps, length)
    return Key(
        right,
        (
            (1, "that is the limit; at 64 steps the next power of h is still seen"),
            (math.inf, "the predicted error is not 0"),
        ),
        "divide `run_error` by `predicted_error` of proofs_checks.claims.necessity",
        within=1e-3,
    )
