"""Checkpoints in files: what is accepted, what is refused and how, and what it costs."""

import dataclasses
import hashlib
import json
import math
import os
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from edm_writer import SMALL, edm_pickle, small_network

from gpu_runs import CheckpointError, load_checkpoint
from gpu_runs.checkpoints import checkpoint, checkpoint_files
from gpu_runs.checkpoints.checkpoint import (
    file_sha256,
    read_checkpoint,
    save_checkpoint,
)
from gpu_runs.checkpoints.checkpoint_files import checkpoint_path
from gpu_runs.checkpoints.header import write_header
from gpu_runs.checkpoints.inspection import describe
from gpu_runs.checkpoints.preconditioning import NetworkSpec
from gpu_runs.files.whole import OutputError
from seeds_theory.errors import ParameterError, SeedsError


def refused(path, **options):
    """The message with which a file is refused: one line that names it."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, **options)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 800
    return message


@pytest.fixture
def write(tmp_path):
    """Writes bytes to a file."""

    def write(data):
        path = tmp_path / "file"
        path.write_bytes(data)
        return path

    return write


def same_state(net, other):
    state, wanted = net.state_dict(), other.state_dict()
    return state.keys() == wanted.keys() and all(
        torch.equal(state[key], wanted[key]) for key in wanted
    )


def manifest(edm_files):
    return json.loads((edm_files / "broken" / "manifest.json").read_text())


def test_every_broken_file_is_treated_as_its_manifest_says(edm_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = manifest(edm_files)
    assert len(files) == 15
    for name, facts in files.items():
        path = edm_files / "broken" / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == facts["sha256"]
        if facts["final"] == "accept":
            assert load_checkpoint(path).resolution == 16, name
        else:
            assert str(path) in refused(path)
    assert not list(tmp_path.iterdir())


def test_unusual_files_hold_the_same_network(edm_files):
    usual = load_checkpoint(edm_files / "broken" / "ok_training_flag.pkl")
    assert not usual.training and not usual.model.training
    assert not any(parameter.requires_grad for parameter in usual.parameters())
    for name in ("ok_cuda_location", "ok_protocol2"):
        assert same_state(load_checkpoint(edm_files / "broken" / f"{name}.pkl"), usual)
    half = load_checkpoint(edm_files / "broken" / "ok_half.pkl")
    assert {value.dtype for value in half.state_dict().values()} == {torch.float32}
    assert same_state(half, usual.half().float())
    networks = edm_files / "networks"
    old = load_checkpoint(networks / "tiny_edm_ddpmpp.torch113.pkl")
    assert same_state(old, load_checkpoint(networks / "tiny_edm_ddpmpp.pkl"))


def test_the_interface_of_a_network(edm_files):
    net = load_checkpoint(edm_files / "networks" / "tiny_vp_ddpmpp.pkl")
    # The least noise level as stored: the original computes it in float32.
    assert (net.sigma_min, net.sigma_max) == (0.0009765625, 152.16697692871094)
    assert (net.resolution, net.channels, net.label_dim) == (8, 3, 0)
    net = load_checkpoint(edm_files / "networks" / "tiny_iddpm_adm.pkl")
    assert (net.sigma_min, net.sigma_max, net.label_dim) == (0.006422337144613266, 20291.171875, 5)


@pytest.mark.parametrize(
    "name", ["tiny_edm_ncsnpp", "tiny_iddpm_adm", "tiny_ve_ncsnpp", "tiny_vp_ddpmpp"]
)
def test_safetensors_hold_the_same_network(name, edm_files, tmp_path):
    net = load_checkpoint(edm_files / "networks" / f"{name}.pkl")
    path = tmp_path / "net.safetensors"
    save_checkpoint(net, path, {"epochs": 3, "data": ["a", None]})
    found = load_checkpoint(path)
    assert same_state(found, net)
    assert found.spec == dataclasses.replace(net.spec, constants=net.constant)
    assert read_checkpoint(path).metadata == {"epochs": 3, "data": ["a", None]}
    assert os.listdir(tmp_path) == ["net.safetensors"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(dtype, edm_files):
    net = load_checkpoint(edm_files / "networks" / "tiny_iddpm_adm.pkl", dtype=dtype)
    assert {parameter.dtype for parameter in net.parameters()} == {dtype}
    # Noise levels of 20291 and filters: in single precision at least.
    assert {b.dtype for b in net.buffers()} == {torch.promote_types(dtype, torch.float32)}
    single = load_checkpoint(edm_files / "networks" / "tiny_iddpm_adm.pkl")
    for found, wanted in zip(net.parameters(), single.parameters(), strict=True):
        assert torch.equal(found, wanted.to(dtype))
    assert torch.equal(net.u.float(), single.u)


def test_numbers_too_large_for_a_precision_are_refused(write):
    net = small_network()
    net.model.map_layer0.weight.fill_(1e6)
    path = write(edm_pickle(net))
    assert load_checkpoint(path).channels == 1
    message = refused(path, dtype=torch.float16)
    assert "not finite in torch.float16: load it in torch.float32" in message


def test_wrong_requests_are_told_apart_from_wrong_files(edm_files):
    path = edm_files / "networks" / "tiny_vp_ddpmpp.pkl"
    with pytest.raises(ParameterError, match=r"float64; got torch\.int64"):
        load_checkpoint(path, dtype=torch.int64)
    for device in ("xpu", "nonsense"):
        with pytest.raises(ParameterError, match=f"device {device} is not available"):
            load_checkpoint(path, device=device)
    assert issubclass(CheckpointError, SeedsError)


def test_files_that_are_none(tmp_path, write):
    assert "no checkpoint file" in refused(tmp_path / "none.pkl")
    assert "no checkpoint file" in refused("nu\0ll")
    assert "is a folder and no file" in refused(tmp_path)
    assert "it is no regular file" in refused("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    assert "it is no regular file" in refused(tmp_path / "pipe")
    assert "is empty: fetch the file again" in refused(write(b""))
    assert "an archive without its end" in refused(write(b"PK\x03\x04"))
    assert "an archive of nothing" in refused(write(b"PK\x05\x06" + bytes(18)))
    assert "its first byte is 35" in refused(write(b"#!/bin/sh"))
    (tmp_path / "line\nfeed").write_bytes(b"x")
    assert r"line\nfeed" in refused(tmp_path / "line\nfeed")


def test_huge_files_are_not_read(tmp_path):
    path = tmp_path / "huge.pkl"
    with open(path, "wb") as file:
        file.truncate(checkpoint.SIZE_LIMIT + 1)  # without using the disk
    assert "it has 8589934593 bytes, more than" in refused(path)


def test_embedded_checkpoints_have_names(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_files, "MODELS", tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint file mnist; embedded: none"):
        checkpoint_path("mnist")
    save_checkpoint(small_network(), tmp_path / "fashion-mnist.safetensors")
    with pytest.raises(CheckpointError, match="no checkpoint file mnist; embedded: fashion-mnist"):
        checkpoint_path("mnist")
    assert checkpoint_path("fashion-mnist") == tmp_path / "fashion-mnist.safetensors"
    assert load_checkpoint("fashion-mnist").channels == 1
    digest = hashlib.sha256((tmp_path / "fashion-mnist.safetensors").read_bytes()).hexdigest()
    assert file_sha256("fashion-mnist") == digest


@pytest.mark.parametrize("suffix", ["pkl", "safetensors"])
def test_the_hash_is_that_of_the_bytes_that_were_read(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"net.{suffix}"
    if suffix == "pkl":
        path.write_bytes(edm_pickle(small_network()))
    else:
        save_checkpoint(small_network(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    read = checkpoint.read_whole

    def read_once(file, most):
        monkeypatch.setattr(checkpoint, "read_whole", None)  # a second time, it may be another file
        return read(file, most)

    monkeypatch.setattr(checkpoint, "read_whole", read_once)
    assert read_checkpoint(path).sha256 == digest
    monkeypatch.setattr(checkpoint, "read_whole", read_once)
    assert describe(path)["sha256"] == digest


def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    save_checkpoint(small_network(), path, {"run": 1})
    with pytest.raises(ParameterError, match="finite JSON"):
        save_checkpoint(small_network(), path, {"loss": math.nan})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OutputError, match=r"cannot write .*net\.safetensors: disk full"):
        save_checkpoint(small_network(), path, {"run": 2})
    assert read_checkpoint(path).metadata == {"run": 1}
    assert os.listdir(tmp_path) == ["net.safetensors"]
    with pytest.raises(OutputError, match="cannot write"):
        save_checkpoint(small_network(), path / "net.safetensors")  # a file is no folder


def changed(**options):
    return {"_init_kwargs": {**SMALL.options, **options}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (changed(model_channels=8), "has to have the shape"),
        (changed(model_channels=6), "an integer from 4 to 4096, a multiple of 4; it is 6"),
        (changed(model_channels=10**9), "it is 1000000000"),
        (changed(model_channels=True), "it is True"),
        (changed(model_channels=4.0), "it is 4.0"),
        (changed(model_channels="4"), "it is '4'"),
        (changed(model_channels=132), "no network has these options"),
        (changed(channel_mult=[1] * 9), "a list of 1 to 8"),
        (changed(channel_mult=[]), "a list of 1 to 8"),
        (changed(channel_mult=[0]), "an integer from 1 to 64"),
        (changed(channel_mult=1), "it is 1"),
        (changed(channel_mult=[1, 1, 1, 1]), "resolution 4 cannot be halved 3 times"),
        (changed(channel_mult=[1, 1]), "the network has"),
        (changed(num_blocks=2), "the network has 'model.enc.4x4_block1"),
        (changed(num_blocks=10**6), "an integer from 1 to 16"),
        (changed(attn_resolutions=[4]), "the network has 'model.enc.4x4_block0.norm2.weight'"),
        (changed(embedding_type="positional"), "the file has 'model.map_noise.freqs'"),
        (changed(embedding_type="\x1b[2J"), r"it is '\x1b[2J'"),
        (changed(encoder_type=None), "standard or skip or residual; it is None"),
        (changed(dropout=math.nan), "a number from 0 to 1; it is nan"),
        (changed(resample_filter=[1, 2, 1]), "2, 4, 6 or 8 positive numbers"),
        (changed(resample_filter=[1, -1]), "2, 4, 6 or 8 positive numbers"),
        (changed(img_resolution=8), "img_resolution is 8 in the options, 4 in the network"),
        (changed(model_type="DhariwalUNet"), "model_type is 'DhariwalUNet' in the options"),
        (changed(out_channels=3), "'out_channels' is no option of SongUNet"),
        ({"img_resolution": None, **changed()}, "resolution has to be an integer"),
        ({"img_channels": 10**30, **changed()}, "channels has to be an integer from 1 to 64"),
        ({"label_dim": 3}, "label_dim is 2 in the options, 3 in the network"),
        ({"sigma_min": -1.0}, "sigma_min has to be a number from 0"),
        ({"sigma_min": math.nan}, "sigma_min has to be a number from 0 to 1e+30; it is nan"),
        ({"sigma_min": 1.0, "sigma_max": 0.5}, "sigma_min 1 is not below sigma_max 0.5"),
        ({"sigma_max": 10**400}, "it is a huge integer"),
        ({"sigma_data": 0.0}, "constant of EDMPrecond sigma_data has to be a number"),
        ({"sigma_data": "0.5"}, "it is '0.5'"),
        ({"sigma_data": [0.5]}, "EDMPrecond lacks its sigma_data"),
    ],
)
def test_descriptions_that_are_wrong(changes, message, write):
    assert message in refused(write(edm_pickle(small_network(), **changes)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.__setitem__("extra", torch.ones(1)),
            "the file has 'extra', the network has not",
        ),
        (lambda t: t.pop("model.map_layer0.bias"), "the network has 'model.map_layer0.bias'"),
        (
            lambda t: t["model.map_layer0.bias"].fill_(math.nan),
            "not finite, as of a training that failed: take another",
        ),
        (
            lambda t: t["model.map_layer0.bias"].fill_(math.inf),
            "not finite, as of a training that failed: take another",
        ),
        (
            lambda t: t.__setitem__("model.map_layer0.bias", torch.ones(5)),
            "model.map_layer0.bias has to have the shape (4,); it has (5,)",
        ),
        (
            lambda t: t.__setitem__("model.map_layer0.bias", torch.ones(4, dtype=torch.int32)),
            "holds no real numbers but torch.int32",
        ),
        (
            lambda t: t.__setitem__("model.map_layer0.bias", torch.ones(4).to(torch.float8_e4m3fn)),
            "holds no real numbers but torch.float8_e4m3fn",
        ),
    ],
)
def test_tensors_that_are_not_those_of_the_network(change, message, write):
    tensors = {name: value.clone() for name, value in small_network().state_dict().items()}
    change(tensors)
    data = safetensors.torch.save(tensors, write_header(SMALL, {}))
    assert message in refused(write(data))


def test_heads_that_do_not_divide_the_channels(write):
    options = {"model_channels": 224, "channel_mult": [1], "channel_mult_emb": 1, "num_blocks": 1}
    spec = NetworkSpec("VEPrecond", "DhariwalUNet", 1, 1, 0, 0.02, 100.0, options=options)
    assert "no attention has 3 heads for 224 channels" in refused(
        write(edm_pickle(small_network(spec)))
    )


def with_header(**changes):
    header = {**write_header(SMALL, {}), **changes}
    return safetensors.torch.save(small_network().state_dict(), header)


def with_network(**changes):
    network = json.loads(write_header(SMALL, {})["network"])
    return with_header(network=json.dumps({**network, **changes}))


HEADERS = [
    (safetensors.torch.save({"a": torch.ones(1)}), "does not say format seeds-network"),
    (with_header(format="other"), "does not say format seeds-network"),
    (with_header(format_version="2"), "format version '2'; this program reads 1"),
    (with_header(network="{"), "the header's network is no strict JSON"),
    (with_header(network="[]"), "the header's network is no strict JSON: 'it is no JSON object'"),
    (with_header(network="{}"), "the header's network has to have"),
    (with_header(network='{"a": NaN}'), "NaN is no number"),
    (with_header(network='{"a": 1e999}'), "1e999 is no number"),
    (with_header(network='{"a": 1, "a": 2}'), "the name 'a' is there twice: leave one out"),
    (with_header(network="[" * 10**5), "is no strict JSON"),
    (with_header(metadata="3"), "the header's metadata is no strict JSON: 'it is no JSON object'"),
    (with_network(surprise=1), "the header's network has to have"),
    (with_network(preconditioning="Evil"), "preconditioning has to be EDMPrecond or"),
    (with_network(preconditioning=["EDMPrecond"]), "it is a list"),
    (
        with_network(architecture={}),
        "architecture has to be SongUNet or DhariwalUNet or EDM2UNet; it is a dict",
    ),
    (with_network(constants=[]), "has to be a dict; it is a list"),
    (with_network(constants={"beta_d": 1}), "'beta_d' is no constant of EDMPrecond"),
    (with_network(options={"__class__": 1}), "'__class__' is no option of SongUNet"),
    (with_network(sigma_min=None), "sigma_min has to be a number"),
    (with_header()[:-1], "fetch the file again, if it is cut off"),
    (with_header()[:99], "in a file of 99: the file is cut off: fetch it again"),
    (with_header() + b"x", "safetensors: "),
    (
        (1 << 23).to_bytes(8, "little") + b"{" + bytes(100),
        "a header of 8388608 bytes, in a file of 109: 4194304 are read at most",
    ),
    ((50).to_bytes(8, "little") + b"{" + bytes(60), "the header is no strict JSON"),
]


@pytest.mark.parametrize(("data", "message"), HEADERS, ids=[message for _, message in HEADERS])
def test_headers_that_are_wrong(data, message, write):
    assert message in refused(write(data))


MEASURE = """
import os, sys
from gpu_runs import load_checkpoint

def most():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

files = sys.argv[1:]
for small, file in zip(files[::2], files[1::2]):
    if os.fork() == 0:  # a process that has read no file yet
        load_checkpoint(small)  # what the libraries take once
        before = most()
        net = load_checkpoint(file)
        print(most() - before, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads the memory from /proc")
@pytest.mark.slow
def test_memory_is_three_times_the_file_at_most(tmp_path):
    options = {**SMALL.options, "model_channels": 128}
    large = small_network(dataclasses.replace(SMALL, options=options))
    files = []
    for kind in ("single", "protocol2", "safetensors", "half"):
        for net in (small_network(), large):
            files.append(tmp_path / f"{kind}-{net.model.dec['4x4_aux_norm'].num_channels}")
            if kind == "safetensors":
                save_checkpoint(net, files[-1])
            else:
                net = net.half() if kind == "half" else net
                files[-1].write_bytes(edm_pickle(net, 2 if kind == "protocol2" else 4))
    command = [sys.executable, "-c", MEASURE, *files]
    # Freed tensors go back to the system at once; by default a heap of this size keeps some of them.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert len(output.split()) == 4
    for file, taken in zip(files[1::2], map(int, output.split()), strict=True):
        size = file.stat().st_size
        assert size > 2_000_000
        # Beside the numbers: the objects of the file and of the modules.
        assert size < taken < 3 * size + 3_000_000, file.name
