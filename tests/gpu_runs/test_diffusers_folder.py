"""Folders of diffusers as networks: held to diffusers' own schedulers, and hostile ones."""

import json
import os
import pickle
import shutil
import zipfile
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import safetensors.torch
import torch
from diffusers_folders import rewritten, saved, saved_dit, small_unet
from typer.testing import CliRunner

from gpu_runs import CheckpointError, load_checkpoint
from gpu_runs.benchmarks.micro import measure
from gpu_runs.checkpoint_commands import convert_app, inspect_app
from gpu_runs.checkpoints.diffusers_folder import read_folder
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.generate import app as generate_app
from gpu_runs.generation.sampler import Generation, make_images
from seeds_theory.errors import ParameterError, SeedsError

run = CliRunner().invoke
CPU = torch.device("cpu")
SETTINGS = Generation("seeds-2", 3, sigma_min=0.02)
TIMESTEPS = (0, 1, 7, 250, 500, 998, 999)
DDPM, DDIM = diffusers.DDPMScheduler, diffusers.DDIMScheduler

SCHEDULERS = {
    "DDPM": DDPM(),
    "DDPM, not clipped": DDPM(clip_sample=False),
    "DDPM, clipped elsewhere": DDPM(clip_sample_range=0.3),
    "DDPM, thresholding": DDPM(thresholding=True, sample_max_value=2.0),
    "DDPM, v": DDPM(prediction_type="v_prediction", clip_sample=False),
    "DDPM, data": DDPM(prediction_type="sample", clip_sample=False),
    "DDPM, cosine": DDPM(beta_schedule="squaredcos_cap_v2"),
    "DDIM, scaled linear": DDIM(beta_schedule="scaled_linear", beta_start=8.5e-4, beta_end=0.012),
    "DDIM, of 4 betas": DDIM(trained_betas=[0.01, 0.1, 0.3, 0.5], num_train_timesteps=4),
    "DDIM, no signal at the end": DDIM(
        rescale_betas_zero_snr=True, prediction_type="v_prediction", clip_sample=False
    ),
}


def one_step(scheduler, unet, state, t, **labels):
    """diffusers' estimate of the data, by its scheduler's step."""
    output = unet(state, t, **labels).sample
    if isinstance(scheduler, DDIM):
        scheduler.set_timesteps(len(scheduler.betas))
    if output.shape[1] > state.shape[1] and isinstance(scheduler, DDIM):
        output = output[:, : state.shape[1]]
    return scheduler.step(output, t, state).pred_original_sample


def assert_steps_agree(network, scheduler, unet, labels=None, **told):
    products = scheduler.alphas_cumprod.double()
    for t in sorted({min(t, len(products) - 1) for t in TIMESTEPS}):
        product = float(products[t])
        if product == 0:
            continue  # the noise level is infinite
        alpha, level = product**0.5, (1 / product - 1) ** 0.5
        own = float(
            network.trained_on.schedule.noise_level(float(t))
        )  # their tables are in single precision
        of_table, level = abs(level / own - 1) * level, min(level, own)
        noise = torch.randn((2, *network.state_shape), generator=torch.Generator().manual_seed(t))
        state = 0.5 * alpha + (1 - product) ** 0.5 * noise
        expected = one_step(scheduler, unet, state, t, **told)
        found = network(state.double() / alpha, level, labels)
        assert found.dtype == torch.float64
        # the rounding of single precision, which division by alpha enlarges
        assert float((found - expected).abs().max()) < 2e-6 * (1 + level) + 4 * of_table, t
        assert of_table <= max(1e-4, 1e-7 / (1 - product)) * level


@pytest.mark.parametrize("name", SCHEDULERS)
def test_estimates_are_those_of_the_scheduler_at_its_timesteps(tmp_path, name):
    folder, unet, scheduler = saved(tmp_path / "pipe", scheduler=SCHEDULERS[name])
    network, _ = open_network(folder, CPU)
    assert_steps_agree(network, scheduler, unet)
    products = scheduler.alphas_cumprod.double()
    finite = products[products > 0][[0, -1]].tolist()
    for product, level in zip(finite, (network.sigma_min, network.sigma_max), strict=True):
        single = max(1e-4, 1e-7 / (1 - product))  # the precision of their table
        assert level == pytest.approx((1 / product - 1) ** 0.5, rel=single)


def test_a_variance_that_is_learned_is_left_out(tmp_path):
    scheduler = DDPM(variance_type="learned_range")
    folder, unet, _ = saved(tmp_path / "pipe", small_unet(out_channels=6), scheduler)
    network, _ = open_network(folder, CPU)
    assert_steps_agree(network, scheduler, unet)


@pytest.mark.parametrize("embedding", ["fourier", "learned"])
def test_other_embeddings_of_time(tmp_path, embedding):
    count = 1000 if embedding == "learned" else None
    unet = small_unet(time_embedding_type=embedding, num_train_timesteps=count)
    betas = [*np.linspace(1e-4, 0.02, 1000)]
    folder, _, scheduler = saved(tmp_path / "pipe", unet, DDPM(trained_betas=betas))
    network, _ = open_network(folder, CPU)
    if embedding == "learned":
        assert_steps_agree(network, scheduler, unet)
        network(torch.randn(1, 3, 8, 8), 1.2345)  # between two timesteps it is told one of them
        return
    t, product = 500, float(scheduler.alphas_cumprod[500])
    state = torch.randn(2, 3, 8, 8)
    expected = one_step(
        scheduler,
        unet,
        state,
        torch.tensor(float(t)).long(),
    )
    found = network(state / product**0.5, (1 / product - 1) ** 0.5)
    assert float((found - expected).abs().max()) < 1e-5


def test_a_network_of_a_flow(tmp_path):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    folder, unet, _ = saved(tmp_path / "pipe", scheduler=scheduler)
    network, _ = open_network(folder, CPU)
    assert network.sigma_max == float("inf")
    for t in (0.1, 0.5, 0.97):
        state = torch.randn(2, 3, 8, 8)
        expected = state - t * unet(state, torch.tensor(1000 * t)).sample
        found = network(state / (1 - t), t / (1 - t))
        assert torch.allclose(found, expected, atol=2e-5 / (1 - t))


def test_classes_are_told_by_their_numbers(tmp_path):
    unet = small_unet(num_class_embeds=5)
    folder, _, scheduler = saved(tmp_path / "pipe", unet)
    network, _ = open_network(folder, CPU)
    assert network.label_dim == 5
    labels = torch.tensor([3, 1])
    assert_steps_agree(network, scheduler, unet, labels, class_labels=labels)
    one_hot = torch.nn.functional.one_hot(labels, 5).float()
    assert_steps_agree(network, scheduler, unet, one_hot, class_labels=labels)
    x = torch.randn(2, 3, 8, 8)
    for wrong, words in {
        None: "always told a class",
        torch.tensor([5, 0]): "from 0 to 4; got 0 to 5",
        torch.tensor([-1, 0]): "got -1 to 0",
        torch.zeros(2, 4): "got (2, 4)",
    }.items():
        with pytest.raises(ParameterError, match=words.replace("(", r"\(").replace(")", r"\)")):
            network(x, 1.0, wrong)


def test_states_and_classes_that_do_not_fit_are_refused(tmp_path):
    network, _ = open_network(saved(tmp_path / "pipe")[0], CPU)
    with pytest.raises(ParameterError, match="3, 8, 8"):
        network(torch.randn(2, 3, 8, 9), 1.0)
    with pytest.raises(ParameterError, match="no classes"):
        network(torch.randn(2, 3, 8, 8), 1.0, torch.zeros(2, dtype=torch.long))
    with pytest.raises(ParameterError, match="no time for the noise level"):
        network(torch.randn(2, 3, 8, 8), 1e9)


# --------------------------------------------------------------------------------------- the folder


def assert_same(folder, other):
    x = torch.randn(2, 3, 8, 8)
    first, second = open_network(folder, CPU), open_network(other, CPU)
    assert torch.equal(first[0](x, 1.0), second[0](x, 1.0))
    return first[1], second[1]


def test_the_network_alone_finds_its_scheduler(tmp_path):
    folder, unet, scheduler = saved(tmp_path / "pipe")
    one, two = assert_same(folder, folder / "unet")
    assert one == two  # it is the same folder
    alone = tmp_path / "alone"
    unet.save_pretrained(alone)
    with pytest.raises(CheckpointError, match="does not say on what its network was trained"):
        open_network(alone, CPU)
    scheduler.save_pretrained(alone)
    assert_same(folder, alone)
    os.remove(alone / "scheduler_config.json")
    scheduler.save_pretrained(tmp_path / "scheduler")
    assert_same(folder, alone)


def test_parts_that_were_saved_one_by_one_are_read_by_the_networks_name(tmp_path):
    folder, unet, scheduler = saved(tmp_path / "pipe")
    parts = tmp_path / "parts"
    unet.save_pretrained(parts / "unet")
    scheduler.save_pretrained(parts / "scheduler")
    with pytest.raises(CheckpointError, match=r"config\.json: give \S*/parts/unet, beside"):
        open_network(parts, CPU)
    assert_same(folder, parts / "unet")


def test_old_folders_have_all_files_in_one_and_other_names(tmp_path):
    folder, *_ = saved(tmp_path / "pipe")
    old = tmp_path / "old"
    shutil.copytree(folder / "unet", old)
    shutil.copy(folder / "scheduler" / "scheduler_config.json", old)
    shutil.copy(folder / "model_index.json", old)
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def renamed(name):
        for new, former in names.items():
            name = name.replace(f".{new}.", f".{former}.")
        return name

    file = old / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    assert any(renamed(name) != name for name in tensors)
    os.remove(file)
    for archive in (True, False):  # torch's, and as it was before
        torch.save(
            {renamed(name): value for name, value in tensors.items()},
            file.with_suffix(".bin"),
            _use_new_zipfile_serialization=archive,
        )
        assert_same(folder, old)


def test_a_scheduler_whose_settings_are_infinite(tmp_path):
    folder, *_ = saved(tmp_path / "pipe", scheduler=diffusers.DPMSolverMultistepScheduler())
    assert "-Infinity" in (folder / "scheduler" / "scheduler_config.json").read_text()
    network, _ = open_network(folder, CPU)
    assert network.sigma_max == open_network(saved(tmp_path / "ddpm")[0], CPU)[0].sigma_max
    result = run(inspect_app, [str(folder), "--json", "-"])
    assert json.loads(result.stdout)["scheduler"]["lambda_min_clipped"] == "-inf"


def test_positions_that_no_file_holds_are_few(tmp_path):
    folder, _ = saved_dit(tmp_path / "dit")
    rewritten(folder / "transformer" / "config.json", sample_size=1024, patch_size=2)
    refuses(folder, "512 x 512 patches", "128 x 128")


def test_weights_in_several_files_and_in_half_precision(tmp_path):
    folder, unet, scheduler = saved(tmp_path / "pipe")
    cut = tmp_path / "cut"
    shutil.copytree(folder, cut)
    os.remove(cut / "unet" / "diffusion_pytorch_model.safetensors")
    unet.save_pretrained(cut / "unet", max_shard_size="40KB")
    assert len(list((cut / "unet").glob("*.safetensors"))) > 1
    assert_same(folder, cut)
    half = saved(tmp_path / "half", small_unet().half(), scheduler)[0]
    network, _ = open_network(half, CPU)
    assert network.model.dtype == torch.float32


def test_links_to_files_are_followed(tmp_path):
    folder, *_ = saved(tmp_path / "pipe")
    cache = tmp_path / "cache" / "unet"
    cache.mkdir(parents=True)
    for file in (folder / "unet").iterdir():
        (cache / file.name).symlink_to(file)
    shutil.copytree(folder / "scheduler", cache.parent / "scheduler")
    shutil.copy(folder / "model_index.json", cache.parent)
    one, two = assert_same(folder, cache.parent)
    assert one == two


def test_the_record_of_a_run_tells_folders_apart(tmp_path):
    def identity(name, **changes):
        folder, *_ = saved(tmp_path / name, scheduler=DDPM(**changes))
        return open_network(folder, CPU)[1]["checkpoint"]

    first = identity("a")
    assert len(first) == 64 and identity("b") == first and identity("c", beta_end=0.03) != first


def test_images_are_made_and_the_folder_is_described(tmp_path):
    folder, *_ = saved(tmp_path / "pipe", small_unet(num_class_embeds=5))
    network, identity = open_network(folder, CPU)
    command = ["--network", str(folder), "--method", "seeds-2", "--steps", "3", "--seeds", "0-4"]
    command += ["--sigma-min", "0.02"]
    out = tmp_path / "images.npz"
    result = run(generate_app, [*command, "--out", str(out), "--batch", "5"])
    assert result.exit_code == 0, result.output
    expected = make_images(network, SETTINGS, range(5)).numpy()
    assert np.array_equal(np.load(out)["images"], expected)
    manifest = json.loads((tmp_path / "images.npz.json").read_text())
    assert manifest["settings"]["checkpoint"] == identity["checkpoint"]
    found = json.loads(run(inspect_app, [str(folder), "--json", "-"]).stdout)
    assert (found["format"], found["architecture"]) == ("diffusers folder", "UNet2DModel")
    assert found["classes"] == 5 and found["sha256"] == identity["checkpoint"]
    assert set(found["files"]) == {
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "scheduler/scheduler_config.json",
    }
    assert found["parameters"] == sum(p.numel() for p in network.model.parameters())


@pytest.mark.parametrize("precision", ["bf16"])
def test_lower_precision(tmp_path, precision):
    folder, *_ = saved(tmp_path / "pipe")
    network, _ = open_network(folder, CPU)
    fine, coarse = (
        make_images(network, replace(SETTINGS, precision=name), range(2))
        for name in ("fp32", precision)
    )
    assert not torch.equal(fine, coarse)
    assert float((fine.int() - coarse.int()).abs().float().mean()) < 8
    assert network.model.dtype == torch.float32


@pytest.mark.slow
def test_what_a_method_costs_on_it(tmp_path):
    network, _ = open_network(saved(tmp_path / "pipe")[0], CPU)
    cost = measure(network, "seeds-2", nfe=4, batch=2)
    assert cost.nfe <= 4 and cost.network > 0
    result = run(inspect_app, [str(tmp_path / "pipe"), "--check", "--device", "cpu"])
    assert result.exit_code == 1 and "no denoiser" in result.stderr  # it has not been trained


def test_it_is_not_converted_and_not_loaded_as_a_checkpoint(tmp_path):
    folder, *_ = saved(tmp_path / "pipe")
    result = run(convert_app, [str(folder), str(tmp_path / "x.safetensors")])
    assert "is a folder" in str(result.exception)
    with pytest.raises(CheckpointError, match="is a folder and no file"):
        load_checkpoint(folder)
    with pytest.raises(CheckpointError, match="give the folder that holds this file"):
        load_checkpoint(folder / "unet" / "diffusion_pytorch_model.safetensors")


# ------------------------------------------------------------------------------------------ latents


@pytest.fixture(scope="module")
def dit(tmp_path_factory):
    return saved_dit(tmp_path_factory.mktemp("dit") / "pipe")


def test_a_network_of_latents_decodes_its_images(dit):
    folder, pipe = dit
    network, _ = open_network(folder, CPU)
    assert network.state_shape == (4, 8, 8) and (network.channels, network.resolution) == (3, 16)
    assert network.label_dim == 5
    labels = torch.tensor([4, 0])
    with torch.no_grad():
        assert_steps_agree(
            network, pipe.scheduler, Positional(pipe.transformer), labels, class_labels=labels
        )
        none = torch.tensor([5, 5])
        assert_steps_agree(
            network, pipe.scheduler, Positional(pipe.transformer), None, class_labels=none
        )
        latents = torch.randn(6, 4, 8, 8)
        expected = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    assert torch.allclose(network.decode(latents), expected, atol=1e-5)
    images = make_images(network, replace(SETTINGS, state="float32"), range(5))
    assert images.shape == (5, 3, 16, 16) and images.dtype == torch.uint8
    assert not torch.equal(images[0], images[1])


class Positional(torch.nn.Module):
    """A transformer, called as a U-Net is."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, state, t, **labels):
        return self.net(state, torch.full((len(state),), t), **labels)


def test_images_of_latents_are_those_of_the_pipeline(dit):
    """DDIM of diffusers and ours, on the same noise: eta = 0, each step from the same levels."""
    folder, pipe = dit
    network, _ = open_network(folder, CPU)
    scheduler = pipe.scheduler
    scheduler.set_timesteps(5)
    labels = torch.tensor([2, 3])
    x = torch.randn(2, 4, 8, 8)
    state, ours = x, None
    with torch.no_grad():
        for t in scheduler.timesteps.tolist():
            product = float(scheduler.alphas_cumprod[t])
            alpha = product**0.5
            output = pipe.transformer(state, torch.full((2,), t), labels).sample[:, :4]
            clean = network(state / alpha, (1 / product - 1) ** 0.5, labels)
            estimate = scheduler.step(output, t, state)
            assert torch.allclose(estimate.pred_original_sample, clean, rtol=1e-3, atol=1e-3)
            state, ours = estimate.prev_sample, clean
    assert ours is not None and torch.isfinite(network.decode(state)).all()


def test_the_folder_of_latents_is_described_and_runs_in_the_command(dit, tmp_path):
    folder, _ = dit
    found = json.loads(run(inspect_app, [str(folder), "--json", "-"]).stdout)
    assert found["latents"] == [4, 8, 8] and found["learned_variance"] is True
    command = ["--network", str(folder), "--method", "ddim", "--steps", "2", "--seeds", "0-1"]
    command += ["--sigma-min", "0.02"]
    result = run(generate_app, [*command, "--out", str(tmp_path / "images")])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "images").rglob("*.png"))) == 2


def test_the_class_has_had_another_name(dit, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(dit[0], folder)
    old = {"_class_name": "Transformer2DModel", "attention_type": "default"}
    rewritten(folder / "transformer" / "config.json", **old, cross_attention_dim=None)
    x = torch.randn(1, 4, 8, 8)
    label = torch.tensor([1])
    expected = open_network(dit[0], CPU)[0](x, 1.0, label)
    assert torch.equal(open_network(folder, CPU)[0](x, 1.0, label), expected)
    rewritten(folder / "transformer" / "config.json", cross_attention_dim=768)
    refuses(folder, "'cross_attention_dim' is no option")


def test_latents_without_a_decoder_are_refused(tmp_path):
    folder, *_ = saved(tmp_path / "pipe", small_unet(in_channels=4, out_channels=4))
    result = run(
        generate_app,
        [
            "--network",
            str(folder),
            "--method",
            "ddim",
            "--steps",
            "2",
            "--seeds",
            "0",
            "--out",
            "x",
        ],
    )
    assert "as latents have: give it a decoder in your own code" in str(result.exception)


# ------------------------------------------------------------------------------------ hostile folders


def refuses(folder, *words):
    with pytest.raises(SeedsError) as caught:
        open_network(folder, CPU)
    text = str(caught.value)
    assert isinstance(caught.value, CheckpointError), text
    assert "\n" not in text and len(text) < 900
    assert all(word in text for word in words), text
    assert text.count(str(folder)) <= 1  # it is named once
    result = run(inspect_app, [str(folder)])
    assert result.exit_code and isinstance(result.exception, SeedsError)


UNET_CHANGES = {
    "a huge width": ({"block_out_channels": [8, 1 << 40]}, "each an integer from 1 to 16384"),
    "a width of a million levels": ({"block_out_channels": [8] * 10**5}, "a list of 1 to 8"),
    "a huge number of layers": ({"layers_per_block": 10**9}, "an integer from 1 to 16"),
    "a width that is none": ({"block_out_channels": [8, "16"]}, "block_out_channels has to be"),
    "a width of 0": ({"block_out_channels": [0, 16]}, "from 1 to 16384"),
    "widths that do not fit groups": ({"block_out_channels": [8, 18]}, "has these options"),
    "lists of different lengths": ({"block_out_channels": [8]}, "has these options"),
    "other widths than the weights": ({"block_out_channels": [8, 20]}, "has to have the shape"),
    "groups of 0": ({"norm_num_groups": 0}, "norm_num_groups has to be"),
    "heads that do not divide": ({"attention_head_dim": 7}, "has to have the shape (14, 16)"),
    "an unknown block": ({"down_block_types": ["DownBlock2D", "os.system"]}, "down_block_types"),
    "a block with a prompt": (
        {"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"]},
        "down_block_types",
    ),
    "an unknown activation": ({"act_fn": "__import__"}, "act_fn has to be silu"),
    "an unknown option": ({"auto_map": {"AutoModel": "evil.Model"}}, "'auto_map' is no option"),
    "quantised": ({"quantization_config": {"quant_method": "x"}}, "'quantization_config' is no"),
    "an unknown class": ({"_class_name": "MyUNet"}, "got 'MyUNet'", "file.py:function"),
    "a class with a prompt": ({"_class_name": "UNet2DConditionModel"}, "--pipeline FOLDER"),
    "a class that is a path": ({"_class_name": ["my_module", "Net"]}, "got a list"),
    "no class": ({"_class_name": ...}, "got None"),
    "a rectangle": ({"sample_size": [8, 16]}, "it is 8 x 16"),
    "no size": ({"sample_size": None}, "it is not said"),
    "a size of 0": ({"sample_size": 0}, "sample_size has to be"),
    "a size that is no number": ({"sample_size": True}, "sample_size has to be"),
    "too many outputs": ({"out_channels": 9}, "returns 9 channels for 3"),
    "a variance that the weights lack": ({"out_channels": 6}, "has to have the shape (6, 8, 3, 3)"),
    "a class as a timestep": ({"class_embed_type": "timestep"}, "takes a class as a timestep"),
    "classes that the weights lack": ({"num_class_embeds": 10}, "'class_embedding.weight'"),
    "a huge number of classes": ({"num_class_embeds": 10**12}, "num_class_embeds has to be"),
    "an epsilon below 0": ({"norm_eps": -1.0}, "norm_eps has to be"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("original") / "pipe")[0]


@pytest.fixture
def folder(original, tmp_path):
    """A copy, to be broken."""
    return shutil.copytree(original, tmp_path / "pipe")


@pytest.mark.parametrize("name", UNET_CHANGES)
def test_settings_of_the_network_that_are_wrong(folder, name):
    changes, *words = UNET_CHANGES[name]
    rewritten(folder / "unet" / "config.json", **changes)
    refuses(folder, *words)


SCHEDULER_CHANGES = {
    "an unknown class": ({"_class_name": "MyScheduler"}, "got 'MyScheduler'"),
    "a class of code": ({"_class_name": ["my", "Scheduler"]}, "got a list"),
    "a consistency model": (
        {"_class_name": "CMStochasticIterativeScheduler", "sigma_data": 0.5},
        "EDM-preconditioned",
    ),
    "of score matching": (
        {"_class_name": "ScoreSdeVeScheduler", "beta_schedule": ...},
        "no training schedule",
    ),
    "a huge number of timesteps": ({"num_train_timesteps": 10**12}, "from 2 to 100000"),
    "no timesteps": ({"num_train_timesteps": 0}, "from 2 to 100000"),
    "timesteps that are no number": ({"num_train_timesteps": "1000"}, "from 2 to 100000"),
    "betas that fall to nothing": ({"beta_start": 0.0, "beta_end": 0.0}, "strictly decreasing"),
    "a beta above 1": ({"beta_end": 2.0}, "beta_end has to be a number from 0 to 1"),
    "a beta below 0": ({"beta_start": -1e-4}, "beta_start has to be"),
    "an unknown schedule": ({"beta_schedule": "spiral"}, "spiral"),
    "a schedule that is no name": ({"beta_schedule": ["linear"]}, "beta_schedule has to be a name"),
    "an unknown prediction": ({"prediction_type": "noise of mine"}, "prediction_type has to be"),
    "betas that are words": ({"trained_betas": ["a", "b"]}, "trained_betas has to be"),
    "one beta": ({"trained_betas": [0.1]}, "a list of 2 to 100000"),
    "a clip that is none": ({"clip_sample_range": 0}, "clip_sample_range has to be"),
    "a flag that is none": ({"clip_sample": "yes"}, "clip_sample has to be true or false"),
}


@pytest.mark.parametrize("name", SCHEDULER_CHANGES)
def test_settings_of_the_scheduler_that_are_wrong(folder, name):
    changes, *words = SCHEDULER_CHANGES[name]
    rewritten(folder / "scheduler" / "scheduler_config.json", **changes)
    refuses(folder, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"_class_name": "DDPMScheduler", "trained_betas": [NaN, 0.1]}',
            "trained_betas has to be",
        ),
        ('{"_class_name": "DDPMScheduler", "beta_end": Infinity}', "beta_end has to be"),
        ('{"trained_betas": [1e999, 0.1]}', "1e999 is no number"),
        ('{"beta_end": 1, "beta_end": 2}', "twice"),
        ("[" * 10**5, "no strict JSON"),
        ('["linear"]', "no JSON object"),
        ("", "no strict JSON"),
        ("\x00\xff", "no strict JSON"),
        (" " * (5 << 20), "more than the 4194304 that are read"),
    ],
    ids=["NaN", "infinite", "beyond", "twice", "nested", "a list", "empty", "binary", "large"],
)
def test_settings_that_are_no_json(folder, text, words):
    (folder / "scheduler" / "scheduler_config.json").write_text(text)
    refuses(folder, "scheduler_config.json", words)


INDEX_CHANGES = {
    "code in the folder": ({"unet": ["my_unet", "MyUNet"]}, "from 'my_unet'", "nothing was run"),
    "a pipeline of code": ({"_class_name": ["pipeline", "Mine"]}, "its own code"),
    "a prompt": ({"text_encoder": ["transformers", "CLIPTextModel"]}, "--pipeline FOLDER"),
    "another decoder": ({"vqvae": ["diffusers", "VQModel"]}, "has a part 'vqvae'"),
    "two networks": (
        {"transformer": ["diffusers", "DiTTransformer2DModel"]},
        "unet and transformer",
    ),
    "no network": ({"unet": [None, None]}, "no network"),
    "an empty pair": ({"unet": []}, "unet is no pair"),
    "a path as a part": ({"../../etc": ["diffusers", "UNet2DModel"]}, "has a part '../../etc'"),
    "a decoder that is not there": (
        {"vae": ["diffusers", "AutoencoderKL"]},
        "vae/config.json: cannot be read",
    ),
}


@pytest.mark.parametrize("name", INDEX_CHANGES)
def test_an_index_that_is_wrong(folder, name):
    changes, *words = INDEX_CHANGES[name]
    (folder / "my_unet.py").write_text("raise SystemExit('run')")
    rewritten(folder / "model_index.json", **changes)
    refuses(folder, *words)
    refuses(folder / "unet", *words)  # the network of that pipeline is no other


class Evil:
    """Pickled as a call that would leave a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


def broken_weights(file, trace):
    """By name, what does something to the file of weights."""
    tensors = safetensors.torch.load_file(file)
    first = next(iter(tensors))
    binary = file.with_suffix(".bin")

    def as_pickle(content, old=False):
        os.remove(file)
        torch.save(content, binary, _use_new_zipfile_serialization=not old)

    def packed():
        os.remove(file)
        torch.save(tensors, binary)
        with zipfile.ZipFile(binary) as archive:
            entries = {entry: archive.read(entry) for entry in archive.namelist()}
        with zipfile.ZipFile(binary, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry, data in entries.items():
                archive.writestr(entry, data)

    def plain_pickle():
        os.remove(file)
        binary.write_bytes(pickle.dumps(Evil(trace)))

    def index(content):
        os.remove(file)
        (file.parent / f"{file.name}.index.json").write_text(json.dumps(content))

    def linked(target):
        os.remove(file)
        file.symlink_to(target)

    other = dict(tensors)
    other[first] = torch.full_like(tensors[first], float("nan"))
    return {
        "missing": (lambda: os.remove(file), "has no diffusion_pytorch_model.safetensors"),
        "empty": (lambda: file.write_bytes(b""), "safetensors"),
        "cut": (lambda: file.write_bytes(file.read_bytes()[:-100]), "safetensors"),
        "a huge header": (lambda: file.write_bytes(b"\xff" * 7 + b"\x7f{}"), "safetensors"),
        "one lacks": (
            lambda: safetensors.torch.save_file(dict(list(tensors.items())[1:]), file),
            "the file has not",
        ),
        "one is too many": (
            lambda: safetensors.torch.save_file({**tensors, "extra": torch.ones(1)}, file),
            "the file has 'extra'",
        ),
        "another shape": (
            lambda: safetensors.torch.save_file({**tensors, first: torch.ones(3)}, file),
            "has to have the shape",
        ),
        "integers": (
            lambda: safetensors.torch.save_file({**tensors, first: torch.ones(3).int()}, file),
            "holds no real numbers",
        ),
        "not finite": (lambda: safetensors.torch.save_file(other, file), "not finite"),
        "a pickle that calls": (lambda: as_pickle(Evil(trace)), "nothing was run"),
        "a plain pickle that calls": (plain_pickle, "is no file of torch.save: nothing was run"),
        "an old pickle that calls": (
            lambda: as_pickle({first: Evil(trace)}, old=True),
            "nothing was",
        ),
        "a pickle of a module": (lambda: as_pickle(torch.nn.Linear(1, 1)), "holds an object"),
        "a pickle of more": (
            lambda: as_pickle({**tensors, "step": 3}),
            "tensors by their names alone",
        ),
        "a pickle whose tensors overlap": (
            lambda: as_pickle({first: tensors[first], "again": tensors[first]}),
            "that of another tensor, too",
        ),
        "a pickle of a list": (lambda: as_pickle([torch.ones(1)]), "no tensors by their names"),
        "a bomb of one number": (
            lambda: as_pickle({"x": torch.ones(1).expand(1 << 30)}),
            "larger than its storage of 1",
        ),
        "a packed archive": (packed, "is compressed or encrypted"),
        "a link to nothing": (lambda: linked("nowhere"), "cannot be read"),
        "a link to itself": (lambda: linked(file.name), "cannot be read"),
        "a link to a device": (lambda: linked("/dev/zero"), "no regular file"),
        "a link to a folder": (lambda: linked("/tmp"), "no regular file"),
        "a pipe": (lambda: (os.remove(file), os.mkfifo(file)), "no regular file"),
        "an index that goes out": (
            lambda: index({"weight_map": {first: "../../weights.safetensors"}}),
            "no safetensors file beside it",
        ),
        "an index of pickles": (
            lambda: index({"weight_map": {first: "weights.bin"}}),
            "no safetensors file beside it",
        ),
        "an index of nothing": (lambda: index({"weight_map": None}), "no weight_map"),
        "an index of what is not there": (
            lambda: index({"weight_map": {first: "a.safetensors"}}),
            "cannot be read",
        ),
        "an index of too much": (
            lambda: index({"weight_map": {str(i): f"{i}.safetensors" for i in range(200)}}),
            "names 200 files",
        ),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("missing", "empty", "cut", "a huge header", "one lacks", "one is too many"),
        *("another shape", "integers", "not finite", "a pickle that calls"),
        *("a plain pickle that calls", "an old pickle that calls", "a pickle of a module"),
        *("a pickle of a list", "a pickle of more", "a pickle whose tensors overlap"),
        *("a bomb of one number", "a packed archive", "a link to nothing", "a link to itself"),
        *("a link to a device", "a link to a folder", "a pipe", "an index that goes out"),
        *("an index of pickles", "an index of nothing", "an index of what is not there"),
        "an index of too much",
    ],
)
def test_weights_that_are_wrong(folder, tmp_path, name):
    trace = tmp_path / "trace"
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    change, *words = broken_weights(file, trace)[name]
    change()
    refuses(folder, *words)
    assert not trace.exists()


def test_folders_that_are_none(tmp_path, folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    refuses(empty, "without model_index.json or config.json")
    shutil.rmtree(folder / "scheduler")
    refuses(folder, "does not say on what its network was trained")
    (folder / "scheduler").mkdir()
    refuses(folder, "does not say on what its network was trained")
    shutil.rmtree(folder / "unet")
    refuses(folder, "unet/config.json", "cannot be read")


def test_a_decoder_that_does_not_fit(dit, tmp_path):
    folder = shutil.copytree(dit[0], tmp_path / "pipe")
    rewritten(folder / "vae" / "config.json", latent_channels=3)
    refuses(folder, "its vae is for 3 channels, its network for 4")
    rewritten(folder / "vae" / "config.json", latent_channels=4, scaling_factor=0)
    refuses(folder, "scaling_factor has to be")
    rewritten(folder / "vae" / "config.json", scaling_factor=0.2, latents_mean=[0.0] * 4)
    refuses(folder, "latents_mean has to be null")
    rewritten(folder / "vae" / "config.json", latents_mean=None, use_quant_conv=False)
    refuses(folder, "'quant_conv.")


def test_without_diffusers_one_line_says_what_to_install(original, monkeypatch):
    import sys

    for name in [n for n in sys.modules if n.split(".")[0] == "diffusers" or "diffusers" in n]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(SeedsError, match="pip install"):
        open_network(original, CPU)


def test_what_was_read_is_known_by_file(original):
    found = read_folder(original)
    assert found.label_dim == 0 and found.decoder is None
    assert set(found.files) >= {"unet/config.json", "scheduler/scheduler_config.json"}
