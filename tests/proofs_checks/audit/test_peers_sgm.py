"""Stability's samplers, where the checkout is."""

import pytest
import torch

from proofs_checks.audit.entries import sgm as entries
from proofs_checks.audit.peers import checkout, library, sgm
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import LibraryError, SeedsError, UnknownNameError
from seeds_theory.grids import uniform_log_snr

X = torch.tensor([[-30.0], [1.0], [25.0]], dtype=torch.float64)[..., None, None]


@pytest.fixture
def real():
    try:
        library("sgm").names()
    except LibraryError as error:
        pytest.skip(str(error))


def test_without_a_checkout_the_way_out_is_said(monkeypatch):
    monkeypatch.delenv(checkout.VARIABLE, raising=False)
    with pytest.raises(LibraryError, match="make checkouts"):
        library("sgm").names()


def test_entries_are_named_once():
    targets = [entry.target for entry in entries.ENTRIES]
    assert len(set(targets)) == len(targets)


def test_names_and_options(real):
    assert set(sgm.names()) == {entry.target[4:].partition("?")[0] for entry in entries.ENTRIES}
    with pytest.raises(UnknownNameError, match="HeunEDMSampler"):
        sgm.load("HeunSampler", {})
    with pytest.raises(SeedsError, match="s_churn"):
        sgm.load("HeunEDMSampler", {"churn": 10})


@pytest.mark.parametrize("entry", entries.ENTRIES, ids=lambda entry: entry.target)
def test_every_entry_runs_on_the_grid(real, entry):
    sigmas, levels = torch.as_tensor(uniform_log_snr(20.0, 0.02, 16)), []

    def model(x, sigma, condition):
        assert condition == 1 and sigma.shape == (3,)
        levels.append(float(sigma[0]))
        return 1 + 4 / (4 + sigma.reshape(-1, 1, 1, 1) ** 2) * (x - 1)

    x = X.clone()
    result = find_target(entry.target).sampler(model, x, sigmas, {"condition": 1})
    assert torch.equal(x, X) and result.shape == X.shape and result.isfinite().all()
    if "churn" not in entry.target:
        assert levels[0] == pytest.approx(20.0)
