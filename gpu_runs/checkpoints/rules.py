"""What a value out of a file has to be: types, names and bounds, and the line that says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gpu_runs.errors import CheckpointError, shown


class Rule(NamedTuple):
    """What a value has to be, for the program and for the reader."""

    holds: Callable[[Any], bool]
    wording: str


def integer(low: int, high: int, multiple_of: int = 1) -> Rule:
    """An integer in a range, both ends included."""
    return Rule(
        lambda value: type(value) is int and low <= value <= high and value % multiple_of == 0,
        f"an integer from {low} to {high}" + (f", a multiple of {multiple_of}" * (multiple_of > 1)),
    )


def real(low: float, high: float) -> Rule:
    """A number in a range, both ends included; NaN is none."""
    return Rule(
        lambda value: type(value) in (int, float) and low <= value <= high,
        f"a number from {low:g} to {high:g}",
    )


def or_none(rule: Rule) -> Rule:
    """None too."""
    return Rule(lambda value: value is None or rule.holds(value), f"null, or {rule.wording}")


def one_of(*names: str) -> Rule:
    """One of these strings."""
    return Rule(lambda value: isinstance(value, str) and value in names, " or ".join(names))


def list_of(rule: Rule, least: int, most: int) -> Rule:
    """A list or tuple of so many values, each by the rule."""
    return Rule(
        lambda value: (
            isinstance(value, list | tuple)
            and least <= len(value) <= most
            and all(rule.holds(item) for item in value)
        ),
        f"a list of {least} to {most}, each {rule.wording}",
    )


FLAG = Rule(lambda value: type(value) is bool, "true or false")


def check_all(values: object, rules: Mapping[str, Rule], kind: str) -> None:
    """All values have a rule and keep it; `kind` is what one of them is called. Raises CheckpointError."""
    if not isinstance(values, dict):
        raise CheckpointError(f"the {kind} has to be a dict; it is {shown(values)}")
    for name, value in values.items():
        if name not in rules:
            known = ", ".join(rules) or "none"
            raise CheckpointError(f"{shown(name)} is no {kind}; known: {known}")
        check(f"{kind} {name}", value, rules[name])


def check(name: str, value: object, rule: Rule) -> None:
    """A value keeps a rule; raises CheckpointError."""
    if not rule.holds(value):
        raise CheckpointError(f"{name} has to be {rule.wording}; it is {shown(value)}")
