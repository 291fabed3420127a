"""What is written for diffusers and ComfyUI, run there beside ours on the same noise."""

from __future__ import annotations

import copy
import importlib.util
import io
import itertools
import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from exported import written
from torch import Tensor

from seeds_theory import UnknownNameError
from seeds_theory.emit.method import method_program
from seeds_theory.emit.targets import target
from seeds_theory.sources import NoiseSource

diffusers = pytest.importorskip("diffusers")

from diffusers.pipelines.flux.pipeline_flux import retrieve_timesteps  # noqa: E402
from diffusers.utils.torch_utils import randn_tensor  # noqa: E402
from pipeline_networks import unconditional  # noqa: E402

from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
ZERO_SNR = {
    **STABLE_DIFFUSION,
    "rescale_betas_zero_snr": True,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
}


def imported(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pickle looks for its classes
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["data", "noise"])
def prediction(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def theirs(prediction: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """The class that was written."""
    (path,) = written(tmp_path_factory.mktemp(prediction), "diffusers", "seeds-3", prediction)
    return imported(path, f"scheduling_seeds_{prediction}").SEEDSScheduler


@pytest.fixture(scope="module")
def ours(prediction: str) -> Callable[..., SEEDSScheduler]:
    return lambda **options: SEEDSScheduler(algorithm=prediction, **options)


@pytest.fixture(scope="module")
def close(prediction: str) -> dict[str, float]:
    """In noise prediction, a step divides rounding by the noise level that it ends at."""
    return dict.fromkeys(("rtol", "atol"), {"data": 1e-12, "noise": 1e-11}[prediction])


def normals(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def source(drawn: list[torch.Generator]) -> NoiseSource:
    """What these generators give to a scheduler of theirs."""
    return lambda intervals, like: torch.stack(
        [randn_tensor(like.shape, generator=drawn, dtype=like.dtype) for _ in intervals]
    )


def end(scheduler: Any, sample: Tensor, seeds: tuple[int, ...] = (4, 5), begin: int = 0) -> Tensor:
    """The loop of a pipeline, with a network that the sample and the timestep go through."""
    of_step: dict[str, Any] = {"generator": generators(*seeds)}
    if isinstance(scheduler, SEEDSScheduler):  # whose generators have children
        scheduler.noise = source(of_step.pop("generator"))
    for t in scheduler.timesteps[begin:]:
        sample = scheduler.scale_model_input(sample, t)
        output = torch.tanh(1.3 * sample + round(float(t)) / 1000)
        sample = scheduler.step(output, t, sample, **of_step).prev_sample
    return sample


# ---------------------------------------------------------------------------------------- diffusers


def both(
    ours: Callable[..., Any], theirs: Callable[..., Any], grid: dict[str, Any], **options: Any
) -> tuple[SEEDSScheduler, Any]:
    pair = ours(**options), theirs(**options)
    for scheduler in pair:
        scheduler.set_timesteps(**grid)
    own, written = pair
    assert (own.order, own.num_inference_steps, own.init_noise_sigma, len(own)) == (
        written.order,
        written.num_inference_steps,
        written.init_noise_sigma,
        len(written),
    )
    torch.testing.assert_close(own.timesteps, written.timesteps, rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(own.sigmas, written.sigmas, rtol=1e-6, atol=0)
    return pair


GRIDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "linspace": ({"num_inference_steps": 5}, {}),
    "leading": ({"num_inference_steps": 5}, {"timestep_spacing": "leading", "steps_offset": 1}),
    "trailing": ({"num_inference_steps": 5}, {"timestep_spacing": "trailing"}),
    "karras": ({"num_inference_steps": 5}, {"use_karras_sigmas": True}),
    "exponential": ({"num_inference_steps": 5}, {"use_exponential_sigmas": True}),
    "karras of its own range": (
        {"num_inference_steps": 5},
        {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 0.8, "rho": 5.0},
    ),
    "exponential of its own range": (
        {"num_inference_steps": 5},
        {"use_exponential_sigmas": True, "sigma_min": 0.05, "sigma_max": 0.8},
    ),
    "sigmas": ({"sigmas": [9.0, 3.0, 0.7, 0.2]}, {}),
    "timesteps": ({"timesteps": torch.tensor([999, 600, 250, 3])}, {}),
    "one step": ({"num_inference_steps": 1}, {}),
    "one step of karras": ({"num_inference_steps": 1}, {"use_karras_sigmas": True}),
    "shift_terminal": ({"num_inference_steps": 5}, {"shift_terminal": 0.1}),
}


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_has_the_numbers_of_ours(
    grid: str, final: str, order: int, ours: Any, theirs: Any, close: Any
) -> None:
    given, options = GRIDS[grid]
    for eta, schedule in itertools.product((0.0, 0.4), (STABLE_DIFFUSION, FLOW)):
        if grid == "sigmas" and schedule is FLOW:
            given = {"sigmas": [0.9, 0.6, 0.3]}
        settings = {**schedule, **options, "final_sigmas_type": final}
        pair = both(ours, theirs, given, **settings, solver_order=order, eta=eta)
        results = [end(scheduler, normals(2, 3)) for scheduler in pair]
        torch.testing.assert_close(*results, **close)


@pytest.mark.parametrize("spacing", ["linspace", "leading", "trailing"])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
@pytest.mark.parametrize("steps", [999, 1000, 1500])
def test_more_steps_than_timesteps_are_those_of_ours(
    steps: int, final: str, spacing: str, ours: Any, theirs: Any
) -> None:
    settings = {"timestep_spacing": spacing, "final_sigmas_type": final, "solver_order": 1}
    own, _ = both(ours, theirs, {"num_inference_steps": steps}, **settings)
    assert len(own.timesteps) == steps


def test_the_betas_of_a_shifted_schedule_are_those_of_ours(ours: Any, theirs: Any) -> None:
    for zero in (False, True):
        shift = {"snr_shift_scale": 3.0, "rescale_betas_zero_snr": zero}
        own, written = (kind(**STABLE_DIFFUSION, **shift) for kind in (ours, theirs))
        torch.testing.assert_close(own.betas.double(), written.betas, rtol=1e-6, atol=1e-7)


def test_a_shift_that_is_set_is_that_of_ours(ours: Any, theirs: Any) -> None:
    pair = [kind(**FLOW, solver_order=2) for kind in (ours, theirs)]
    for scheduler in pair:
        scheduler.set_shift(2.5)
        scheduler.set_timesteps(4)
        assert scheduler.config.flow_shift == 2.5
        with pytest.raises(ValueError, match="positive"):
            scheduler.set_shift(0.0)
    torch.testing.assert_close(pair[0].sigmas, pair[1].sigmas, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sigma_max": 1.0, "sigma_min": 2.0},
        {"sigma_min": 0.0},
        {"rho": 0.0},
        {"snr_shift_scale": -1.0},
        {"clip_sample_range": math.inf},
    ],
)
def test_a_setting_out_of_its_range_is_named(wrong: dict[str, float], theirs: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        theirs(**wrong)


@pytest.mark.parametrize("range_", [{}, {"clip_sample_range": 0.4}])
def test_clipped_estimates_are_those_of_ours(
    range_: dict[str, float], ours: Any, theirs: Any, close: Any
) -> None:
    settings = {"clip_sample": True, "solver_order": 2, **range_}
    pair = both(ours, theirs, {"num_inference_steps": 3}, **STABLE_DIFFUSION, **settings)
    results = [end(scheduler, normals(2, 3)) for scheduler in pair]
    torch.testing.assert_close(*results, **close)
    assert results[0].abs().max() <= range_.get("clip_sample_range", 1.0)


@pytest.mark.parametrize(
    "bounds", [{}, {"sample_max_value": 1.5, "dynamic_thresholding_ratio": 0.6}]
)
def test_bounds_on_pixels_and_a_learned_variance_are_those_of_ours(
    bounds: dict[str, float], ours: Any, theirs: Any, close: Any
) -> None:
    settings = {"thresholding": True, "variance_type": "learned_range", "solver_order": 2, **bounds}
    pair = both(ours, theirs, {"num_inference_steps": 3}, **STABLE_DIFFUSION, **settings)
    results = []
    for scheduler in pair:
        sample = normals(2, 3, 4)
        if isinstance(scheduler, SEEDSScheduler):
            scheduler.noise = source(generators(4, 5))
        drawn = generators(4, 5)
        for t in scheduler.timesteps:
            output = torch.cat([torch.tanh(sample), sample], dim=1)
            sample = scheduler.step(output, t, sample, drawn).prev_sample
        results.append(sample)
    torch.testing.assert_close(*results, **close)
    assert results[0].abs().max() <= 1


@pytest.mark.parametrize("kind", ["exponential", "linear"])
@pytest.mark.parametrize("grid", [{"num_inference_steps": 4}, {"sigmas": [1.0, 0.7, 0.2]}])
@pytest.mark.parametrize("spacing", [{}, {"final_sigmas_type": "sigma_min"}])
def test_a_pipeline_gives_the_shift_of_a_flow(
    kind: str, grid: dict[str, Any], spacing: dict[str, Any], ours: Any, theirs: Any, close: Any
) -> None:
    settings = {**FLOW, **spacing, "solver_order": 3}
    dynamic = {"use_dynamic_shifting": True, "time_shift_type": kind}
    pair = both(ours, theirs, {**grid, "mu": 1.2}, **settings, **dynamic)
    results = [end(scheduler, normals(2, 3)) for scheduler in pair]
    torch.testing.assert_close(*results, **close)
    shift = {"exponential": math.exp(1.2), "linear": 1.2}[kind]
    fixed = theirs(**{**settings, "flow_shift": shift})
    fixed.set_timesteps(**grid, mu=0.3)  # which is not for a fixed shift
    torch.testing.assert_close(fixed.sigmas, pair[1].sigmas)
    pair[1].set_timesteps(**grid, mu=0.3)
    assert not torch.equal(fixed.sigmas, pair[1].sigmas)


def test_a_pipeline_of_flux_takes_its_timesteps_from_it(theirs: Any) -> None:
    flux = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    found, expected = (
        retrieve_timesteps(scheduler, 3, "cpu", sigmas=[1.0, 0.6, 0.3], mu=1.15)
        for scheduler in (theirs(**FLOW, use_dynamic_shifting=True, solver_order=1), flux)
    )
    assert found[1] == expected[1] == 3
    torch.testing.assert_close(found[0], expected[0])


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("predicted", ["epsilon", "sample", "v_prediction", "flow_prediction"])
@pytest.mark.parametrize(
    "schedule",
    [
        {},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": np.linspace(1e-4, 0.03, 500).tolist(), "num_train_timesteps": 500},
        {"snr_shift_scale": 3.0},
        FLOW,
        ZERO_SNR,
    ],
    ids=["linear", "cosine", "betas", "shifted", "flow", "zero SNR"],
)
def test_every_prediction_on_every_schedule_has_the_numbers_of_ours(
    schedule: dict[str, Any], predicted: str, order: int, ours: Any, theirs: Any, close: Any
) -> None:
    settings = {**schedule, "prediction_type": predicted, "solver_order": order}
    if predicted == "epsilon" and schedule in (FLOW, ZERO_SNR):
        with pytest.raises(ValueError, match="epsilon prediction cannot start"):
            theirs(**settings).set_timesteps(4)
        return
    pair = both(ours, theirs, {"num_inference_steps": 4}, **settings)
    results = [end(scheduler, normals(2, 3)) for scheduler in pair]
    torch.testing.assert_close(*results, **close)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("predicted", ["epsilon", "sample", "v_prediction"])
def test_single_precision_has_the_numbers_of_ours_and_half_is_rounded_from_it(
    predicted: str, order: int, ours: Any, theirs: Any, prediction: str
) -> None:
    settings = {**STABLE_DIFFUSION, "prediction_type": predicted, "solver_order": order}
    pair = both(ours, theirs, {"sigmas": [9.0, 3.0, 0.7, 0.2]}, **settings)
    results = [end(scheduler, normals(2, 3).float()) for scheduler in pair]
    tolerance = {"data": 1e-6, "noise": 1e-5}[prediction]
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)
    half, single = (theirs(**settings) for _ in range(2))
    for scheduler in (half, single):
        scheduler.set_timesteps(3)
    sample, drawn = normals(2, 3).bfloat16(), [generators(4, 5), generators(4, 5)]
    for index, t in enumerate(half.timesteps):
        output = normals(2, 3, seed=index).bfloat16()
        exact = single.step(output.float(), t, sample.float(), drawn[0]).prev_sample
        sample = half.step(output, t, sample, drawn[1]).prev_sample
        assert exact.dtype == torch.float32 and torch.equal(sample, exact.bfloat16())


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    "schedule", [STABLE_DIFFUSION, FLOW, ZERO_SNR], ids=["SD", "flow", "zero SNR"]
)
def test_a_run_may_begin_at_any_call(
    schedule: dict[str, Any], order: int, ours: Any, theirs: Any, close: Any
) -> None:
    grid = {"num_inference_steps": 4}
    calls = len(both(ours, theirs, grid, **schedule, solver_order=order)[1].timesteps)
    for begin, by_index in itertools.product(range(calls), (True, False)):
        pair = both(ours, theirs, grid, **schedule, solver_order=order)
        results = []
        for scheduler in pair:
            at = scheduler.timesteps[begin : begin + 1].repeat(2)
            sample = scheduler.add_noise(normals(2, 3), normals(2, 3, seed=1), at)
            if by_index:
                scheduler.set_begin_index(begin)
                assert scheduler.begin_index == begin
            results += [sample, end(scheduler, sample, begin=begin)]
            assert scheduler.step_index == calls
        torch.testing.assert_close(results[0], results[2], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(results[1], results[3], **close)


@pytest.mark.parametrize(
    "schedule", [STABLE_DIFFUSION, FLOW, ZERO_SNR], ids=["SD", "flow", "zero SNR"]
)
def test_noise_of_training_is_that_of_ours(
    schedule: dict[str, Any], ours: Any, theirs: Any
) -> None:
    own, other = ours(**schedule), theirs(**schedule)
    clean, noise = normals(4, 1, 2, 2), normals(4, 1, 2, 2, seed=1)
    for timesteps in (torch.tensor([0, 1, 640, 999]), torch.tensor([333])):
        found = other.add_noise(clean, noise, timesteps)
        torch.testing.assert_close(
            found, own.add_noise(clean, noise, timesteps), rtol=1e-12, atol=1e-12
        )
        assert torch.equal(found, other.scale_noise(clean, timesteps, noise))
        assert other.add_noise(clean.half(), noise.half(), timesteps).dtype == torch.float16


def test_a_list_of_generators_gives_an_image_in_any_batch(theirs: Any) -> None:
    def ends(sample: Tensor, *seeds: int) -> Tensor:
        scheduler = theirs(**STABLE_DIFFUSION)
        scheduler.set_timesteps(3)
        return end(scheduler, sample, seeds)

    sample = normals(3, 2)
    whole = ends(sample, 4, 5, 6)
    for i, seed in enumerate((4, 5, 6)):
        assert torch.equal(ends(sample[i : i + 1], seed), whole[i : i + 1])
    assert not torch.equal(ends(sample, 4, 5, 7), whole)


def test_a_run_goes_on_in_a_copy_and_from_a_file(theirs: Any) -> None:
    scheduler = theirs(**STABLE_DIFFUSION)
    scheduler.set_timesteps(3)
    sample, output = normals(2, 3), normals(2, 3, seed=1)
    for t in scheduler.timesteps[:4]:
        sample = scheduler.step(output, t, sample, generator=generators(4, 5)).prev_sample
    file = io.BytesIO()
    pickle.dump(scheduler, file)
    file.seek(0)
    others = [copy.deepcopy(scheduler), pickle.load(file)]
    results = []
    for one in (scheduler, *others):
        drawn, found = generators(6, 7), sample
        for t in one.timesteps[4:]:
            (found,) = one.step(output, t, found, drawn, return_dict=False)
        results.append(found)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_its_configuration_is_saved_and_loaded(theirs: Any, tmp_path: Path) -> None:
    scheduler = theirs(**STABLE_DIFFUSION, eta=0.3, solver_order=1, trained_betas=np.full(9, 0.1))
    scheduler.save_pretrained(tmp_path)
    again = theirs.from_pretrained(tmp_path)
    assert again.config.eta == 0.3 and again.order == 1 and len(again.alphas_cumprod) == 9
    theirs_before = diffusers.DPMSolverMultistepScheduler(**STABLE_DIFFUSION, steps_offset=1)
    taken = theirs.from_config(theirs_before.config, solver_order=3)
    assert taken.config.beta_schedule == "scaled_linear" and taken.order == 3
    back = diffusers.DPMSolverMultistepScheduler.from_config(taken.config)
    assert back.config.steps_offset == 1


@pytest.mark.parametrize(
    ("options", "grid", "says"),
    [
        ({"solver_order": 4}, {}, "`solver_order` must be one of"),
        ({"prediction_type": "score"}, {}, "`prediction_type` must be one of"),
        ({"eta": math.nan}, {}, "`eta` must be a number"),
        ({"use_karras_sigmas": True, "use_exponential_sigmas": True}, {}, "Only one of"),
        ({}, {}, "exactly one of"),
        ({}, {"num_inference_steps": 3, "sigmas": [1.0]}, "exactly one of"),
        ({"use_karras_sigmas": True}, {"sigmas": [1.0]}, "exclude"),
        ({}, {"num_inference_steps": 0}, "one step or more"),
        ({}, {"sigmas": [1.0, 2.0]}, "descending"),
        ({}, {"sigmas": [1.0, math.nan]}, "descending"),
        ({}, {"sigmas": [1.0, -2.0]}, "descending"),
        ({}, {"sigmas": [1e4]}, "between 157"),
        ({}, {"timesteps": [1000]}, "descending"),
        (FLOW, {"sigmas": [2.0]}, "between 1 and 0"),
        ({"time_shift_type": "cubic"}, {}, "`time_shift_type` must be one of"),
        (FLOW | {"use_dynamic_shifting": True}, {"num_inference_steps": 3}, "`mu` must be passed"),
    ],
)
def test_a_wrong_setting_is_named(
    options: dict[str, Any], grid: dict[str, Any], says: str, theirs: Any
) -> None:
    with pytest.raises(ValueError, match=says):
        theirs(**options).set_timesteps(**grid)
    with pytest.raises(NotImplementedError, match="laplace"):
        theirs(beta_schedule="laplace")


def test_a_call_out_of_place_is_named(theirs: Any) -> None:
    scheduler, sample = theirs(), normals(2, 3)
    with pytest.raises(ValueError, match="Run `set_timesteps` first"):
        scheduler.step(sample, 3, sample)
    scheduler.set_timesteps(2)
    with pytest.raises(ValueError, match="the timestep is 3"):
        scheduler.step(sample, 3, sample)
    end(scheduler, sample)
    with pytest.raises(ValueError, match="is over"):
        scheduler.step(sample, 3, sample)
    scheduler.set_timesteps(2)
    scheduler.set_begin_index(9)
    with pytest.raises(ValueError, match="begin index is 9"):
        scheduler.step(sample, 3, sample)


def test_the_method_chooses_the_order_and_only_the_three_are_there() -> None:
    scheduler = target("diffusers")
    for order in (1, 2, 3):
        (text,) = scheduler.files(method_program(f"seeds-{order}")).values()
        assert f"solver_order: Literal[1, 2, 3] = {order}," in text
    with pytest.raises(UnknownNameError, match="known: seeds-1, seeds-2, seeds-3"):
        scheduler.files(method_program("seeds-2s"))


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers.*")
def test_a_pipeline_has_the_images_of_ours(theirs: Any, ours: Any) -> None:
    images = []
    for kind in (ours, theirs):
        pipe = diffusers.DDPMPipeline(unconditional(), diffusers.DDPMScheduler())
        pipe.scheduler = kind(solver_order=3, use_karras_sigmas=True)
        pipe.set_progress_bar_config(disable=True)
        drawn = generators(4, 5)
        if kind is ours:
            pipe.scheduler.noise = source(drawn)
        made = pipe(batch_size=2, generator=drawn, num_inference_steps=4, output_type="np")
        images.append(made.images)
    np.testing.assert_allclose(*images, rtol=0, atol=1e-4)
    assert images[0].std() > 0.1


PROCESS = """
import importlib.util, json, sys
for ours in ("seeds_theory", "toy_models", "proofs_checks", "gpu_runs", "sympy"):
    sys.modules[ours] = None  # an import of it raises
import torch
spec = importlib.util.spec_from_file_location("scheduling_seeds", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
scheduler = module.SEEDSScheduler()
scheduler.set_timesteps(3)
sample = torch.full((1, 2), 0.3, dtype=torch.float64)
generator = torch.Generator().manual_seed(4)
for t in scheduler.timesteps:
    output = torch.tanh(1.3 * sample + round(float(t)) / 1000)
    sample = scheduler.step(output, t, sample, generator=generator).prev_sample
print(json.dumps(sample.tolist()))
"""


@pytest.mark.slow
def test_the_file_needs_nothing_of_ours(tmp_path: Path) -> None:
    (path,) = written(tmp_path, "diffusers", "seeds-2")
    found = subprocess.run(
        [sys.executable, "-c", PROCESS, str(path)], capture_output=True, text=True, check=True
    )
    scheduler = SEEDSScheduler(solver_order=2)
    scheduler.set_timesteps(3)
    expected = end(scheduler, torch.full((1, 2), 0.3, dtype=torch.float64), seeds=(4,))
    torch.testing.assert_close(
        torch.tensor(json.loads(found.stdout), dtype=torch.float64), expected, rtol=1e-12, atol=0
    )


STYLE = ("--isolated", "--line-length", "119")  # of diffusers
RULES = ("--select", "C,E,F,I,W,UP", "--ignore", "C901", "--target-version", "py310")


@pytest.mark.parametrize(
    ("to", "prediction", "lines_after_imports"),
    [("diffusers", "data", 2), ("diffusers", "noise", 2), ("comfyui", "data", -1)],
)
def test_the_files_are_clean_and_formatted(
    to: str, prediction: str, lines_after_imports: int, tmp_path: Path
) -> None:
    written(tmp_path, to, "seeds-1", prediction)
    sorted_so = ("--config", f"lint.isort.lines-after-imports={lines_after_imports}")
    for command in (("check", *RULES, *sorted_so), ("format", "--check")):
        ruff = [sys.executable, "-m", "ruff", *command, *STYLE, str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
