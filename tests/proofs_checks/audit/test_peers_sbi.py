"""sbi's diffuser: it follows the grid, and solves the SDE of its squared eta."""

import pytest
from adapted import follows_the_grid, keywords, require_names

from proofs_checks.audit.entries.sbi import ENTRIES
from proofs_checks.audit.measure import Measurement
from proofs_checks.audit.peers import sbi
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import ParameterError


def test_the_entries_are_different_and_of_this_adapter():
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)
    assert {target.partition(":")[0] for target in targets} == {"sbi"}


@pytest.fixture(autouse=True)
def _needs_it():
    require_names(sbi)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("name", sbi.CORRECTORS)
def test_it_follows_the_grid(name, to_zero):
    follows_the_grid(sbi.load(name, {}), to_zero=to_zero)


def test_the_predictor_solves_the_sde_of_its_squared_eta():
    measured = Measurement(find_target("sbi:euler_maruyama?eta=0.5"), (32, 64, 128, 256))
    assert measured.weak_curve.slopes[-1] == pytest.approx(1, abs=0.15)
    assert measured.limit.law and measured.limit.eta == pytest.approx(0.25, abs=0.01)


def test_options_of_a_corrector_belong_to_it():
    assert keywords(sbi.load("gibbs", {"num_steps": 2})) == {"eta": 1.0, "num_steps": 2}
    with pytest.raises(ParameterError, match="no option 'step_size'"):
        sbi.load("gibbs", {"step_size": 0.1})
