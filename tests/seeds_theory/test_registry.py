"""Names that are not known: one line, which has the nearest name and all of them."""

import pytest

from seeds_theory import METHODS, UnknownNameError, make_plan, sample
from seeds_theory.baselines import BASELINES
from seeds_theory.errors import unknown
from seeds_theory.registry import Registry
from seeds_theory.solver import Solver

LETTERS = Registry("letter", {"alpha": 1, "beta": 2})


def test_a_registry_is_a_dictionary():
    assert LETTERS["beta"] == 2
    assert dict(LETTERS) == {"alpha": 1, "beta": 2}
    assert LETTERS.get("gamma") is None
    assert "gamma" not in LETTERS


def test_a_name_that_it_does_not_have_is_an_error_that_lists_those_it_has():
    with pytest.raises(UnknownNameError, match=r"^unknown letter 'x'; known: alpha, beta$"):
        LETTERS["x"]


@pytest.mark.parametrize("name", ["alhpa", "Alpha", "alph@0.5"])
def test_a_near_name_is_proposed(name):
    assert str(unknown("letter", name, LETTERS, "; that is all")) == (
        f"unknown letter {name!r} (did you mean 'alpha'?); known: alpha, beta; that is all"
    )


@pytest.mark.parametrize(
    ("registry", "name", "near"),
    [(BASELINES, "sa_solver", "sa-solver"), (METHODS, "seeds3", "seeds-3")],
)
def test_the_registries_of_samplers_propose_names(registry, name, near):
    with pytest.raises(UnknownNameError, match=f"did you mean '{near}'"):
        registry[name]


@pytest.mark.parametrize("name", ["seeds-2m", "euler"])
def test_a_plan_of_a_baseline_is_refused_with_what_runs_it(name):
    with pytest.raises(
        UnknownNameError, match=rf"unknown method '{name}'.*a baseline, as 'seeds-2m', has no plan"
    ):
        make_plan(name, [2.0, 1.0])
    assert Solver(name).nfe([2.0, 1.0]) >= 1


def test_every_entry_point_proposes_the_same_name():
    for call in (
        lambda: make_plan("sedes-3", [2.0, 1.0]),
        lambda: sample(lambda x, sigma: x, "sedes-3", shape=(1,), seeds=[0]),
        lambda: Solver("sedes-3@0.5"),
    ):
        with pytest.raises(UnknownNameError, match=r"did you mean 'seeds-3'\?"):
            call()
