"""The networks against the original implementation, by its outputs and shapes."""

import dataclasses
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gpu_runs import load_checkpoint
from gpu_runs.checkpoints.edm_pickle import EDMRecord
from gpu_runs.checkpoints.networks import Conv
from gpu_runs.checkpoints.preconditioning import NetworkSpec, build_network
from gpu_runs.checkpoints.spec_checks import check_spec
from seeds_theory.errors import ParameterError

DATA = Path(__file__).parent.parent / "data" / "edm"
NETWORKS = sorted(file.name.split(".")[0] for file in (DATA / "oracles").glob("*.io.npz"))
PUBLIC = json.loads(gzip.decompress((DATA / "shapes.json.gz").read_bytes()))
PRECISIONS = [(torch.float64, "64", 1e-10), (torch.float32, "32", 1e-5)]


def oracle(name):
    with np.load(DATA / "oracles" / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file}


def distance(found, expected):
    """The largest difference, in units of the largest value."""
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def test_there_are_networks_of_every_kind():
    kinds = {kind for name in NETWORKS for kind in name.split("_")}
    assert kinds == {"tiny", "edm", "vp", "ve", "iddpm", "adm", "ddpmpp", "ncsnpp"}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("dtype", "bits", "tolerance"), PRECISIONS)
def test_outputs_are_those_of_the_original(name, dtype, bits, tolerance, edm_files):
    net = load_checkpoint(edm_files / "networks" / f"{name}.pkl", dtype=dtype)
    given = oracle(f"{name}.io")
    x, labels = given["x"].to(dtype), given.get("class_labels")
    found = net(x, given["sigma"], labels)
    assert found.dtype == dtype
    assert distance(found, given[f"D{bits}"]) < tolerance
    scalar = float(given["scalar_sigma"])
    assert distance(net(x, scalar, labels), given[f"D{bits}_scalar"]) < tolerance
    if labels is not None:
        assert distance(net(x, given["sigma"]), given[f"D{bits}_nolabels"]) < tolerance
        one_hot = labels.sum(dim=1) == labels.max(dim=1).values
        integers = labels.argmax(dim=1)[one_hot]
        assert len(integers) > 1
        assert torch.equal(
            net(x[one_hot], given["sigma"][one_hot], integers),
            net(x[one_hot], given["sigma"][one_hot], torch.eye(net.label_dim)[integers]),
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_noise_levels_are_rounded_as_in_the_original(name, edm_files):
    net = load_checkpoint(edm_files / "networks" / f"{name}.pkl")
    given = oracle(f"{name}.io")
    rounded = net.round_sigma(given["round_sigma_in"])
    assert rounded.dtype == torch.float64
    assert torch.equal(rounded, given["round_sigma_out"])
    assert float(net.round_sigma(2.0)) == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    "name", sorted(f.name.split(".")[0] for f in DATA.glob("oracles/*.acts64.npz"))
)
def test_each_part_returns_what_the_original_does(name, edm_files):
    net = load_checkpoint(edm_files / "networks" / f"{name}.pkl", dtype=torch.float64)
    given, expected = oracle(f"{name}.io"), oracle(f"{name}.acts64")
    found = {}
    for part, module in net.model.named_modules():
        if part in expected:
            module.register_forward_hook(
                lambda module, inputs, output, part=part: found.__setitem__(part, output)
            )
    labels = given.get("class_labels")
    net(given["x"][:1].double(), given["sigma"][:1], None if labels is None else labels[:1])
    assert found.keys() == expected.keys()
    for part in expected:
        assert distance(found[part], expected[part]) < 1e-10, part


@pytest.mark.parametrize("file", sorted(file.stem for file in DATA.glob("oracles/conv_*.npz")))
def test_convolutions_that_change_the_resolution(file):
    _, kernel, change, taps, *fused = file.split("_")
    given = oracle(file)
    state = {key.removeprefix("state."): value for key, value in given.items() if "state." in key}
    c_out = state["weight"].shape[0] if "weight" in state else 4
    conv = Conv(
        4,
        c_out,
        int(kernel[1:]),
        change=change,
        taps=[int(tap) for tap in taps[1:]],
        fused=bool(fused),
    )
    assert torch.equal(conv.resample_filter, state["resample_filter"])
    conv.load_state_dict(state)
    with torch.no_grad():
        assert distance(conv(given["x"]), given["y32"]) < 1e-5
        assert distance(conv.double()(given["x"].double()), given["y64"]) < 1e-10


@pytest.mark.parametrize("name", PUBLIC)
def test_public_checkpoints_have_these_shapes(name):
    public = PUBLIC[name]
    options = public["init_kwargs"]
    channels = options["img_channels"]
    record = EDMRecord(
        public["precond"],
        options["model_type"],
        options,
        {key: options[key] for key in ("img_resolution", "img_channels", "label_dim")}
        | {"sigma_min": 0.0, "sigma_max": 80.0}
        | dict(
            sigma_data=0.5, beta_d=19.9, beta_min=0.1, M=1000, epsilon_t=1e-5, C_1=0.001, C_2=0.008
        ),
        {},
    )
    spec = record.spec()
    check_spec(spec)
    with torch.device("meta"):
        net = build_network(spec)
    shapes = {key: list(value.shape) for key, value in net.named_parameters()}
    assert shapes == public["params"]
    assert {key: list(value.shape) for key, value in net.named_buffers()} == public["buffers"]
    assert sum(parameter.numel() for parameter in net.parameters()) == public["n_params"]
    assert (net.resolution, net.channels) == (options["img_resolution"], channels)


@pytest.fixture(scope="module")
def conditional(edm_files):
    return load_checkpoint(edm_files / "networks" / "tiny_edm_ncsnpp.pkl")


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        ((2, 3, 16, 8), None, r"\(batch, 3, 16, 16\); got \(2, 3, 16, 8\)"),
        ((2, 1, 16, 16), None, r"got \(2, 1, 16, 16\)"),
        ((2, 3, 16, 16), torch.zeros(2, 5), r"\(batch, 4\).*got \(2, 5\)"),
        ((2, 3, 16, 16), torch.zeros(3, 4), r"batch of 2; got \(3, 4\)"),
        ((2, 3, 16, 16), torch.tensor([0, 4]), "0 to 3; got 0 to 4"),
        ((2, 3, 16, 16), torch.tensor([-1, 0]), "0 to 3; got -1 to 0"),
    ],
)
def test_input_that_does_not_fit(conditional, x, labels, message):
    with pytest.raises(ParameterError, match=message):
        conditional(torch.zeros(x), 1.0, labels)


def test_a_network_without_classes_takes_no_labels(edm_files):
    net = load_checkpoint(edm_files / "networks" / "tiny_vp_ddpmpp.pkl")
    with pytest.raises(ParameterError, match="no classes"):
        net(torch.zeros(1, 3, 8, 8), 1.0, torch.tensor([0]))


def test_an_unknown_constant_is_an_error():
    spec = NetworkSpec("VEPrecond", "SongUNet", 8, 3, constants={"sigma_data": 0.5})
    with pytest.raises(ParameterError, match="VEPrecond has no constant 'sigma_data'; known: none"):
        build_network(spec)
    assert build_network(dataclasses.replace(spec, constants={})).constant == {}
