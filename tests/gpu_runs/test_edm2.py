"""Networks of EDM2: magnitudes as the paper says, a plain computation from its formulas, and their files."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from edm2_writer import SMALL, edm2_pickle, edm2_record, small_edm2
from edm_writer import Call, Persisted, dump, unknown
from typer.testing import CliRunner

from gpu_runs import CheckpointError, load_checkpoint
from gpu_runs.checkpoint_commands import convert_app, inspect_app
from gpu_runs.checkpoints.checkpoint import read_checkpoint
from gpu_runs.checkpoints.edm2_network import (
    EDM2UNet,
    MPBlock,
    MPConv,
    MPFourier,
    mp_cat,
    mp_silu,
    mp_sum,
    normalised,
)
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.checkpoints.preconditioning import build_network
from gpu_runs.generation.sampler import Generation, make_images
from seeds_theory.errors import ParameterError
from seeds_theory.guidance import guided

run = CliRunner().invoke
COUNT = 200_000


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_unit_variance(values, *, independent=None, within=0.0):
    """The mean square is 1: within 4 standard errors, and a tolerance of the definition itself."""
    squares = values.double().square().flatten()
    count = independent or len(squares)
    error = float(squares.std()) / math.sqrt(count)
    assert abs(float(squares.mean()) - 1) < 4 * error + within


# -------------------------------------------------------------------------------------- magnitudes


def test_the_activation_function_keeps_the_variance():
    # 0.596 is the paper's rounding of the exact 0.59647...: 0.2 per cent of the variance
    x = torch.linspace(-12, 12, 2_000_001, dtype=torch.float64)
    density = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    second = torch.trapezoid(mp_silu(x) ** 2 * density, x)
    assert abs(float(second) - 1) < 0.002


@pytest.mark.parametrize("balance", [0.1, 0.3, 0.5, 0.9])
def test_sums_and_joins_keep_the_variance(balance):
    a, b = normal(COUNT), normal(COUNT, seed=1)
    assert_unit_variance(mp_sum(a, b, balance))
    narrow, wide = normal(5000, 4), normal(5000, 36, seed=1)
    joined = mp_cat(narrow, wide, balance)
    assert joined.shape == (5000, 40)
    assert_unit_variance(joined)
    # each contributes its share, however many its channels
    shares = [float(part.square().sum()) for part in (joined[:, :4], joined[:, 4:])]
    ratio = ((1 - balance) / balance) ** 2
    assert shares[0] / shares[1] == pytest.approx(ratio, rel=0.06)


def test_sums_are_as_in_the_formulas():
    a, b = normal(3, 4), normal(3, 4, seed=1)
    assert torch.allclose(mp_sum(a, b, 0.3), (0.7 * a + 0.3 * b) / math.sqrt(0.58), atol=1e-15)
    assert torch.equal(mp_sum(a, b, 0.0), a) and torch.allclose(mp_sum(a, b, 1.0), b)


@pytest.mark.parametrize("kernel", [0, 1, 3])
def test_layers_keep_the_variance_for_weights_of_any_magnitude(kernel):
    torch.manual_seed(0)
    layer = MPConv(24, 400, kernel).double()
    layer.weight.data *= 100 ** torch.rand(400, *[1] * (layer.weight.ndim - 1))
    x = normal(400, 24) if kernel == 0 else normal(16, 24, 5, 5)
    out = layer(x) if kernel == 0 else layer(x)[:, :, 1:-1, 1:-1]  # zeros come in at the border
    assert_unit_variance(out.detach(), independent=9000)


def test_a_gain_scales_and_a_gain_of_zero_ends_it():
    layer, x = MPConv(3, 4, 3), torch.randn(2, 3, 5, 5)
    assert torch.allclose(layer(x, torch.tensor(2.0)), 2 * layer(x), atol=1e-6)
    assert not layer(x, torch.tensor(0.0)).any()


def test_fourier_features_have_variance_one():
    torch.manual_seed(0)
    features = MPFourier(100_000)(torch.tensor([-1.3, 0.0, 0.7]))
    for row in features:
        assert_unit_variance(row)


def test_a_pixel_has_magnitude_one_whatever_it_had():
    x = normal(2, 50, 3, 3) * torch.logspace(0, 3, 9, dtype=torch.float64).reshape(3, 3)
    pixels = normalised(x, 1).square().mean(dim=1)
    assert torch.allclose(pixels, torch.ones_like(pixels), rtol=3e-4)
    assert not normalised(torch.zeros(1, 4, 2, 2), 1).any()


@pytest.mark.parametrize("decoder", [False, True])
@pytest.mark.parametrize("change", [None, "up"])
@pytest.mark.parametrize("c_in", [64, 96])
def test_a_block_keeps_the_magnitude(decoder, change, c_in):
    torch.manual_seed(0)
    options = {"heads": 2, "balances": (0.3, 0.3), "dropout": 0.0, "clip": None}
    block = MPBlock(c_in, 64, 32, decoder=decoder, change=change, **options)
    out = block(torch.randn(8, c_in, 8, 8), torch.randn(8, 32)).detach()
    assert 0.75 < float(out.square().mean()) < 1.1  # the attention averages values that differ


def test_a_new_network_keeps_magnitudes_to_its_end_and_returns_nothing():
    torch.manual_seed(0)
    options = {
        "model_channels": 64,
        "channel_mult": (1, 2),
        "num_blocks": 2,
        "attn_resolutions": (),
    }
    model = EDM2UNet(16, 3, 3, label_dim=0, **options).requires_grad_(False)
    seen = []
    for block in [*model.enc.values(), *model.dec.values()]:
        block.register_forward_hook(lambda _, __, out: seen.append(float(out.square().mean())))
    out = model(torch.randn(4, 3, 16, 16), torch.randn(4))
    assert not out.any()  # its last gain is 0 in a new network
    assert len(seen) == 6 + 9 and all(0.6 < square < 1.2 for square in seen[1:])


def test_blocks_are_bounded():
    options = {"decoder": True, "change": None, "heads": 0, "balances": (0.3, 0.3), "dropout": 0.0}
    block = MPBlock(4, 4, 4, clip=256.0, **options).requires_grad_(False)
    assert float(block(1e6 * torch.ones(1, 4, 4, 4), torch.ones(1, 4)).abs().max()) == 256


# --------------------------------------------------------------- a plain computation, of the formulas


def plain_conv(x, weight, gain=1.0):
    """Arrays (batch, c, n, n), one product for each tap."""
    rows = weight.reshape(len(weight), -1)
    size = np.sqrt((rows**2).mean(axis=1)) + 1e-4
    w = weight / size.reshape(-1, *[1] * (weight.ndim - 1)) / np.sqrt(rows.shape[1]) * gain
    if w.ndim == 2:
        return np.einsum("oc,bc->bo", w, x)
    k = w.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (k, k), (k, k)))
    n = x.shape[2]
    taps = [(i, j) for i in range(w.shape[2]) for j in range(w.shape[3])]
    return sum(
        np.einsum("oc,bcyx->boyx", w[:, :, i, j], padded[:, :, i : i + n, j : j + n])
        for i, j in taps
    )


def plain_silu(x):
    return x / (1 + np.exp(-x)) / 0.596


def plain_unit(x, axis):
    return x / (np.sqrt((x**2).mean(axis=axis, keepdims=True)) + 1e-4)


def plain_sum(a, b, t):
    return ((1 - t) * a + t * b) / np.sqrt((1 - t) ** 2 + t**2)


def plain_block(w, x, e, kind, decoder, per_head):
    if kind == "down":
        x = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
    if kind == "up":
        x = x.repeat(2, axis=2).repeat(2, axis=3)
    skip = w.get("conv_skip.weight")
    if not decoder:
        x = plain_unit(x if skip is None else plain_conv(x, skip), 1)
    h = plain_conv(plain_silu(x), w["conv_res0.weight"])
    c = plain_conv(e, w["emb_linear.weight"], w["emb_gain"]) + 1
    h = plain_conv(plain_silu(h * c[:, :, None, None]), w["conv_res1.weight"])
    if decoder and skip is not None:
        x = plain_conv(x, skip)
    x = plain_sum(x, h, 0.3)
    if "attn_qkv.weight" in w:
        y = plain_conv(x, w["attn_qkv.weight"])
        out = np.empty_like(x)
        for b in range(len(x)):
            for head in range(x.shape[1] // per_head):
                # the channels of a head: q, k, v of the first, q, k, v of the second, ...
                part = y[b, 3 * per_head * head : 3 * per_head * (head + 1)]
                q, k, v = (plain_unit(part[i::3].reshape(per_head, -1), 0) for i in range(3))
                weights = np.exp(q.T @ k / np.sqrt(per_head))
                mixed = v @ (weights / weights.sum(axis=1, keepdims=True)).T
                out[b, per_head * head : per_head * (head + 1)] = mixed.reshape(-1, *x.shape[2:])
        x = plain_sum(x, plain_conv(out, w["attn_proj.weight"]), 0.3)
    return np.clip(x, -256, 256)


def plain_denoiser(state, x, sigma, labels):
    """D of the small network, from its state dict, in numpy."""
    state = {name.removeprefix("model."): value.double().numpy() for name, value in state.items()}
    spread = np.sqrt(sigma**2 + 0.25)
    noise = np.log(sigma) / 4
    e = math.sqrt(2) * np.cos(noise * state["emb_fourier.freqs"] + state["emb_fourier.phases"])
    e = plain_conv(np.tile(e, (len(x), 1)), state["emb_noise.weight"])
    e = plain_sum(
        e, plain_conv(labels * math.sqrt(labels.shape[1]), state["emb_label.weight"]), 0.5
    )
    e = plain_silu(e)

    def block(name, h, decoder):
        w = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
        kind = name.rpartition("_")[2]
        return plain_block(w, h, e, kind, decoder, per_head=8)

    h = np.concatenate([x / spread, np.ones_like(x[:, :1])], axis=1)
    h = plain_conv(h, state["enc.8x8_conv.weight"])
    kept = [h]
    for name in ("8x8_block0", "4x4_down", "4x4_block0"):
        h = block(f"enc.{name}", h, decoder=False)
        kept.append(h)
    path = ("4x4_in0", "4x4_in1", "4x4_block0", "4x4_block1", "8x8_up", "8x8_block0", "8x8_block1")
    for name in path:
        if "block" in name:
            other = kept.pop()
            total = np.sqrt(2 * (h.shape[1] + other.shape[1]))
            scaled = (h / np.sqrt(h.shape[1]), other / np.sqrt(other.shape[1]))
            h = total / 2 * np.concatenate(scaled, axis=1)
        h = block(f"dec.{name}", h, decoder=True)
    out = plain_conv(h, state["out_conv.weight"], state["out_gain"])
    return 0.25 / spread**2 * x + sigma * 0.5 / spread * out


@pytest.mark.parametrize("sigma", [0.01, 1.0, 40.0])
def test_the_network_is_that_of_a_plain_computation(sigma):
    net = small_edm2(dtype=torch.float64)
    assert net.model.enc["4x4_block0"].heads == 2 and net.model.enc["8x8_block0"].heads == 0
    x = sigma * normal(2, 3, 8, 8)
    labels = torch.eye(5, dtype=torch.float64)[[3, 0]]
    found = net(x, sigma, labels)
    expected = plain_denoiser(net.state_dict(), x.numpy(), sigma, labels.numpy())
    assert float((found - torch.from_numpy(expected)).abs().max()) < 1e-11 * (1 + sigma)
    single = small_edm2()(x.float(), sigma, labels.float())
    assert torch.allclose(single.double(), found, rtol=1e-4, atol=1e-4)


def test_no_class_is_a_class_of_zeros():
    net = small_edm2(dtype=torch.float64)
    x = normal(2, 3, 8, 8)
    expected = plain_denoiser(net.state_dict(), x.numpy(), 1.0, np.zeros((2, 5)))
    assert torch.allclose(net(x, 1.0), torch.from_numpy(expected), atol=1e-11)


def test_the_magnitude_of_a_row_of_weights_does_not_matter():
    net = small_edm2(dtype=torch.float64)
    x, before = normal(2, 3, 8, 8), small_edm2(dtype=torch.float64)
    for module in net.modules():
        if isinstance(module, MPConv):
            module.weight.data *= 1e6  # beside which 1e-4 is nothing
    for module in before.modules():
        if isinstance(module, MPConv):
            module.weight.data *= 1e7
    assert torch.allclose(net(x, 0.7), before(x, 0.7), atol=1e-8)


def test_images_of_a_batch_do_not_mix_and_their_order_does_not_matter():
    net = small_edm2(dtype=torch.float64)
    x, labels = normal(4, 3, 8, 8), torch.arange(4)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(net(x[order], 0.5, labels[order]), net(x, 0.5, labels)[order], atol=1e-12)
    assert torch.allclose(net(x[1:2], 0.5, labels[1:2]), net(x, 0.5, labels)[1:2], atol=1e-12)


def test_weights_normalised_for_good_give_the_same():
    net, x = small_edm2(), torch.randn(2, 3, 8, 8)
    before = net(x, 0.5)
    net.model.lower(torch.float32)
    assert torch.allclose(net(x, 0.5), before, atol=1e-6)
    net.model.lower(torch.float32)  # again: nothing is left to do
    assert torch.allclose(net(x, 0.5), before, atol=1e-6)
    net.model.lower(torch.bfloat16)
    assert net.model.dtype == torch.bfloat16 and net.model.embedding_dtype == torch.float32
    assert 0 < float((net(x, 0.5) - before).abs().max()) < 0.1


def test_images_are_made_in_any_precision():
    net = small_edm2()
    fine, coarse = (
        make_images(net, Generation("seeds-2", 4, {"eta": 0.0}, precision=name), range(2))
        for name in ("fp32", "bf16")
    )
    assert fine.shape == (2, 3, 8, 8)
    assert (fine.int() - coarse.int()).abs().max() < 16
    assert not net.model.out_conv.fixed  # the network itself is as it was


def test_a_worse_network_to_be_led_away_from():
    network, worse = (
        small_edm2(),
        small_edm2(replace(SMALL, options=SMALL.options | {"clip_act": 2.0})),
    )
    x, labels = torch.randn(2, 3, 8, 8), torch.tensor([1, 2])
    led = guided(network, 2.0, against=lambda x, sigma: worse(x, sigma, labels))
    ours, theirs = network(x, 1.0, labels), worse(x, 1.0, labels)
    assert not torch.equal(ours, theirs)
    assert torch.allclose(led(x, 1.0, labels), 2 * ours - theirs, atol=1e-6)


# ------------------------------------------------------------------------------------------- files


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "edm2.pkl"
    path.write_bytes(edm2_pickle(small_edm2(dtype=torch.float16)))
    return path


def refused(tmp_path, data):
    path = tmp_path / "broken.pkl"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("entry", ["ema", "net"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_read(tmp_path, entry, protocol):
    path = tmp_path / "edm2.pkl"
    path.write_bytes(edm2_pickle(small_edm2(dtype=torch.float16), entry, protocol))
    net = load_checkpoint(path)
    expected = small_edm2(dtype=torch.float16).float().state_dict()
    state = net.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)
    assert (net.sigma_min, net.sigma_max, net.label_dim) == (0.0, math.inf, 5)


def test_a_pickle_is_described_and_converted(file, tmp_path):
    result = run(inspect_app, [str(file), "--json", "-"])
    found = json.loads(result.stdout)
    assert (found["format"], found["architecture"]) == ("EDM2 pickle", "EDM2UNet")
    assert found["stored_as"] == ["float16"] and found["options"] == SMALL.options
    target = tmp_path / "edm2.safetensors"
    assert run(convert_app, [str(file), str(target)]).exit_code == 0
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(load_checkpoint(target)(x, 1.0), load_checkpoint(file)(x, 1.0))
    assert read_checkpoint(target).spec.architecture == "EDM2UNet"


def test_options_without_names_are_in_the_order_of_the_constructor(tmp_path):
    path = tmp_path / "edm2.pkl"
    arguments = (8, 3, 5, True, 0.5, 128)
    path.write_bytes(
        edm2_pickle(small_edm2(), _init_args=arguments, _init_kwargs=dict(SMALL.options))
    )
    assert load_checkpoint(path).label_dim == 5


def test_options_that_choose_nothing_here_are_left_out(tmp_path):
    more = {"use_fp16": True, "logvar_channels": 4, "resample_filter": [1, 1], "sigma_data": 0.5}
    path = tmp_path / "edm2.pkl"
    path.write_bytes(edm2_pickle(small_edm2(), _init_kwargs=SMALL.options | more))
    assert load_checkpoint(path).spec.options == SMALL.options


def test_an_encoder_of_latents_is_left_out_whatever_it_is(tmp_path):
    path = tmp_path / "edm2.pkl"
    encoder = Persisted("StabilityVAEEncoder", {"_vae": unknown("diffusers", "AutoencoderKL")})
    path.write_bytes(dump({"encoder": encoder, "ema": edm2_record(small_edm2())}))
    assert load_checkpoint(path).channels == 3


LATENTS = """
import torch
from gpu_runs import load_checkpoint

class Decoding:
    resolution, channels, state_shape = 16, 3, (4, 8, 8)
    label_dim, sigma_min, sigma_max = 5, 0.002, 80.0

    def __init__(self, device):
        self.network = load_checkpoint(FILE, device)

    def __call__(self, x, sigma, class_labels=None):
        return self.network(x, sigma, class_labels)

    def decode(self, latents):  # where a VAE would be
        return latents[:, :3].repeat_interleave(2, 2).repeat_interleave(2, 3)
"""


def test_a_network_of_latents_needs_a_decoder(tmp_path):
    file, code = tmp_path / "latents.pkl", tmp_path / "latents.py"
    net = small_edm2(replace(SMALL, channels=4))
    file.write_bytes(edm2_pickle(net))
    assert torch.equal(
        load_checkpoint(file)(torch.ones(1, 4, 8, 8), 1.0), net(torch.ones(1, 4, 8, 8), 1.0)
    )
    settings = Generation("ddim", 2)
    with pytest.raises(ParameterError, match=r"has 4, as latents have: give it a decoder"):
        make_images(load_checkpoint(file), settings, [0])
    code.write_text(f"FILE = {str(file)!r}\n{LATENTS}")
    network, _ = open_network(f"{code}:Decoding", torch.device("cpu"))
    assert make_images(network, settings, range(2)).shape == (2, 3, 16, 16)


CHANGES = {
    "another network in it": ({"unet": "Transformer"}, "is a UNet; got 'Transformer'"),
    "another preconditioning": ({"class_name": "Precond2"}, "'Precond2' is unknown"),
    "no sigma_data": ({"sigma_data": "x"}, "sigma_data has to be a number"),
    "another filter": ({"_init_kwargs": {"resample_filter": [1, 3, 3, 1]}}, "another one here"),
    "a filter that is none": ({"_init_kwargs": {"resample_filter": 1}}, "another one here"),
    "an unknown option": ({"_init_kwargs": {"bias": True}}, "'bias' is no option of EDM2UNet"),
    "options that disagree": ({"_init_kwargs": {"label_dim": 4}}, "label_dim is 4 in the options"),
    "a balance out of range": ({"_init_kwargs": {"res_balance": 2.0}}, "a number from 0.01"),
    "a balance that is none": ({"_init_kwargs": {"attn_balance": float("nan")}}, "from 0.01"),
    "huge": ({"_init_kwargs": {"model_channels": 10**9}}, "an integer from 4 to 4096"),
    "too many heads": (
        {"_init_kwargs": SMALL.options | {"channels_per_head": 1, "model_channels": 12}},
        "has to have the shape",
    ),
    "heads that do not divide": (
        {"_init_kwargs": SMALL.options | {"channels_per_head": 3}},
        "no attention has 5 heads for 16 channels",
    ),
    "a clip that is none": ({"_init_kwargs": {"clip_act": -1.0}}, "clip_act has to be null"),
    "a resolution that cannot be halved": (
        {"img_resolution": 7, "_init_kwargs": {"img_resolution": 7}},
        "cannot be halved",
    ),
    "classes that are not there": (
        {"label_dim": 9, "_init_kwargs": {"label_dim": 9}},
        "has to have the shape (16, 9)",
    ),
    "a huge resolution": (
        {"img_resolution": 1 << 40, "_init_kwargs": {"img_resolution": 1 << 40}},
        "from 1 to 4096",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_of_edm2_is_refused(tmp_path, name):
    changes, expected = CHANGES[name]
    kwargs = changes.get("_init_kwargs")
    if kwargs is not None:
        changes = changes | {"_init_kwargs": SMALL.options | kwargs}
    assert expected in refused(tmp_path, edm2_pickle(small_edm2(), **changes))


def test_unknown_objects_and_code_within_the_network_are_refused(tmp_path):
    assert "asks for" in refused(tmp_path, edm2_pickle(small_edm2(), hidden=unknown("my", "thing")))
    eval_record = edm2_record(small_edm2(), hidden=Call(eval, "1 / 0"))
    assert "nothing was run" in refused(tmp_path, dump({"ema": eval_record}))


def test_weights_that_are_missing_too_many_or_not_finite_are_refused(tmp_path):
    net = small_edm2()
    net.model.out_conv.weight[0, 0, 0, 0] = math.inf
    assert "not finite" in refused(tmp_path, edm2_pickle(net))
    net = small_edm2()
    del net.model.out_gain
    assert "the network has 'model.out_gain', the file has not" in refused(
        tmp_path, edm2_pickle(net)
    )
    net = small_edm2()
    net.model.more = MPConv(2, 2, 1)
    assert "the file has 'model.more.weight'" in refused(tmp_path, edm2_pickle(net))
    whole = edm2_pickle(small_edm2())
    assert refused(tmp_path, whole[: len(whole) // 2])


def test_public_sizes_are_within_the_bounds():
    """Parameters of the published networks, XS to XXL, in millions; recalled from the paper."""
    sizes = {128: 125, 192: 280, 256: 498, 320: 777, 384: 1119, 448: 1523}
    for width, millions in sizes.items():
        options = {"model_channels": width, "channel_mult": [1, 2, 3, 4]}
        options |= {"num_blocks": 3, "attn_resolutions": [16, 8]}
        spec = replace(SMALL, resolution=64, channels=4, label_dim=1000, options=options)
        with torch.device("meta"):
            count = sum(p.numel() for p in build_network(spec).parameters())
        assert count / 1e6 == pytest.approx(millions, abs=1), width
