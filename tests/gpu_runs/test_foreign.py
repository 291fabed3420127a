"""Networks of other projects in files of torch.save: read without running anything, and as the originals."""

import io
import json
import os
import re
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from edm_writer import edm_pickle, small_network
from foreign_files import (
    DATA,
    FLAGS,
    adm,
    content,
    draw,
    flat,
    saved,
    score,
    states,
    with_flags,
)
from torch import nn
from typer.testing import CliRunner

from gpu_runs import CheckpointError, load_checkpoint
from gpu_runs.checkpoint_commands import convert_app, inspect_app
from gpu_runs.checkpoints import zip_entries as zip_reader
from gpu_runs.checkpoints.adm import described
from gpu_runs.checkpoints.checkpoint import read_checkpoint
from gpu_runs.checkpoints.checkpoint_files import checkpoint_path
from gpu_runs.checkpoints.flags import split_name
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.checkpoints.preconditioning import NetworkSpec, build_network
from gpu_runs.checkpoints.translation import StateDict
from seeds_theory.errors import ParameterError, SeedsError, UnknownNameError

CPU = torch.device("cpu")
SMALL = "consistency_edm_plain"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a file NAME.pt of each network."""
    folder = tmp_path_factory.mktemp("foreign")
    for name in FLAGS:
        (folder / f"{name}.pt").write_bytes(saved(content(name)))
    return folder


@pytest.fixture(scope="module")
def networks(files):
    """All networks by name, in single precision."""
    return {name: load_checkpoint(with_flags(files / f"{name}.pt", name)) for name in FLAGS}


@pytest.fixture
def write(tmp_path):
    """Writes bytes to a file."""

    def write(data, name="net.pt"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def refused(name, kind=CheckpointError):
    """The message with which a file is refused: one line."""
    with pytest.raises(kind) as caught:
        load_checkpoint(name)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 800
    return message


def same_state(net, other):
    state, wanted = net.state_dict(), other.state_dict()
    return state.keys() == wanted.keys() and all(torch.equal(state[k], wanted[k]) for k in wanted)


# ---------------------------------------------------------------------------------------- as the originals


@pytest.mark.parametrize("name", FLAGS)
def test_outputs_are_those_of_the_original(name, files):
    net = load_checkpoint(with_flags(files / f"{name}.pt", name), dtype=torch.float64)
    with np.load(DATA / f"{name}.npz") as file:
        sigma, expected = torch.from_numpy(file["sigma"]), torch.from_numpy(file["D"])
    x = states(sigma, (net.channels, net.resolution, net.resolution)).double()
    classes = torch.arange(len(x)) % net.label_dim if net.label_dim else None
    found = net(x, sigma, classes)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max() / other.abs().max()) < 2e-7


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("guided_linear", {"use_new_attention_order": True}),
        ("guided_linear", {"num_head_channels": 32}),
        ("guided_linear", {"noise_schedule": "cosine"}),
        ("guided_cosine", {"use_new_attention_order": False}),
        ("improved_cosine", {"rescale_timesteps": False}),
        ("improved_linear", {"diffusion_steps": 1000}),
        ("score_vp_plain", {"sde": "subvpsde"}),
        ("score_vp_residual", {"fir": False}),
        ("score_vp_plain", {"beta_max": 10.0}),
    ],
)
def test_flags_are_not_idle(name, other, networks, files):
    flags = read_checkpoint(with_flags(files / f"{name}.pt", name)).flags | other
    told = ",".join(f"{key}={value}" for key, value in flags.items())
    net, changed = networks[name], load_checkpoint(f"{files / name}.pt@{told}")
    x = torch.ones(1, net.channels, net.resolution, net.resolution)
    assert not torch.allclose(net(x, 2.0), changed(x, 2.0), rtol=1e-3)


@pytest.mark.parametrize("name", ["guided_linear", "score_ve_residual"])
def test_the_older_format_holds_the_same_network(name, networks, write):
    path = write(saved(content(name), zipped=False))
    assert same_state(load_checkpoint(with_flags(path, name)), networks[name])


def test_tensors_may_be_parts_of_one_storage(networks, write):
    for zipped in (True, False):
        path = write(saved(flat(adm(SMALL)), zipped=zipped))
        assert same_state(load_checkpoint(with_flags(path, SMALL)), networks[SMALL])


def test_other_layouts_hold_the_same_network(networks, write):
    state = adm(SMALL)
    wrapped = OrderedDict((f"module.{key}", value) for key, value in state.items())
    wrapped._metadata = OrderedDict(version=1)  # as of a module's state dict
    transposed = {key: value.T.contiguous().T for key, value in state.items() if value.ndim == 2}
    parameters = {key: nn.Parameter(value) for key, value in state.items()}
    for other in (wrapped, {**state, **transposed}, parameters):
        path = write(saved(other))
        assert same_state(load_checkpoint(with_flags(path, SMALL)), networks[SMALL])


def test_noise_levels_are_those_of_the_process(networks):
    def levels(name):
        return networks[name].sigma_min, networks[name].sigma_max

    # Images from 0 to 1 become images from -1 to 1.
    assert levels("score_ve_residual") == pytest.approx((0.02, 100.0))
    assert levels("score_ve_skip") == pytest.approx((0.02, 696.0))
    assert levels("score_vp_plain") == pytest.approx((0.0010005, 152.1672), rel=1e-4)
    assert levels("guided_linear") == pytest.approx((0.0100005, 157.4073), rel=1e-4)
    assert levels("consistency_edm") == (0.0, float("inf"))
    net = networks["guided_linear"]
    betas = np.linspace(1e-4, 0.02, 1000)
    squared = 1 / np.cumprod(1 - betas)
    assert net.u[:-1].double().numpy()[::-1] == pytest.approx(np.sqrt(squared - 1), rel=1e-6)
    assert float(net.round_sigma(2.0)) == pytest.approx(2.0, rel=0.01)


# The networks with published weights, as their projects' READMEs and configurations describe them.
PUBLISHED = {
    "64x64_diffusion": (192, [1, 2, 3, 4], 3, [32, 16, 8], 1000, 2, {}),
    "128x128_diffusion": (256, [1, 1, 2, 3, 4], 2, [32, 16, 8], 1000, 2, {"num_heads": 4}),
    "256x256_diffusion_uncond": (256, [1, 1, 2, 2, 4, 4], 2, [32, 16, 8], 0, 2, {}),
    "512x512_diffusion": (256, [0.5, 1, 1, 2, 2, 4, 4], 2, [32, 16, 8], 1000, 2, {}),
    "imagenet64_cond": (192, [1, 2, 3, 4], 3, [16, 8], 1000, 2, {"resampling": "conv"}),
    "cifar10_uncond": (128, [1, 2, 2, 2], 3, [16, 8], 0, 2, {"resampling": "conv"}),
    "imagenet64_uncond": (128, [1, 2, 3, 4], 3, [16, 8], 0, 2, {"resampling": "conv"}),
    "lsun_uncond": (
        128,
        [1, 1, 2, 2, 4, 4],
        2,
        [16],
        0,
        2,
        {"resampling": "conv", "scale_shift": False, "num_heads": 1},
    ),
    "edm_imagenet64_ema": (192, [1, 2, 3, 4], 3, [32, 16, 8], 1000, 1, {}),
    "edm_bedroom256_ema": (256, [1, 1, 2, 2, 4, 4], 2, [32, 16, 8], 0, 1, {"scale_shift": False}),
}
SCHEDULES = {
    "64x64_diffusion": ("CosineDDPMPrecond", 1000, 1),
    "128x128_diffusion": ("LinearDDPMPrecond", 1000, 1),
    "256x256_diffusion_uncond": ("LinearDDPMPrecond", 1000, 1),
    "512x512_diffusion": ("LinearDDPMPrecond", 1000, 1),
    "imagenet64_cond": ("CosineDDPMPrecond", 4000, 1),
    "cifar10_uncond": ("CosineDDPMPrecond", 4000, 0.25),
    "imagenet64_uncond": ("CosineDDPMPrecond", 4000, 0.25),
    "lsun_uncond": ("LinearDDPMPrecond", 1000, 1),
    "edm_imagenet64_ema": ("EDM1000Precond", None, None),
    "edm_bedroom256_ema": ("EDM1000Precond", None, None),
}
THEIRS = {
    "norm0": "in_layers.0",
    "conv0": "in_layers.2",
    "affine": "emb_layers.1",
    "norm1": "out_layers.0",
    "conv1": "out_layers.3",
    "skip": "skip_connection",
}


class Shape:
    """Stands for a stored tensor of which only the shape is looked at."""

    def __init__(self, size):
        self.size = tuple(size)


def published_shapes(name):
    """Names and shapes of a published state dict, by walking this project's network in the other's order."""
    channels, mult, blocks, attention, classes, factor, options = PUBLISHED[name]
    size = 8 << len(mult) - 1 if name != "cifar10_uncond" else 32
    spec = NetworkSpec("EDMPrecond", "DhariwalUNet", size, 3, classes)
    spec.options.update(model_channels=channels, channel_mult=mult, num_blocks=blocks)
    spec.options.update(attn_resolutions=attention, **options)
    with torch.device("meta"):
        model = build_network(spec).model
    wide = name.startswith("edm")
    theirs = {}

    def put(prefix, part, module):
        for key, value in module.state_dict().items():
            if key != "resample_filter":
                shape = list(value.shape)
                if part in ("qkv", "proj_out") and key == "weight" and not wide:
                    shape = shape[:3]
                theirs[f"{prefix}.{part}.{key}"] = Shape(shape)

    def block(prefix, module):
        if hasattr(module, "change"):
            put(prefix, "op" if module.change == "down" else "conv", module.conv)
            return
        for ours, part in THEIRS.items():
            if (inner := getattr(module, ours)) is not None:
                put(prefix, part, inner)

    def attend(prefix, module):
        if module.heads:
            put(prefix, "norm", module.norm2)
            put(prefix, "qkv", module.qkv)
            put(prefix, "proj_out", module.proj)
        return bool(module.heads)

    put("time_embed", "0", model.map_layer0)
    put("time_embed", "2", model.map_layer1)
    if classes:
        theirs["label_emb.weight"] = Shape(model.map_label.weight.shape[::-1])
    for number, (key, module) in enumerate(model.enc.items()):
        if key.endswith("_conv"):
            put(f"input_blocks.{number}", "0", module)
        else:
            block(f"input_blocks.{number}.0", module)
            if key.partition("_")[2] != "down":
                attend(f"input_blocks.{number}.1", module)
    (_, middle), (_, after), *rest = model.dec.items()
    block("middle_block.0", middle)
    attend("middle_block.1", middle)
    block("middle_block.2", after)
    number, attends = -1, False
    for key, module in rest:
        if key.endswith("_up"):
            block(f"output_blocks.{number}.{1 + attends}", module)
        else:
            number += 1
            block(f"output_blocks.{number}.0", module)
            attends = attend(f"output_blocks.{number}.1", module)
    put("out", "0", model.out_norm)
    put("out", "2", model.out_conv)
    for part in ("weight", "bias"):
        shape = theirs[f"out.2.{part}"].size
        theirs[f"out.2.{part}"] = Shape((factor * shape[0], *shape[1:]))
    return theirs, size


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_known_by_their_shapes(name):
    shapes, size = published_shapes(name)
    given = {"training_mode": "edm"} if name.startswith("edm") else {}
    _, flags, spec = described(StateDict(shapes), given, f"{name}.pt")
    channels, mult, blocks, attention, classes, _, options = PUBLISHED[name]
    kind, steps, step = SCHEDULES[name]
    assert (spec.resolution, spec.label_dim, spec.channels) == (size, classes, 3)
    assert (spec.preconditioning, spec.constants.get("M")) == (kind, steps)
    assert spec.constants.get("step") == step
    found = spec.options
    assert (found["model_channels"], found["channel_mult"]) == (channels, mult)
    assert (found["num_blocks"], found["attn_resolutions"]) == (blocks, attention)
    assert options.items() <= found.items()
    assert flags.get("use_new_attention_order", name == "64x64_diffusion") == (
        name == "64x64_diffusion"
    )


def test_a_network_that_only_resembles_a_published_one_is_not_known():
    shapes, _ = published_shapes("64x64_diffusion")
    shapes["label_emb.weight"] = Shape((10, 768))
    with pytest.raises(CheckpointError, match="does not say its num_head_channels"):
        described(StateDict(shapes), {}, "64x64_diffusion.pt")


# ---------------------------------------------------------------------------------------------- the commands


def test_a_run_records_what_the_file_does_not_say(files):
    path = files / "guided_linear.pt"
    _, identity = open_network(with_flags(path, "guided_linear"), CPU)
    assert identity["read_as"] == (
        "image_size=16,num_head_channels=16,use_new_attention_order=False,noise_schedule=linear,"
        "diffusion_steps=1000,rescale_timesteps=False"
    )
    # As it stands there it can be given again.
    assert open_network(f"{path}@{identity['read_as']}", CPU)[1] == identity


def test_flags_are_recorded_in_one_order(files):
    path = files / "score_ve_residual.pt"
    told = [f"{path}@{flags}" for flags in ("sigma_max=50,fir=True", "fir=yes,sigma_max=5e1")]
    first, second = (read_checkpoint(name).read_as for name in told)
    assert first == second == "sde=vesde,image_size=32,fir=True,sigma_min=0.01,sigma_max=50.0"


def test_an_embedded_network_has_nothing_else_to_record():
    assert open_network("fashion-mnist", CPU)[1].keys() == {"checkpoint"}


@pytest.mark.parametrize("name", ["guided_cosine", "score_subvp"])
def test_commands_describe_and_convert(name, files, tmp_path, networks):
    run, target = CliRunner().invoke, str(tmp_path / "net.safetensors")
    source = with_flags(files / f"{name}.pt", name)
    result = run(inspect_app, [source, "--json", "-"])
    assert result.exit_code == 0, result.output
    described = json.loads(result.stdout)
    assert described["format"] in ("ADM state dict", "score_sde checkpoint")
    assert described["read_as"] == read_checkpoint(source).read_as
    result = run(convert_app, [source, target])
    assert result.exit_code == 0, result.output
    assert same_state(load_checkpoint(target), networks[name])
    metadata = read_checkpoint(target).metadata
    assert metadata["converted_from"] == f"{name}.pt"
    assert metadata["read_as"] == described["read_as"]


def test_the_users_code_is_made_once_for_a_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(
        "class Zero:\n"
        "    resolution, channels, label_dim, sigma_min, sigma_max = 4, 1, 0, 0.01, 80.0\n"
        "    def __call__(self, x, sigma):\n"
        "        return x / (1 + sigma**2)\n"
        "def network(device):\n"
        "    with open('made', 'a') as file:\n"
        "        file.write('x')\n"
        "    return Zero()\n"
    )
    result = CliRunner().invoke(inspect_app, ["own.py:network", "--check", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert Path("made").read_text() == "x"


# ------------------------------------------------------------------------------------------------- the flags


def test_a_name_has_flags_behind_it(tmp_path):
    assert split_name("a@b.pt@sde=vpsde,image_size=32") == (
        "a@b.pt",
        {"sde": "vpsde", "image_size": "32"},
    )
    for plain in ("net.pt", "me@home.pt", "a@b", "x@", "@sde=1", "net.pt@sde", "a@b=c/net.pt"):
        assert split_name(plain) == (plain, {})
    odd = tmp_path / "net.pt@sde=vpsde"
    odd.write_bytes(b"")
    assert split_name(odd) == (str(odd), {})  # a file of that very name
    with pytest.raises(ParameterError, match="given twice"):
        split_name("net.pt@sde=vpsde,sde=vpsde")


@pytest.mark.parametrize(
    ("name", "flags", "kind", "message"),
    [
        ("guided_linear", "", CheckpointError, "num_heads), image_size, use_new_attention_order"),
        ("guided_linear", "@noise=linear", UnknownNameError, "unknown flag of this kind of file"),
        ("guided_linear", "@noise_schedule=sqrt", UnknownNameError, "linear, cosine"),
        ("guided_linear", "@image_size=0", ParameterError, "whole number above 0, 10000 at most"),
        ("guided_linear", "@image_size=1e9", ParameterError, "got '1e9'"),
        ("guided_linear", "@diffusion_steps=99999999999", ParameterError, "10000 at most"),
        ("guided_linear", "@use_new_attention_order=2", ParameterError, "True or False"),
        ("guided_linear", "@num_heads=2,num_head_channels=8", ParameterError, "not both"),
        ("guided_linear", "@training_mode=edm", ParameterError, "no flag of guided-diffusion"),
        ("consistency_edm", "@noise_schedule=linear", ParameterError, "no flag of consistency"),
        ("consistency_edm", "@num_heads=1,image_size=16", CheckpointError, "@training_mode=edm"),
        ("consistency_edm", "@training_mode=progdist", CheckpointError, "a consistency model"),
        ("score_vp_plain", "", CheckpointError, "FILE@sde=vpsde"),
        ("score_vp_plain", "@sde=vesde", CheckpointError, "with Fourier features"),
        ("score_ve_skip", "@sde=vpsde", CheckpointError, "with Fourier features"),
        ("score_ve_skip", "@beta_min=-1", ParameterError, "a number above 0"),
        ("score_ve_skip", "@sigma_min=9,sigma_max=1", CheckpointError, "not below sigma_max"),
        ("score_ve_skip", "@image_size=30", CheckpointError, "cannot be halved"),
    ],
)
def test_flags_that_are_wrong_or_missing(name, flags, kind, message, files):
    assert message in refused(f"{files / name}.pt{flags}", kind)


@pytest.mark.parametrize(
    "said",
    [
        *("", "@num_head_channels=16", "@num_heads=2", "@image_size=32", "@noise_schedule=cosine"),
        *("@use_new_attention_order=True", "@diffusion_steps=500", "@rescale_timesteps=True"),
    ],
)
def test_the_example_of_what_is_missing_is_whole(said, files):
    file = files / "guided_linear.pt"
    message = refused(f"{file}{said}")
    assert "does not say its" in message
    example = message.partition("as in FILE@")[2]
    assert all(flag in example for flag in said[1:].split(","))
    try:
        read_checkpoint(f"{file}@{example}")
    except CheckpointError as error:  # the numbers of an example are not those of the file
        assert "does not say" not in str(error)


def test_heads_have_to_fit_the_channels(files):
    flags = FLAGS["guided_linear"].replace("num_head_channels=16", "num_head_channels=48")
    message = refused(f"{files / 'guided_linear.pt'}@{flags}")
    assert "no attention has 0 heads for 32 channels" in message
    flags = flags.replace("num_head_channels=48", "num_heads=5")
    assert "no attention has 5 heads for" in refused(f"{files / 'guided_linear.pt'}@{flags}")


def test_files_that_say_all_take_no_flags(write):
    path = write(edm_pickle(small_network()))
    assert "leave out sde=vpsde" in refused(f"{path}@sde=vpsde", ParameterError)


def test_networks_within_other_entries_are_named(write):
    path = write(saved({"model": adm(SMALL), "epoch": 3}))
    assert "an ADM network as its entry 'model': save that alone" in refused(path)


def test_one_unreadable_tensor_is_named(write):
    state = adm(SMALL)
    state["out.0.bias"] = torch.ones(32, dtype=torch.complex64)
    message = refused(with_flags(write(saved(state)), SMALL))
    assert "'out.0.bias': byte" in message and "'ComplexFloatStorage'" in message
    message = refused(with_flags(write(saved(state, zipped=False)), SMALL))
    assert "is of no kind that is read here" in message and "--network" in message


def test_consistency_models_are_no_denoisers(write):
    for name in ("cd_imagenet64_l2.pt", "ct_bedroom256.pt"):
        path = write(saved(adm(SMALL)), name)
        message = refused(with_flags(path, SMALL))
        assert "a consistency model: it jumps" in message and "--network" in message


# -------------------------------------------------------------------------------- what is something else


class Namespace:
    """A class of the test's, which no reader knows."""


OTHERS = {
    "training state": ({"net": Namespace(), "optimizer_state": {}}, "network-snapshot-"),
    "module": (nn.Linear(2, 2), "holds an object, not tensors by name"),
    "object": (Namespace(), "holds an object"),
    "tensor": (torch.ones(2), "not tensors by name"),
    "list": ([torch.ones(2)], "holds a list"),
    "text": ("text", "holds 'text'"),
    "nothing": ({}, "holds no tensors by name but nothing"),
    "numbers": ({"epoch": 3}, "holds no tensors by name but 'epoch'"),
    "no names": ({5: torch.ones(1)}, "a key that is not a short string"),
    "lucidrains": (
        {"model": {"model.downs.0.0.weight": torch.ones(1)}, "ema": {}, "opt": {}},
        "denoising-diffusion-pytorch",
    ),
    "stable diffusion": (
        {"state_dict": {"model.diffusion_model.input_blocks.0.0.weight": torch.ones(1)}},
        "latent or stable diffusion",
    ),
    "lora": ({"unet.x.lora_up.weight": torch.ones(1)}, "a LoRA"),
    "diffusers": ({"down_blocks.0.resnets.0.conv1.weight": torch.ones(1)}, "U-Net of diffusers"),
    "dit": ({"double_blocks.0.x": torch.ones(1)}, "a diffusion transformer"),
    "unknown": ({"fc.weight": torch.ones(1)}, "a network that is not known here"),
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("zipped", [True, False])
def test_other_things_are_refused_with_a_way_out(kind, zipped, write):
    thing, message = OTHERS[kind]
    found = refused(write(saved(thing, zipped=zipped)))
    assert message in found
    assert "--network file.py:function" in found or "network-snapshot" in found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x81\xa6params\x81", "msgpack, as Flax"),
        (b"\xde\x00\x20\xa6params", "msgpack, as Flax"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"GGUF\x03\x00", "GGUF"),
        (b"<!DOCTYPE html><html>", "a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b'{"_class_name": "UNet2DModel"}', "JSON"),
        (b"\x00" * 50 + bytes.fromhex("57fb808b247547db"), "TensorFlow"),
        (b"\x1f\x8b\x08", "gzip"),
        (bytes(257) + b"ustar" + bytes(250), "a tar archive"),
        (b"\x93NUMPY\x01\x00", "an array of numpy's"),
        (safetensors.torch.save({"a.lora_down.weight": torch.ones(1)}), "a LoRA"),
        (
            safetensors.torch.save({"down_blocks.0.x": torch.ones(1)}),
            "a U-Net of diffusers without their settings: give the folder",
        ),
    ],
)
def test_other_formats_are_named(data, message, write):
    assert message in refused(write(data))


def test_an_address_is_named_whole():
    url = "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/64x64_diffusion.pt"
    with pytest.raises(CheckpointError, match=f"{re.escape(url)} is an address: download"):
        checkpoint_path(url)


# ------------------------------------------------------------------------------------- broken and hostile


def entries(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(content, method=zipfile.ZIP_STORED):
    """An archive of these entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return file.getvalue()


GOOD = saved(adm(SMALL))
TINY = saved({"a.weight": torch.arange(4.0)})


def entry_of(data, part):
    return next(name for name in entries(data) if name.endswith(part))


def changed(**changes):
    """The small archive with other contents of entries, by the ends of their names; None removes one."""
    content = entries(TINY)
    for part, value in changes.items():
        name = entry_of(TINY, part.replace("__", "/").replace("_pkl", ".pkl"))
        content.pop(name) if value is None else content.__setitem__(name, value)
    return zipped(content)


def end_with(**fields):
    """The small archive with another end record."""
    data = bytearray(zipped(entries(TINY)))
    at = data.rfind(b"PK\x05\x06")
    places = {"count": (10, "<H"), "size": (12, "<I"), "start": (16, "<I")}
    for name, value in fields.items():
        offset, kind = places[name]
        struct.pack_into(kind, data, at + offset, value)
    return bytes(data)


def central(offset, kind, value):
    """The small archive with a changed field of its first entry in the list."""
    data = bytearray(zipped(entries(TINY)))
    struct.pack_into(kind, data, data.find(b"PK\x01\x02") + offset, value)
    return bytes(data)


def wide_end(at):
    """The small archive with an end record of 64 bits that lies elsewhere."""
    data = zipped(entries(TINY))
    end = data.rfind(b"PK\x05\x06")
    return data[:end] + b"PK\x06\x07" + struct.pack("<IQI", 0, at, 1) + data[end:]


PICKLE = entries(TINY)[entry_of(TINY, "data.pkl")]


def swapped(old, new):
    assert old in PICKLE
    return changed(data_pkl=PICKLE.replace(old, new))


PAIRS = b"".join(b"h%c\x86q%c" % (i, i + 1) for i in range(60))  # a tuple of twice the one before
ARCHIVES = {
    "compressed": (zipped(entries(TINY), zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "bomb": (zipped({"a/data.pkl": b"." * 10**6}, zipfile.ZIP_DEFLATED), "nothing was unpacked"),
    "no end": (TINY[:-30], "cut off"),
    "only a start": (b"PK\x03\x04", "cut off"),
    "cut in the middle": (GOOD[: len(GOOD) // 2], "cut off"),
    "many entries": (end_with(count=65535), "damaged"),
    "list outside": (end_with(start=2**31), "outside of it"),
    "list of nothing": (end_with(start=0), "list of entries is damaged"),
    "wide end nowhere": (wide_end(2**62), "end is damaged"),
    "wide end at the start": (wide_end(0), "end is damaged"),
    "encrypted": (central(8, "<H", 1), "compressed or encrypted"),
    "entry elsewhere": (central(42, "<I", 5), "is not where the archive says"),
    "entry outside": (central(42, "<I", 2**31), "is not where the archive says"),
    "entry too long": (central(20, "<Q", (2**31 << 32) | 2**31), "cut off"),
    "twice": (
        zipped({"a/data.pkl": PICKLE, "b/data.pkl": PICKLE}).replace(b"b/data", b"a/data"),
        "has 'a/data.pkl' twice",
    ),
    "no pickle": (changed(data_pkl=None), "without one data.pkl"),
    "two pickles": (zipped({"a/data.pkl": PICKLE, "b/data.pkl": PICKLE}), "without one data.pkl"),
    "no storage": (changed(data__0=None), "has no storage '0'"),
    "short storage": (changed(data__0=bytes(15)), "4 numbers that holds 15 bytes"),
    "long storage": (changed(data__0=bytes(17)), "4 numbers that holds 17 bytes"),
    "big-endian": (changed(byteorder=b"big"), "not little-endian"),
    "script": (zipped({"a/constants.pkl": b"", "a/data.pkl": PICKLE}), "TorchScript"),
    "arrays": (zipped({"arr_0.npy": b""}), "numpy's arrays"),
    "pickle goes on": (changed(data_pkl=PICKLE + b"N."), "the entry does not"),
    "no opcodes": (changed(data_pkl=b""), "ends in the middle"),
    "a function": (
        changed(data_pkl=b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85R."),
        "nothing was run",
    ),
    "a name": (changed(data_pkl=b"\x80\x02ca\nb\n."), "asks for 'a' 'b'"),
    "outside names": (changed(data_pkl=b"\x80\x02X\x01\x00\x00\x000Q."), "without its type"),
    "cyclic list": (changed(data_pkl=b"\x80\x02]q\x00h\x00a."), "holds a list"),
    "cyclic dict": (
        changed(data_pkl=b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."),
        "holds no tensors by name",
    ),
    "deep": (changed(data_pkl=b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b"."), "holds a list"),
    "hash of nested tuples": (
        changed(data_pkl=b"\x80\x02ccollections\nOrderedDict\n)q\x00" + PAIRS + b"N\x86\x85\x85R."),
        "takes 0 positional arguments",
    ),
    "huge storage": (swapped(b"K\x04t", b"\x8a\x06" + b"\xff" * 5 + b"\x7ft"), "larger together"),
    "huge size": (
        swapped(b"K\x00K\x04\x85", b"K\x00J\xff\xff\xff\x7f\x85"),
        "larger than its storage",
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_broken_archives_are_one_line(kind, write):
    data, message = ARCHIVES[kind]
    assert message in refused(write(data))


def test_archives_cut_off_anywhere_are_one_line(write):
    for length in range(4, len(TINY), 97):
        refused(write(TINY[:length]))
    legacy = saved({"a": torch.ones(3)}, zipped=False)
    for length in range(1, len(legacy), 11):
        refused(write(legacy[:length]))


def test_more_entries_than_a_network_has(write, monkeypatch):
    monkeypatch.setattr(zip_reader, "ENTRY_LIMIT", 3)
    assert "more than 3 entries" in refused(write(TINY))


def test_storages_that_overlap_take_no_more_memory_than_the_file(write):
    """Many storages at one place of the archive, each as large as nearly all of it."""
    data = bytearray(saved({str(i): torch.zeros(1000) + i for i in range(4)}))
    at, starts = data.find(b"PK\x01\x02"), []
    while at >= 0:
        length = struct.unpack_from("<H", data, at + 28)[0]
        if b"/data/" in data[at + 46 : at + 46 + length]:
            starts.append(at)
        at = data.find(b"PK\x01\x02", at + 1)
    first = data[starts[0] + 42 : starts[0] + 46]
    for start in starts:
        data[start + 42 : start + 46] = first
    small = bytes(data)
    assert "not known here" in refused(write(small))  # they are views until something needs them


LEGACY = saved({"a": torch.arange(4.0)}, zipped=False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LEGACY + b"x", "the last storage ends here"),
        (LEGACY[:-1], "holds 15 bytes"),
        (LEGACY[:-24] + (5).to_bytes(8, "little") + LEGACY[-16:], "not as long as its tensors say"),
        (LEGACY.replace(b"little_endian", b"middle_endian"), "not little-endian"),
        (LEGACY[:60], "ends in the middle"),
    ],
)
def test_broken_files_of_the_older_format_are_one_line(data, message, write):
    assert message in refused(write(data))


def with_state(change, name=SMALL):
    state = adm(name)
    change(state)
    return saved(state)


def renamed(old, new):
    def change(state):
        for key in [key for key in state if key.startswith(old)]:
            state[new + key.removeprefix(old)] = state.pop(key)

    return change


STATES = {
    "missing": (lambda s: s.pop("middle_block.0.in_layers.2.bias"), "the file has no 'middle_b"),
    "extra": (lambda s: s.update(extra=torch.ones(1)), "the file has 'extra', which no network"),
    "integers": (
        lambda s: s.update({"out.0.bias": torch.zeros(32, dtype=torch.int64)}),
        "holds no real numbers but torch.int64",
    ),
    "not finite": (
        lambda s: s["out.0.bias"].fill_(float("nan")),
        "'out.0.bias' holds numbers that",
    ),
    "other shape": (
        lambda s: s.update({"out.0.bias": torch.ones(33)}),
        "has to have the shape (32,)",
    ),
    "no rows": (
        lambda s: s.update({"middle_block.1.qkv.weight": torch.ones(7, 64, 1, 1)}),
        "has to have 192 rows",
    ),
    "a number": (
        lambda s: s.update({"middle_block.1.proj_out.weight": torch.tensor(1.0)}),
        "is a single number",
    ),
    "a number for rows": (
        lambda s: s.update({"middle_block.1.qkv.bias": torch.tensor(1.0)}),
        "is a single number",
    ),
    "axes": (
        lambda s: s.update({"time_embed.0.weight": torch.ones(128)}),
        "has to have 2 dimensions",
    ),
    "out": (lambda s: s.update({"out.2.weight": torch.ones(5, 32, 3, 3)}), "5 out"),
    "six": (
        lambda s: s.update(
            {
                "input_blocks.0.0.weight": torch.ones(32, 6, 3, 3),
                "out.2.weight": torch.ones(6, 32, 3, 3),
            }
        ),
        "super-resolution",
    ),
    "widths": (
        lambda s: s.update({"input_blocks.1.0.in_layers.2.weight": torch.ones(35, 32, 3, 3)}),
        "no multiples of 32",
    ),
    "classifier": (
        lambda s: [s.pop(key) for key in list(s) if key.startswith("output_blocks")],
        "a classifier of guided-diffusion's",
    ),
    "block numbers": (renamed("output_blocks.3", "output_blocks.999"), "no U-Net of ADM's"),
    "tied": (
        lambda s: s.update({"out.0.bias": s["out.0.weight"]}),
        "its storage is that of another tensor",
    ),
}


@pytest.mark.parametrize("kind", STATES)
def test_state_dicts_that_do_not_fit(kind, write):
    change, message = STATES[kind]
    assert message in refused(with_flags(write(with_state(change)), SMALL))


def with_score(change):
    content = score("score_ve_residual")
    change(content)
    return saved(content)


def shadow(change):
    return lambda content: change(content["ema"]["shadow_params"])


SCORES = {
    "short list": (shadow(lambda s: s.pop()), "averaged parameters for a network of"),
    "other order": (shadow(lambda s: s.insert(0, s.pop())), "is none of its shape"),
    "no tensors": (shadow(lambda s: s.__setitem__(3, 7)), "is none of its shape"),
    "no list": (lambda c: c.update(ema={"shadow_params": {}}), "'shadow_params' a list"),
    "no average": (lambda c: c.update(ema=None), "a network that is not known here"),
    "no state dict": (lambda c: c.update(model=[]), "has to be a state dict"),
    "no network": (
        lambda c: c.update(model={}, ema={"shadow_params": []}),
        "no DDPM++ or NCSN++ of score_sde's",
    ),
    "no levels": (lambda c: c["model"].pop("module.sigmas"), "@sigma_min=0.01,sigma_max=50"),
    "far number": (
        lambda c: renamed("module.all_modules.19.", "module.all_modules.9999.")(c["model"]),
        "no DDPM++ or NCSN++",
    ),
}


@pytest.mark.parametrize("kind", SCORES)
def test_checkpoints_of_score_sde_that_do_not_fit(kind, write):
    change, message = SCORES[kind]
    assert message in refused(write(with_score(change)))


def test_other_networks_of_score_sde_are_refused(write):
    names = ["all_modules.0.weight", "all_modules.0.bias", "all_modules.1.NIN_0.W"]
    model = {name: draw(name, (4, 4)) for name in names}
    data = saved({"model": model, "ema": {"shadow_params": list(model.values())}})
    message = refused(write(data))
    assert "no DDPM++ or NCSN++" in message and "--network" in message


def test_links_are_followed_to_files_only(files, tmp_path, networks):
    (tmp_path / "link.pt").symlink_to(files / f"{SMALL}.pt")
    assert same_state(load_checkpoint(with_flags(tmp_path / "link.pt", SMALL)), networks[SMALL])
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    assert "no checkpoint file" in refused(tmp_path / "loop.pt")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe.pt").symlink_to(tmp_path / "pipe")
    assert "it is no regular file" in refused(f"{tmp_path / 'to-pipe.pt'}@sde=vpsde")


def test_all_errors_are_of_the_project(files):
    with pytest.raises(SeedsError):
        load_checkpoint(f"{files / 'guided_linear.pt'}@x=1")
