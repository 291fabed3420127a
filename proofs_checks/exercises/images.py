"""Exercises of the chapter on images."""

from __future__ import annotations

from proofs_checks.exercises.answers import Key
from seeds_theory import make_plan, uniform_log_snr
from toy_models import weak_errors
from toy_models.convergence import plan_response
from toy_models.images import fashion_mnist


def exercise_1() -> Key:
    """Where the variance of pictures is."""
    variances = fashion_mnist().variances
    shares = (variances.cumsum(0) / variances.sum()).tolist()
    right = next(count for count, share in enumerate(shares, 1) if share > 0.5)
    return Key(
        right,
        (
            (392, "that is half of the pixels; the variances fall fast"),
            (1, f"the first has a share of {shares[0]:.2f} alone"),
            (right - 1, f"so many have {shares[right - 2]:.3f} of it"),
        ),
        "add up `fashion_mnist().variances`, which descend, until more than half of their sum is reached",
    )


def exercise_2() -> Key:
    """Three samplers at twelve calls."""
    data, ends = fashion_mnist().in_eigenbasis(), (80.0, 0.002)

    def error(name: str, steps: int) -> float:
        response = plan_response(make_plan(name, uniform_log_snr(*ends, steps)), data)
        return float(weak_errors(response, data, *ends).norm())

    errors = {name: error(name, n) for name, n in (("seeds-1", 12), ("seeds-2", 6), ("seeds-3", 4))}
    right = min(errors, key=lambda name: errors[name])
    said = "its distance is {:.2f}, and another's is less"
    others = tuple((name, said.format(e)) for name, e in errors.items() if name != right)
    return Key(
        right, others, "compare `weak_errors` at 12, 6 and 4 steps; the answer is a method's name"
    )
