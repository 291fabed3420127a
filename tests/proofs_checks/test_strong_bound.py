"""The claims on the strong theorem fail if one of its constants is wrong."""

from dataclasses import replace

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.claims import convergence
from proofs_checks.ledger import Verdict, decide


def verdict(name):
    return decide(all_claims()[name]).verdict


@pytest.mark.parametrize("constant", ["step", "span", "c", "nu", "rho"])
def test_a_wrong_constant_in_the_bound_is_noticed(constant, monkeypatch):
    right = convergence.strong_constants

    def wrong(plan, variance):
        found = right(plan, variance)
        return replace(found, **{constant: 1.05 * getattr(found, constant)})

    monkeypatch.setattr(convergence, "strong_constants", wrong)
    assert verdict("convergence-strong-bound") is Verdict.refuted


def test_a_step_that_magnifies_more_than_allowed_is_noticed(monkeypatch):
    right = convergence.strong_constants
    monkeypatch.setattr(
        convergence,
        "strong_constants",
        lambda plan, variance: replace(right(plan, variance), c=0.98 * right(plan, variance).c),
    )
    assert verdict("convergence-strong-growth") is Verdict.refuted


@pytest.mark.parametrize("name", ["convergence-strong-bound", "convergence-strong-recursion"])
def test_a_wrong_rate_or_share_is_noticed(name, monkeypatch):
    monkeypatch.setattr(convergence, "LOCAL_SHARE", 2)
    assert verdict(name) is Verdict.refuted
    monkeypatch.undo()
    monkeypatch.setattr(convergence, "growth_rate", lambda c: 1 + 4 * c + 2 * c**2)
    assert verdict(name) is Verdict.refuted


def test_with_the_right_constants_they_hold():
    assert verdict("convergence-strong-bound") is Verdict.measured
    assert verdict("convergence-strong-growth") is Verdict.measured
    assert verdict("convergence-strong-recursion") is Verdict.proved
