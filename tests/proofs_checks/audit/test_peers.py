"""Other libraries' samplers: they follow the given grid, and solve the equation that they should."""

import importlib.util
import inspect
import itertools
import sys

import pytest
import torch

from proofs_checks.audit.draws import intercepted_draws
from proofs_checks.audit.measure import Measurement
from proofs_checks.audit.peers import diffrax, diffusers, library, torchsde
from proofs_checks.audit.targets import find_target
from seeds_theory.errors import LibraryError, ParameterError, UnknownNameError
from seeds_theory.grids import uniform_log_snr

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # A Brownian tree is asked for a time beyond its last one by rounding, or at the level 0.
    pytest.mark.filterwarnings("ignore:Should have t:UserWarning"),
]

VARIANCES = torch.logspace(-2, 2, 5, dtype=torch.float64).reshape(1, 5, 1, 1)
MEANS = VARIANCES.sqrt()
SIGMA_MAX, SIGMA_MIN = 20.0, 0.02

NEEDS = {
    "kdiffusion": ("torchsde", "torchdiffeq", "k_diffusion"),
    "diffusers": ("diffusers", "torchsde", "scipy"),
    "torchsde": ("torchsde",),
    "diffrax": ("diffrax",),
    "azula": ("azula", "einops"),
}
NAMES = {
    "kdiffusion": (
        *("sample_euler", "sample_euler_ancestral", "sample_heun", "sample_dpm_2"),
        *("sample_dpm_2_ancestral", "sample_lms", "sample_dpm_fast", "sample_dpm_adaptive"),
        *("sample_dpmpp_2s_ancestral", "sample_dpmpp_sde", "sample_dpmpp_2m"),
        *("sample_dpmpp_2m_sde", "sample_dpmpp_3m_sde"),
    ),
    "diffusers": tuple(diffusers.KINDS),
    "torchsde": tuple(torchsde.CALCULUS),
    "diffrax": diffrax.BY_INCREMENT + diffrax.BY_AREA + diffrax.OF_THE_ODE,
    "azula": (
        *("DDPMSampler", "DDIMSampler", "EulerSampler", "HeunSampler", "ItoSampler"),
        *("zABSampler", "vABSampler", "zEABSampler", "xEABSampler", "REABSampler", "PCSampler"),
    ),
}
OWN_LEVELS = ("sample_dpm_fast", "sample_dpm_adaptive")


def adapter(name):
    for module in NEEDS[name]:  # k_diffusion itself may not import
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    return library(name)


def grid(steps, *, to_zero=False):
    return torch.as_tensor(uniform_log_snr(SIGMA_MAX, SIGMA_MIN, steps, to_zero=to_zero))


class GaussianModel:
    def __init__(self):
        self.levels = []

    def __call__(self, x, sigma, *, shift=0.0):
        assert x.dtype == torch.float64 and sigma.shape == (len(x),)
        self.levels.append(float(sigma[0]))
        gain = VARIANCES / (VARIANCES + sigma.reshape(-1, 1, 1, 1) ** 2)
        return MEANS + gain * (x - MEANS) + shift


def unit_draw(number, like):
    """The draw of that number is one in a row of its own: rows of a result then are its weights."""
    assert number + 1 < len(like)
    values = torch.zeros_like(like)
    values[number + 1] = 1
    return values


def variance_error(sampler, steps, rows=400, **options):
    """The largest relative error of the final variance, over independent noises, exactly."""
    draws = iter(range(rows))
    if "noise_sampler" in inspect.signature(sampler).parameters:
        options["noise_sampler"] = lambda s, t: unit_draw(next(draws), x)
    x = torch.zeros(rows, 5, 1, 1, dtype=torch.float64)
    x[0], x[-1] = 1, 0
    with intercepted_draws(unit_draw, seed=0):
        end = sampler(GaussianModel(), x, grid(steps), **options)
    weights = (end - end[-1:]).square()  # the last row has neither state nor noise: the offset
    c = VARIANCES[0]
    variance = weights[0] * (c + SIGMA_MAX**2) + weights[1:].sum(0)
    return float((variance / (c + SIGMA_MIN**2) - 1).abs().max())


def order(sampler, steps=32, **options):
    errors = [variance_error(sampler, n, **options) for n in (steps, 2 * steps)]
    return float(torch.tensor(errors[0] / errors[1]).log2())


@pytest.mark.parametrize("name", NAMES)
def test_all_samplers_are_listed(name):
    assert adapter(name).names() == NAMES[name]


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize(("name", "sampler"), [(k, n) for k in NAMES for n in NAMES[k]])
def test_it_follows_the_grid(name, sampler, to_zero):
    run = adapter(name).load(sampler, {})
    model, sigmas, seen = GaussianModel(), grid(8, to_zero=to_zero), []
    torch.manual_seed(0)
    x = SIGMA_MAX * torch.randn(3, 5, 1, 1, dtype=torch.float64)
    end = run(model, x, sigmas, callback=seen.append, disable=True)
    assert end.shape == x.shape and end.dtype == torch.float64 and end.isfinite().all()
    assert set(seen[0]) >= {"x", "i", "sigma", "sigma_hat", "denoised"}
    if sampler in OWN_LEVELS:
        return
    visited = torch.tensor(model.levels, dtype=torch.float64)
    for sigma in sigmas[:-1]:
        assert float((visited / sigma - 1).abs().min()) < 1e-9
    assert [info["i"] for info in seen] == list(range(8))
    levels = torch.stack([torch.as_tensor(info["sigma"]) for info in seen])
    torch.testing.assert_close(levels, sigmas[:-1], rtol=1e-9, atol=0)
    torch.testing.assert_close(seen[0]["x"], x, rtol=1e-6, atol=1e-6)


ORDERS = [
    ("kdiffusion", "sample_euler", {}, 1),
    ("kdiffusion", "heun", {}, 2),
    ("kdiffusion", "dpm_2", {}, 2),
    ("kdiffusion", "dpmpp_2m", {}, 2),
    ("kdiffusion", "dpmpp_2s_ancestral", {"eta": 0.0}, 2),
    ("kdiffusion", "dpmpp_2m_sde", {}, 2),
    ("diffusers", "DDIMScheduler", {}, 1),
    ("diffusers", "DDIMScheduler", {"prediction_type": "v_prediction"}, 1),
    ("diffusers", "PNDMScheduler", {}, 2),
    ("diffusers", "PNDMScheduler", {"skip_prk_steps": True}, 2),
    ("diffusers", "EulerDiscreteScheduler", {}, 1),
    ("diffusers", "HeunDiscreteScheduler", {}, 2),
    ("diffusers", "KDPM2DiscreteScheduler", {}, 2),
    ("diffusers", "KDPM2AncestralDiscreteScheduler", {}, 2),
    ("diffusers", "DPMSolverMultistepScheduler", {}, 2),
    ("diffusers", "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, 2),
    ("diffusers", "DPMSolverSinglestepScheduler", {}, 2),
    ("diffusers", "DEISMultistepScheduler", {}, 2),
    ("diffusers", "EDMEulerScheduler", {}, 1),
    ("diffusers", "EDMDPMSolverMultistepScheduler", {}, 2),
    ("diffusers", "FlowMatchEulerDiscreteScheduler", {}, 1),
    ("diffusers", "FlowMatchHeunDiscreteScheduler", {}, 2),
    ("diffusers", "LTXEulerAncestralRFScheduler", {}, 1),
    ("diffusers", "SEEDSScheduler", {"solver_order": 1}, 1),
    ("diffusers", "SEEDSScheduler", {"use_flow_sigmas": True}, 2),
    ("diffusers", "SEEDSScheduler", {"solver_order": 3, "eta": 0.0}, 3),
    ("torchsde", "euler", {"eta": 0.5}, 1),
    ("torchsde", "heun", {"eta": 0.5}, 2),
    ("torchsde", "heun", {"eta": 2.0}, 2),
    ("torchsde", "srk", {"eta": 0.5}, 2),
    ("torchsde", "srk", {"eta": 0.5, "noise_type": "diagonal"}, 2),
    ("torchsde", "milstein", {"eta": 0.5, "sde_type": "stratonovich"}, 1),
    ("diffrax", "Euler", {"eta": 0.5}, 1),
    ("diffrax", "Heun", {"eta": 0.5}, 2),
    ("diffrax", "ShARK", {"eta": 1.0}, 2),
    ("diffrax", "Bosh3", {}, 3),
    ("diffrax", "Tsit5", {}, 5),
    ("azula", "DDPMSampler", {}, 1),
    ("azula", "HeunSampler", {}, 2),
    ("azula", "zEABSampler", {}, 2),
    ("azula", "xEABSampler", {}, 2),
]


@pytest.mark.parametrize(("name", "sampler", "options", "expected"), ORDERS)
def test_it_reaches_the_exact_variance_at_its_order(name, sampler, options, expected):
    run = adapter(name).load(sampler, options)
    slow = name in ("torchsde", "diffrax") and expected != 2  # to settle at its order
    rows = 3 if sampler in diffrax.OF_THE_ODE else 1300 if sampler == "srk" else 200
    assert order(run, 64 if slow else 32, rows=rows) == pytest.approx(expected, abs=0.25)


SAME = [
    ("euler", "EulerDiscreteScheduler", {}),
    ("euler", "DDIMScheduler", {"prediction_type": "sample"}),
    ("euler", "EDMEulerScheduler", {"sigma_data": 2.0}),
    ("euler", "FlowMatchEulerDiscreteScheduler", {}),
    ("heun", "HeunDiscreteScheduler", {"prediction_type": "v_prediction"}),
    ("dpm_2", "KDPM2DiscreteScheduler", {}),
    ("lms", "LMSDiscreteScheduler", {}),
    ("dpmpp_2m", "DPMSolverMultistepScheduler", {"prediction_type": "v_prediction"}),
    (
        "dpmpp_2m",
        "DPMSolverMultistepScheduler",
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    ),
    ("dpmpp_2m", "EDMDPMSolverMultistepScheduler", {"prediction_type": "v_prediction"}),
]


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize(("k_diffusion", "scheduler", "options"), SAME)
def test_two_libraries_take_the_same_steps(k_diffusion, scheduler, options, to_zero):
    x = SIGMA_MAX * torch.linspace(-1, 2, 15, dtype=torch.float64).reshape(3, 5, 1, 1)
    sigmas = grid(20, to_zero=to_zero)  # DPM++ 2M is Euler in its last steps below 15
    runs = (
        adapter("kdiffusion").load(k_diffusion, {}),
        adapter("diffusers").load(scheduler, options),
    )
    ends = [run(GaussianModel(), x, sigmas, disable=True) for run in runs]
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("solver_order", [1, 2, 3])
def test_our_scheduler_has_the_orders_of_our_methods(solver_order):
    adapter("diffusers")
    found = find_target(f"diffusers:SEEDSScheduler?solver_order={solver_order}")
    own, errors = find_target(f"seeds-{solver_order}"), []
    assert found.takes_noise_sampler
    for target in (found, own):
        measured = Measurement(target, (32, 64, 128, 256))
        assert measured.weak_curve.order.value == pytest.approx(min(solver_order, 2), abs=0.05)
        assert measured.strong_curve.order.value == pytest.approx(1, abs=0.05)
        assert str(measured.limit) == "SDE, eta 1"
        errors.append(measured.weak_curve.errors)
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)


def test_torchsde_and_diffrax_take_the_same_steps_on_one_path():
    x = SIGMA_MAX * torch.linspace(-1, 2, 15, dtype=torch.float64).reshape(3, 5, 1, 1)
    sigmas, stretches = grid(20, to_zero=True), []

    def noise_sampler(sigma, sigma_next):
        stretches.append((float(sigma), float(sigma_next)))
        return torch.cos(torch.arange(15.0, dtype=torch.float64) * sigma).reshape(3, 5, 1, 1)

    ends = [
        adapter(name).load(method, {})(GaussianModel(), x, sigmas, noise_sampler=noise_sampler)
        for name, method in (("torchsde", "midpoint"), ("diffrax", "Midpoint"))
    ]
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-12)
    levels = sigmas.tolist()
    assert stretches == 2 * list(itertools.pairwise(levels[:-1]))


def test_a_general_solver_asks_for_no_noise_at_eta_zero():
    x = torch.ones(3, 5, 1, 1, dtype=torch.float64)
    for name, method in (("torchsde", "srk"), ("torchsde", "euler"), ("diffrax", "SRA1")):
        run = adapter(name).load(method, {"eta": 0.0})
        torch.manual_seed(0)
        first = run(GaussianModel(), x, grid(8))
        torch.testing.assert_close(run(GaussianModel(), x, grid(8)), first, rtol=0, atol=0)


def test_diffrax_leaves_jax_in_its_precision():
    run = adapter("diffrax").load("Euler", {})
    import jax.numpy as jnp

    before = jnp.ones(1).dtype
    run(GaussianModel(), torch.ones(3, 5, 1, 1, dtype=torch.float64), grid(2))
    assert jnp.ones(1).dtype == before


DETERMINISTIC = [
    ("kdiffusion", "sample_heun", {}),
    ("diffusers", "HeunDiscreteScheduler", {}),
    ("torchsde", "heun", {"eta": 0.0}),
    ("diffrax", "Heun", {"eta": 0.0}),
    ("azula", "HeunSampler", {}),
]


@pytest.mark.parametrize(("name", "sampler", "options"), DETERMINISTIC)
def test_extra_arguments_reach_the_model(name, sampler, options):
    run = adapter(name).load(sampler, options)
    x, sigmas = torch.ones(3, 5, 1, 1, dtype=torch.float64), grid(8, to_zero=True)
    ends = [run(GaussianModel(), x, sigmas, extra_args={"shift": s}) for s in (0.0, 0.5)]
    assert (ends[1] - ends[0]).min() > 0.4


def keywords(name, sampler, options=None):
    run = adapter(name).load(sampler, options or {})
    parameters = inspect.signature(run).parameters
    assert [*parameters][:6] == ["model", "x", "sigmas", "extra_args", "callback", "disable"]
    return {key: p.default for key, p in [*parameters.items()][6:]}


def test_signatures_list_what_there_is():
    assert keywords("kdiffusion", "dpmpp_2m") == {}
    assert keywords("kdiffusion", "dpmpp_2m_sde", {"eta": 0.3}) == {
        "eta": 0.3,
        "s_noise": 1.0,
        "noise_sampler": None,
        "solver_type": "midpoint",
    }
    assert keywords("diffusers", "DDIMScheduler", {"eta": 1.0})["eta"] == 1.0
    assert "noise_sampler" not in keywords("diffusers", "DDPMScheduler")
    assert keywords("torchsde", "euler", {"eta": 0.5}) == {"eta": 0.5, "noise_sampler": None}
    assert keywords("torchsde", "srk") == {"eta": 1.0}
    assert keywords("diffrax", "ShARK") == {"eta": 1.0}
    assert keywords("diffrax", "Tsit5") == {}


WRONG = [
    ("kdiffusion", "sample_nothing", {}, UnknownNameError, "known: sample_euler"),
    ("kdiffusion", "euler", {"eta": 1.0}, ParameterError, "known: s_churn"),
    ("diffusers", "LCMScheduler", {}, UnknownNameError, "consistency models"),
    ("diffusers", "EulerScheduler", {}, UnknownNameError, "known: DDPMScheduler"),
    ("diffusers", "SEEDSScheduler", {"flow_shift": 3.0}, ParameterError, "known: solver_order"),
    ("diffusers", "DDIMScheduler", {"beta_end": 0.1}, ParameterError, "no option 'beta_end'"),
    ("diffusers", "DDIMScheduler", {"prediction_type": "x"}, ParameterError, "known: epsilon"),
    ("torchsde", "adjoint_reversible_heun", {}, UnknownNameError, "known: euler"),
    ("torchsde", "euler", {"sde_type": "stratonovich"}, ParameterError, "of sde_type 'ito'"),
    ("torchsde", "euler", {"noise_type": "general"}, ParameterError, "additive, diagonal"),
    ("diffrax", "Kvaerno3", {}, UnknownNameError, "implicit"),
    ("diffrax", "Tsit5", {"eta": 1.0}, ParameterError, "known: none"),
    ("azula", "Sampler", {}, UnknownNameError, "known: DDPMSampler"),
    ("azula", "DDIMSampler", {"steps": 3}, ParameterError, "known: eta"),
]


@pytest.mark.parametrize(("name", "sampler", "options", "error", "says"), WRONG)
def test_what_it_does_not_have_is_said_in_a_line(name, sampler, options, error, says):
    with pytest.raises(error, match=says) as raised:
        adapter(name).load(sampler, options)
    assert "\n" not in str(raised.value)


def test_an_unknown_library_is_refused():
    with pytest.raises(UnknownNameError, match="known: kdiffusion"):
        library("pandas")


def test_an_error_of_a_scheduler_comes_through():
    options = {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}
    run = adapter("diffusers").load("EDMDPMSolverMultistepScheduler", options)
    with pytest.raises(UnboundLocalError):
        run(GaussianModel(), torch.ones(1, 5, 1, 1, dtype=torch.float64), grid(8))


@pytest.mark.parametrize(
    ("name", "module"), [("diffusers", "diffusers"), ("torchsde", "torchsde"), ("azula", "azula")]
)
def test_a_missing_library_is_said_with_its_command(monkeypatch, name, module):
    for loaded in [m for m in sys.modules if m.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LibraryError, match="pip install"):
        library(name).names()


def test_k_diffusion_leaves_no_broken_modules_behind():
    sampling = adapter("kdiffusion").sampling_module
    sampling.cache_clear()
    before = {m for m in sys.modules if m.split(".")[0] == "k_diffusion"}
    assert sampling().sample_euler.__name__ == "sample_euler"
    after = {m for m in sys.modules if m.split(".")[0] == "k_diffusion"}
    assert after == before or "k_diffusion.sampling" in after
