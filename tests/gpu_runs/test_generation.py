import copy
import math

import pytest
import torch
from tiny_networks import tiny_network

from gpu_runs.checkpoints.preconditioning import build_network
from gpu_runs.generation.sampler import (
    Generation,
    GridWarning,
    ImageSampler,
    OutOfMemory,
    class_of,
    make_images,
    noise_levels,
)
from seeds_theory.errors import (
    DenoiserError,
    GridError,
    ParameterError,
    SeedsError,
    UnknownNameError,
)
from seeds_theory.solver import SOLVERS
from seeds_theory.sources import SeededNoise


@pytest.fixture(scope="module")
def network():
    return tiny_network()


def grey_levels(images, others):
    return (images.int() - others.int()).abs()


@pytest.mark.parametrize("name", SOLVERS)
def test_every_method_and_baseline_makes_images(network, name):
    images = make_images(network, Generation(name, 3, state="float32"), [0, 1])
    assert (images.dtype, images.shape) == (torch.uint8, (2, 3, 8, 8))
    assert not torch.equal(images[0], images[1])


def test_an_image_is_the_librarys_own_run_on_the_noise_of_its_seed(network):
    sampler = ImageSampler(network, Generation("seeds-2", 4, {"eta": 0.5}, labels="3"))
    noise = SeededNoise([5])
    x = noise.initial((3, 8, 8), torch.float64) * sampler.sigmas[0]
    label = torch.tensor([3])
    x = sampler.solver(lambda x, sigma: network(x, sigma, label), x, sampler.sigmas, noise)
    expected = (x * 127.5 + 128).clamp(0, 255).byte()
    assert sampler.sigmas[0] == 80
    assert grey_levels(sampler([5]), expected).max() <= 1  # another layout of the weights


def test_the_batch_changes_at_most_the_rounding_of_few_pixels(network):
    sampler = ImageSampler(network, Generation("seeds-3", 4))
    alone = torch.cat([sampler([seed]) for seed in range(16)])
    for size in (7, 16):
        batches = [range(start, min(start + size, 16)) for start in range(0, 16, size)]
        change = grey_levels(torch.cat([sampler(batch) for batch in batches]), alone)
        assert change.max() <= 1
        assert (change > 0).float().mean() < 2e-3


def test_a_batch_repeats_bit_for_bit(network):
    settings = Generation("seeds-3", 3)
    assert torch.equal(
        make_images(network, settings, [3, 8]), make_images(network, settings, [3, 8])
    )


@pytest.mark.parametrize("state", ["float64", "float32"])
def test_the_state_has_the_type_asked_for(network, state):
    seen = set()
    sampler = ImageSampler(network, Generation("seeds-1", 2, state=state))
    sampler.network.register_forward_pre_hook(lambda _, inputs: seen.add(inputs[0].dtype))
    sampler([0])
    assert seen == {getattr(torch, state)}


def test_nothing_is_read_from_the_device_before_the_last_network_call():
    # A meta tensor has no values: to read one is an error. So is to read the result, at the end.
    calls = []
    spec = tiny_network().spec
    with torch.device("meta"):
        network = build_network(spec)
    sampler = ImageSampler(network, Generation("seeds-3", 4))
    sampler.network.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(RuntimeError, match="meta"):
        sampler([0, 1])
    assert len(calls) == sampler.nfe == 10


# ------------------------------------------------------------------------------------------- labels


def test_labels_of_seeds():
    assert class_of(None, 0) is None
    assert class_of("none", 0) is None
    assert class_of("none", 4) is None
    assert [class_of("cycle", 3)(seed) for seed in range(5)] == [0, 1, 2, 0, 1]
    assert [class_of("2", 3)(seed) for seed in range(3)] == [2, 2, 2]
    assert [class_of("2, 0", 3)(seed) for seed in range(3)] == [2, 0, 2]


def test_random_labels_are_the_seeds_own_and_even():
    label = class_of(None, 4)
    labels = [label(seed) for seed in range(400)]
    assert labels == [class_of("random", 4)(seed) for seed in range(400)]
    # Four standard errors of a share of 1/4.
    assert all(abs(labels.count(k) - 100) < 4 * math.sqrt(400 * 3 / 16) for k in range(4))


def test_labels_reach_the_network(network):
    images = {
        label: make_images(network, Generation("seeds-1", 3, labels=label), [0])
        for label in ("none", "0", "1", "cycle")
    }
    assert torch.equal(images["0"], images["cycle"])
    assert not torch.equal(images["0"], images["1"])
    assert not torch.equal(images["0"], images["none"])


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ("4", 4, "the classes of this network are 0 to 3; got 4"),
        ("0,7", 4, "are 0 to 3; got 7"),
        ("random", 0, "this network has no classes"),
        ("1", 0, "this network has no classes"),
        ("-1", 4, "labels are random, cycle, none, or classes as 3 or 0,4,7; got '-1'"),
        ("1,,2", 4, "labels are random"),
        ("cat", 4, "labels are random"),
        ("", 4, "labels are random"),
    ],
)
def test_wrong_labels(labels, classes, message):
    with pytest.raises(ParameterError, match=message):
        class_of(labels, classes)


# --------------------------------------------------------------------------------------------- grids


@pytest.mark.parametrize(
    ("grid", "middle"),
    [
        ("edm", ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7),
        ("rho=5", ((80 ** (1 / 5) + 0.002 ** (1 / 5)) / 2) ** 5),
        ("logsnr", math.sqrt(80 * 0.002)),
    ],
)
def test_grids(network, grid, middle):
    levels = noise_levels(network, Generation("seeds-1", 3, grid=grid))
    assert levels.tolist() == pytest.approx([80, middle, 0.002, 0], rel=1e-12)


def test_levels_outside_the_networks_are_clipped_with_a_warning():
    network = tiny_network("VEPrecond", sigma_min=0.02, sigma_max=50.0)
    with pytest.warns(GridWarning, match=r"80 to 0\.002 are clipped to those .* 50 to 0\.02"):
        levels = noise_levels(network, Generation("seeds-1", 3))
    assert levels[[0, -2, -1]].tolist() == pytest.approx([50, 0.02, 0])


def test_levels_are_rounded_to_the_networks_and_repeats_dropped():
    network = tiny_network("iDDPMPrecond", constants={"M": 10}, sigma_min=0.1, sigma_max=20.0)
    with pytest.warns(GridWarning, match="of the 40 steps have no length"):
        levels = noise_levels(network, Generation("seeds-1", 40, sigma_min=0.1, sigma_max=20.0))
    known = network.u.double().tolist()
    assert all(level in known for level in levels)
    assert (levels[:-1] > levels[1:]).all()
    assert len(levels) < 12


def test_iddpm_makes_images():
    network = tiny_network("iDDPMPrecond", sigma_min=0.0064, sigma_max=20291.0)
    with pytest.warns(GridWarning, match="clipped"):
        sampler = ImageSampler(network, Generation("seeds-2", 4))
    assert sampler([0]).float().std() > 10


def test_edm_keeps_the_repeats_as_published():
    network = tiny_network("iDDPMPrecond", constants={"M": 10}, sigma_min=0.1, sigma_max=20.0)
    settings = Generation("edm-heun", 40, {"churn": 4.0}, sigma_min=0.1, sigma_max=20.0)
    levels = noise_levels(network, settings)
    assert len(levels) == 41
    assert len(set(levels)) < 12
    assert ImageSampler(network, settings).nfe == 79


def test_churn_goes_up_to_levels_of_the_network(monkeypatch):
    network = tiny_network("iDDPMPrecond", sigma_min=0.0064, sigma_max=80.0)
    asked = []
    forward = network.forward
    monkeypatch.setattr(
        network, "forward", lambda x, sigma, c=None: asked.append(sigma) or forward(x, sigma, c)
    )
    settings = Generation("edm-heun", 4, {"churn": 1.0}, sigma_min=0.0064)
    ImageSampler(network, settings)([0])
    known = network.u.double().tolist()
    assert len(asked) == 7
    assert all(sigma in known for sigma in asked)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"grid": "cosine"}, UnknownNameError, "unknown grid 'cosine'; known: edm"),
        ({"grid": "rho=x"}, UnknownNameError, "unknown grid"),
        ({"grid": "rho=-1"}, ParameterError, "rho is positive"),
        ({"sigma_min": 90.0}, GridError, "sigma_min is above 0 and below sigma_max; got 90 and 80"),
        ({"sigma_max": math.inf}, ParameterError, "sigma_max is finite"),
        ({"sigma_min": math.nan}, ParameterError, "sigma_min is finite"),
        ({"steps": 1}, GridError, "2 or more"),
        ({"steps": 10**12}, GridError, "a grid has at most 100000 steps; got 1000000000000"),
        ({"method": "seeds-9"}, UnknownNameError, "unknown sampler 'seeds-9' .*; known: seeds-1"),
        ({"options": {"churn": 1.0}}, ParameterError, "no option 'churn'"),
        ({"options": {"eta": -1.0}}, ParameterError, "eta"),
        ({"options": {"eta": math.inf}}, ParameterError, "eta is finite"),
        ({"precision": "fp8"}, UnknownNameError, "unknown precision 'fp8'; known: fp32"),
        ({"state": "float16"}, UnknownNameError, "unknown state"),
        ({"precision": "tf32"}, ParameterError, "tf32 is for CUDA"),
    ],
)
def test_wrong_settings(network, settings, error, message):
    with pytest.raises(error, match=message):
        ImageSampler(network, Generation(**{"method": "seeds-1", "steps": 3} | settings))


# ------------------------------------------------------------------------------- precision, failures


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision_is_of_the_parameters_of_a_copy(name, dtype):
    network = tiny_network()
    prepared = ImageSampler(network, Generation("seeds-1", 3, precision=name)).network
    # The embedding stays as it is.
    lowered = {name for name, p in prepared.model.named_parameters() if p.dtype == dtype}
    kept = {name for name, _ in prepared.model.named_parameters()} - lowered
    assert kept == {name for name in kept if "map_" in name or "affine" in name}
    assert len(lowered) > 50
    assert prepared.model.dtype == dtype
    assert {b.dtype for b in prepared.model.buffers()} == {torch.float32}
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_fp16_is_near_fp32(network):
    exact, rounded = (
        make_images(network, Generation("seeds-2", 3, precision=name), [0, 1])
        for name in ("fp32", "fp16")
    )
    assert 0 < grey_levels(exact, rounded).max() <= 8


def test_compile_is_asked_for_fixed_shapes(network, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: asked.append(how))
    ImageSampler(network, Generation("seeds-1", 3, compile=True))
    assert asked == [{"dynamic": False, "mode": None}]


def test_a_compiled_network_is_asked_for_batches_of_one_size(network, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: None)
    plain = ImageSampler(network, Generation("seeds-2", 3))
    filling = ImageSampler(network, Generation("seeds-2", 3, compile=True))
    sizes = []
    for sampler in (plain, filling):
        sampler.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    filled = filling([4, 9], 5)
    assert set(sizes) == {5} and len(filled) == 2
    assert torch.equal(filled, plain([4, 9, 9, 9, 9])[:2])
    sizes.clear()
    assert len(plain([4, 9], 5)) == 2 and set(sizes) == {2}
    assert len(filling([4, 9])) == 2


def test_a_seed_that_fills_a_batch_is_named_once(network, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: None)
    sampler = ImageSampler(network, Generation("seeds-1", 3, compile=True))
    sampler.network.register_forward_hook(lambda module, inputs, output: output * math.nan)
    with pytest.raises(DenoiserError, match=r"^seed 4, 9: step 0"):
        sampler([4, 9], 5)


def test_no_gradient_is_recorded_and_images_can_be_written_to(network):
    seen = set()
    sampler = ImageSampler(network, Generation("seeds-1", 2))
    sampler.network.register_forward_pre_hook(
        lambda *_: seen.add(torch.is_inference_mode_enabled())
    )
    images = sampler([0])
    assert seen == {True}
    assert images.add_(1).dtype == torch.uint8 and not images.is_inference()


def test_a_network_that_is_not_kept_is_not_copied():
    network = tiny_network()
    settings = Generation("seeds-1", 3, precision="bf16")
    assert ImageSampler(network, settings).network is not network
    assert network.model.dtype == torch.float32
    assert ImageSampler(network, settings, keep=False).network is network
    assert network.model.dtype == torch.bfloat16


def test_kernels_are_chosen_by_time_where_that_is_asked_for(network):
    seen = []
    for autotune in (False, True):
        sampler = ImageSampler(network, Generation("seeds-1", 2, autotune=autotune))
        sampler.network.register_forward_pre_hook(
            lambda *_: seen.append(torch.backends.cudnn.benchmark)
        )
        sampler([0])
    assert seen == [False, False, True, True]


def failing(network, hook):
    network = copy.deepcopy(network)
    network.register_forward_hook(hook)
    return network


@pytest.mark.parametrize("method", ["seeds-1", "euler"])
def test_nan_names_the_seed_and_the_step(network, method):
    calls = []

    def hook(module, inputs, output):
        calls.append(1)
        if len(calls) == 3:
            output[1, 0, 4, 4] = math.nan
        return output

    with pytest.raises(DenoiserError, match=r"^seed 21: step 2, sigma .* is not finite"):
        make_images(failing(network, hook), Generation(method, 5), [20, 21, 22])


@pytest.mark.parametrize(
    ("error", "batch", "message"),
    [
        (torch.cuda.OutOfMemoryError(), 9, "out of memory at batch 9: try --batch 4"),
        (MemoryError(), 2, "try --batch 1"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "try --batch 1"),
        (MemoryError(), 1, "a lower --precision"),
    ],
)
def test_out_of_memory_says_what_to_try(network, error, batch, message):
    def hook(*_):
        raise error

    with pytest.raises(OutOfMemory, match=message):
        make_images(failing(network, hook), Generation("seeds-1", 3), range(batch))


def test_another_runtime_error_is_no_lack_of_memory(network):
    def hook(*_):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect") as caught:
        make_images(failing(network, hook), Generation("seeds-1", 3), [0])
    assert not isinstance(caught.value, SeedsError)
