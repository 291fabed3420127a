"""deepinv's solvers: they follow the grid on each process, at their orders."""

import pytest
from adapted import follows_the_grid, keywords, order, require_names

from proofs_checks.audit.entries.deepinv import ENTRIES
from proofs_checks.audit.peers import deepinv
from seeds_theory.errors import ParameterError


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"deepinv"}


@pytest.fixture(autouse=True)
def _needs_it():
    require_names(deepinv)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", deepinv.SOLVERS)
@pytest.mark.parametrize("sde", deepinv.PROCESSES)
def test_it_follows_the_grid(sde, name, to_zero):
    follows_the_grid(deepinv.load(name, {"sde": sde}), to_zero=to_zero)


ORDERS = [
    ("EulerSolver?sde=ve", 1),
    ("HeunSolver?sde=ve", 2),
    ("HeunSolver?alpha=0.0", 2),
    ("AncestralSolver", 1),
    ("DDIMSolver", 1),
    ("DDIMSolver?eta=1.0", 1),
]


@pytest.mark.parametrize(("name", "expected"), ORDERS)
def test_it_reaches_the_exact_law_at_its_order(name, expected):
    assert order(f"deepinv:{name}") == pytest.approx(expected, abs=0.25)


def test_a_solver_shows_the_options_it_has():
    assert keywords(deepinv.load("HeunSolver", {})) == {"sde": "edm", "alpha": 1.0}
    assert keywords(deepinv.load("DDPMSolver", {})) == {"variance": "small", "sde": "edm"}
    with pytest.raises(ParameterError, match="one of edm, ve, vp, flow"):
        deepinv.load("DDPMSolver", {"sde": "cosine"})
