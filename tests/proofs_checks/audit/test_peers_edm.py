"""The code of EDM."""

import pytest
from checkouts import absent, checked_out, levels_asked, local_order

from proofs_checks.audit.entries import edm as entries
from proofs_checks.audit.peers import edm as adapter
from seeds_theory.errors import ParameterError, UnknownNameError


def test_its_entries_are_its_own_and_differ():
    targets = [entry.target for entry in entries.ENTRIES]
    assert len(set(targets)) == len(targets)
    names = {target.partition(":")[2].partition("?")[0] for target in targets}
    assert names == set(adapter.names())


def test_it_says_what_is_missing(monkeypatch):
    absent(adapter, monkeypatch)


def test_it_knows_its_names_and_options():
    with pytest.raises(UnknownNameError):
        adapter.load("no_sampler", {})
    checked_out(adapter)  # options are those of its functions
    with pytest.raises(ParameterError):
        adapter.load(adapter.names()[0], {"no_option": 1})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "order"),
    [
        ("edm:edm_sampler", 2),
        ("edm:edm_sampler?S_churn=10", 2),
        ("edm:ablation_sampler?solver=euler", 1),
        ("edm:ablation_sampler?schedule=vp&scaling=vp", 2),
    ],
)
def test_it_converges(target, order):
    checked_out(adapter)
    assert local_order(target) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize(
    "target",
    [
        "edm:edm_sampler",
        "edm:ablation_sampler?solver=euler",
    ],
)
def test_it_follows_the_grid(target, to_zero):
    checked_out(adapter)
    steps = 6
    told, visited = levels_asked(target, to_zero=to_zero, steps=steps)
    assert told == list(range(steps + to_zero))
    assert visited
