"""ComfyUI's samplers: a package that behaves like comfy stands in where there is none."""

import itertools
import sys
from pathlib import Path

import pytest
import torch

from proofs_checks.audit.entries import comfyui as entries
from proofs_checks.audit.peers import checkout, comfyui, library
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import LibraryError, ParameterError, SeedsError, UnknownNameError
from seeds_theory.grids import uniform_log_snr

SIGMAS = torch.tensor([20.0, 3.0, 0.5, 0.02], dtype=torch.float64)
X = torch.tensor([[-30.0], [1.0], [25.0]], dtype=torch.float64)[..., None, None]

SINGLE = ("uni_pc", "uni_pc_bh2")


class Model:
    """E[x_0 | x] of data N(1, 4); writes down what it is asked."""

    def __init__(self):
        self.levels, self.extra = [], []

    def __call__(self, x, sigma, **extra):
        assert sigma.shape == (len(x),) and sigma.dtype == x.dtype
        self.levels.append(float(sigma[0]))
        self.extra.append(extra)
        return 1 + 4 / (4 + sigma.reshape(-1, 1, 1, 1) ** 2) * (x - 1)


def euler(model, x, sigmas):
    for s, t in itertools.pairwise(sigmas):
        denoised = model(x, s * x.new_ones(len(x)))
        x = denoised + t / s * (x - denoised)
    return x


@pytest.fixture
def comfy(monkeypatch):
    """The adapter with the stub on the path."""

    def forget():
        comfyui.comfy.cache_clear()
        for name in [n for n in sys.modules if n.partition(".")[0] == "comfy"]:
            del sys.modules[name]

    forget()
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "comfy_stub"))
    yield library("comfyui")
    forget()


def test_names(comfy):
    assert comfy.names() == (
        *("euler", "euler_cfg_pp", "exact_noise", "stochastic", "ends"),
        *("uni_pc", "uni_pc_bh2"),
    )


@pytest.mark.parametrize("frame", ["eps", "flow"])
@pytest.mark.parametrize("name", ["euler", "euler_cfg_pp", "uni_pc", "uni_pc_bh2"])
def test_a_solver_of_the_ode_is_the_same_in_both_frames(comfy, name, frame):
    # Euler's method in t is that in sigma: both are exact for a constant estimate.
    model, reference = Model(), Model()
    result = comfy.load(name, {"frame": frame})(model, X, SIGMAS, extra_args={"condition": 1})
    rounding = 1e-5 if name in SINGLE else 1e-12
    assert result.dtype == X.dtype
    assert torch.allclose(result, euler(reference, X, SIGMAS), rtol=rounding)
    assert model.levels == pytest.approx(reference.levels, rel=rounding)
    assert model.extra == [{"condition": 1}] * 3


@pytest.mark.parametrize("frame", ["eps", "flow"])
def test_noise_is_asked_for_at_the_levels_of_the_grid(comfy, frame):
    asked = []

    def noise(sigma, sigma_next):
        asked.append((float(sigma), float(sigma_next)))
        return torch.ones_like(X)

    model = Model()
    result = comfy.load("exact_noise", {"frame": frame})(model, X, SIGMAS, noise_sampler=noise)
    pairs = list(itertools.pairwise(SIGMAS.tolist()))
    assert asked == [pytest.approx(pair, rel=1e-12) for pair in pairs]
    # With noise of 1, a state is the estimate before it and its level.
    reference = X
    for s, t in pairs:
        reference = Model()(reference, torch.full((3,), s, dtype=torch.float64)) + t
    assert torch.allclose(result, reference, rtol=1e-12)


@pytest.mark.parametrize("frame", ["eps", "flow"])
def test_the_callback_is_in_the_frame_of_the_audit(comfy, frame):
    seen = []
    comfy.load("euler", {"frame": frame})(Model(), X, SIGMAS, callback=seen.append)
    assert [call["i"] for call in seen] == [0, 1, 2]
    for key in ("sigma", "sigma_hat"):
        assert [float(c[key]) for c in seen] == pytest.approx(SIGMAS[:-1].tolist(), rel=1e-12)
    states = [euler(Model(), X, SIGMAS[: i + 1]) for i in range(3)]
    for call, state in zip(seen, states, strict=True):
        assert torch.allclose(call["x"], state, rtol=1e-12)
        estimate = Model()(state, call["sigma"] * torch.ones(3, dtype=torch.float64))
        assert torch.allclose(call["denoised"], estimate, rtol=1e-12)


def test_a_callback_without_a_level_passes(comfy):
    seen = []
    comfy.load("uni_pc", {})(Model(), X, SIGMAS, callback=seen.append)
    assert [call["i"] for call in seen] == [0, 1, 2]


def test_a_number_for_a_function_of_the_level(comfy):
    assert (comfy.load("stochastic", {"tau": 0.5})(Model(), X, SIGMAS) == 2.0).all()
    assert (comfy.load("stochastic", {})(Model(), X, SIGMAS) == 3.0).all()  # below level 8


def test_own_levels_between_the_ends_of_a_grid(comfy):
    ends = SIGMAS[[0, -1]]
    assert torch.allclose(comfy.load("ends", {})(Model(), X, SIGMAS), euler(Model(), X, ends))


def test_the_given_extra_args_stay(comfy):
    extra = {"seed": 1}
    comfy.load("euler_cfg_pp", {})(Model(), X, SIGMAS, extra_args=extra)
    assert extra == {"seed": 1}


def test_what_is_not_known_is_refused(comfy):
    with pytest.raises(UnknownNameError, match="euler"):
        comfy.load("eulr", {})
    with pytest.raises(ParameterError, match="frame is one of eps, flow"):
        comfy.load("euler", {"frame": "edm"})
    with pytest.raises(SeedsError, match="order"):
        comfy.load("euler", {"order": 2})


def test_others_import_the_same_comfy(comfy):
    loaded = comfyui.comfy().modules["comfy.model_sampling"]
    with comfyui.importable():
        assert sys.modules["comfy.model_sampling"] is loaded


def test_without_comfy_and_checkout_the_way_out_is_said(monkeypatch):
    monkeypatch.delenv(checkout.VARIABLE, raising=False)
    comfyui.comfy.cache_clear()
    with pytest.raises(LibraryError, match="make checkouts"):
        library("comfyui").names()


def test_entries_are_named_once():
    targets = [entry.target for entry in entries.ENTRIES]
    assert len(set(targets)) == len(targets)


@pytest.fixture
def real():
    """The checkout's own."""
    comfyui.comfy.cache_clear()
    try:
        library("comfyui").names()
    except LibraryError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a tree is asked for a time beyond its last one by rounding
@pytest.mark.parametrize("entry", entries.ENTRIES, ids=lambda entry: entry.target)
def test_every_entry_runs_on_the_grid(real, entry):
    model, sigmas = Model(), torch.as_tensor(uniform_log_snr(20.0, 0.02, 64))
    target = find_target(entry.target)
    if "rhoab" in entry.target:  # a defect: one weight more than the order
        with pytest.raises(ValueError, match="too many values"):
            target.sampler(model, X.clone(), sigmas, disable=True)
        return
    result = target.sampler(model, X.clone(), sigmas, disable=True)
    assert result.shape == X.shape and result.isfinite().all()
    assert model.levels[0] == pytest.approx(20.0, rel=0.2)  # churn starts above it
