"""RES4LYF's methods, where its checkout and ComfyUI's are."""

import pytest
import torch

from proofs_checks.audit.entries import res4lyf as entries
from proofs_checks.audit.peers import checkout, comfyui, library, res4lyf
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import LibraryError, ParameterError, UnknownNameError
from seeds_theory.grids import uniform_log_snr

X = torch.tensor([[-30.0], [1.0], [25.0]], dtype=torch.float64)[..., None, None]


@pytest.fixture
def real():
    try:
        library("res4lyf").names()
    except LibraryError as error:
        pytest.skip(str(error))


def test_without_a_checkout_the_way_out_is_said(monkeypatch):
    monkeypatch.delenv(checkout.VARIABLE, raising=False)
    comfyui.comfy.cache_clear()
    res4lyf._modules.cache_clear()
    with pytest.raises(LibraryError, match="make checkouts"):
        library("res4lyf").names()


def test_entries_are_named_once():
    targets = [entry.target for entry in entries.ENTRIES]
    assert len(set(targets)) == len(targets)


@pytest.mark.slow
def test_what_is_not_known_is_refused(real):
    with pytest.raises(UnknownNameError, match="res_2s"):
        res4lyf.load("res_2", {})
    with pytest.raises(ParameterError, match="frame is one of eps, flow"):
        res4lyf.load("res_2s", {"frame": "edm"})
    with pytest.raises(ParameterError, match="eta"):
        res4lyf.load("res_2s", {"eta": 0.5})


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["eps", "flow"])
def test_a_method_of_order_2_is_near_the_solution_in_both_frames(real, frame):
    sigmas, levels = torch.as_tensor(uniform_log_snr(20.0, 0.02, 32)), []

    def model(x, sigma):
        levels.append(float(sigma[0]))
        return 1 + 4 / (4 + sigma.reshape(-1, 1, 1, 1) ** 2) * (x - 1)

    sampler = res4lyf.load("res_2s", {"frame": frame, "BONGMATH": False})
    result = sampler(model, X, sigmas, disable=True)
    exact = 1 + ((4 + 0.02**2) / (4 + 20**2)) ** 0.5 * (X - 1)
    assert (result - exact).abs().max() < 0.01
    assert len(levels) == 64 and levels[::2] == pytest.approx(sigmas[:-1].tolist(), rel=1e-9)


@pytest.mark.slow
def test_every_entry_is_found(real):
    for entry in entries.ENTRIES:
        find_target(entry.target)
