import math

import mpmath
import pytest
from typer.testing import CliRunner

from proofs_checks.emission import distance
from proofs_checks.mutate import app
from proofs_checks.mutation import code_mutants, killer, mutants, run
from seeds_theory import METHODS, SEEDS, make_plan


@pytest.mark.slow
def test_every_change_of_a_coefficient_makes_a_claim_fail():
    results = run(SEEDS)
    survivors = [f"{mutant.method}, {mutant.change}" for mutant, by in results if by is None]
    assert survivors == [], f"killed {len(results) - len(survivors)} of {len(results)}"
    assert len(results) > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in METHODS if name not in SEEDS])
def test_changes_of_the_methods_beyond_make_a_claim_fail(name):
    some = list(mutants(name))[::12]  # `seeds-mutate` takes all, in minutes
    assert [mutant.change for mutant in some if killer(mutant) is None] == []


LONG = ("seeds-3", "seeds-3b", "seeds-3s", "seeds-4s")
EVERY = [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in METHODS]


@pytest.mark.parametrize("name", EVERY)
def test_the_mutants_differ_from_the_method_and_from_each_other(name):
    found, method = list(mutants(name)), METHODS[name]
    built = [mutant.family.build(*mutant.family.nodes) for mutant in found]
    assert method.build(*method.nodes) not in built
    assert len({mutant.change for mutant in found}) == len(built)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_changes_of_the_emitted_code_make_a_claim_fail(name):
    some = list(code_mutants(name))[::25]  # `seeds-mutate` takes all
    assert [mutant.change for mutant in some if killer(mutant) is None] == []


def test_a_mutant_is_gone_afterwards():
    before = make_plan("seeds-2", [2.0, 1.0])
    for mutant in (next(mutants("seeds-2")), next(code_mutants("seeds-2"))):
        with mutant.installed():
            assert make_plan("seeds-2", [2.0, 1.0]) != before
        assert make_plan("seeds-2", [2.0, 1.0]) == before


def test_the_command_reports_what_was_killed():
    result = CliRunner().invoke(app, ["seeds-1"])
    assert result.exit_code == 0
    count = len(list(mutants("seeds-1"))) + len(list(code_mutants("seeds-1")))
    assert f"killed / total: {count} / {count} = 1.000" in result.stdout


def test_a_mutant_that_survives_is_exit_status_one(monkeypatch):
    monkeypatch.setattr("proofs_checks.mutation.killer", lambda mutant: None)
    result = CliRunner().invoke(app, ["seeds-1"])
    assert result.exit_code == 1
    assert "survived: seeds-1, noise 0 0: times -1" in result.stdout


@pytest.mark.slow
def test_the_code_of_every_order_of_the_nodes_is_changed():
    functions = {mutant.function for mutant in code_mutants("seeds-3")}
    assert functions == {"data", "data_10", "noise", "noise_10"}


def test_numbers_beyond_the_formula_are_zeros_and_none_is_missing():
    wanted = [mpmath.mpf(1), mpmath.mpf(2)]
    assert distance([1.0, 2.0, 0.0], wanted) == distance([1.0, 2.0], wanted) == 0
    assert distance([1.0, 2.0, 0.5], wanted) == 0.25
    assert distance([1.0], wanted) == distance([1.0, math.nan], wanted) == math.inf
