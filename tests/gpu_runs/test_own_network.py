"""Networks of the user's own code: found, checked, sampled from, and known again."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_networks import tiny_checkpoint, tiny_network
from typer.testing import CliRunner

from gpu_runs import bench, generate
from gpu_runs.benchmarks.bench import Resources
from gpu_runs.benchmarks.engine import run_plan
from gpu_runs.benchmarks.micro import measure
from gpu_runs.benchmarks.plans import PlanError, parse_plan
from gpu_runs.checkpoint_commands import inspect_app
from gpu_runs.checkpoints.network_names import names_code, require_network
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.checkpoints.own_network import NetworkCodeError, OwnNetwork, load_own_network
from gpu_runs.generation.image_run import generate_images
from gpu_runs.generation.sampler import Generation, ImageSampler, make_images
from gpu_runs.scores.reference import Reference
from seeds_theory.errors import SeedsError, UnknownNameError

CPU = torch.device("cpu")
SETTINGS = Generation("seeds-2", 3, {"eta": 0.5})

CODE = """
import torch
from tiny_networks import tiny_network

class Own:
    resolution, channels, label_dim, sigma_min, sigma_max = 8, 3, 4, 0.0, float("inf")
    def __init__(self, device):
        print("made")
        self.network = tiny_network().to(device)
    def __call__(self, x, sigma, class_labels=None):
        assert x.dtype == torch.float32 and not torch.is_grad_enabled()
        estimate = self.network(x, sigma, class_labels)
        x.zero_()  # what it does to its own copy is its own matter
        return estimate

def network(device):
    return Own(device)

def broken(device):
    raise RuntimeError("no weights\\nhere")

def ends(device):
    raise SystemExit(3)

def without():
    pass

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a module that is not on the path."""
    (tmp_path / "my_network.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.delitem(sys.modules, "my_network", raising=False)
    yield tmp_path
    sys.modules.pop("my_network", None)


@pytest.mark.parametrize("name", ["my_network:network", "my_network.py:network", "my_network:Own"])
def test_its_images_are_those_of_the_same_network_in_a_checkpoint(folder, name, capsys):
    network, identity = open_network(name, CPU)
    assert torch.equal(
        make_images(network, SETTINGS, range(3)), make_images(tiny_network(), SETTINGS, range(3))
    )
    assert identity["network"] == name
    assert all(len(identity[part]) == 64 for part in ("source", "weights"))
    printed = capsys.readouterr()
    assert printed.out == "" and "made" in printed.err


class Sound:
    """A denoiser of black images without classes, as an object."""

    def __init__(self, **attributes):
        self.calls = []
        facts = {"resolution": 4, "channels": 1, "label_dim": 0, "sigma_min": 0, "sigma_max": 100}
        for name, value in (facts | attributes).items():
            if value is not None:
                setattr(self, name, value)

    def __call__(self, x, sigma, *labels):
        self.calls.append((tuple(x.shape), sigma, *labels))
        return 0 * x


def test_a_denoiser_without_classes_gets_two_arguments_at_levels_that_it_knows():
    denoiser = Sound(sigma_min=0.5, sigma_max=2)
    network = OwnNetwork("x", denoiser, CPU)
    assert denoiser.calls == [((2, 1, 4, 4), 2.0), ((2, 1, 4, 4), 0.5)]
    assert (network.sigma_min, network.sigma_max, network.weights_digest()) == (0.5, 2.0, None)


def test_classes_are_told_one_hot():
    denoiser = Sound(label_dim=3)
    network = OwnNetwork("x", denoiser, CPU)
    assert denoiser.calls[0][2].tolist() == [[1, 0, 0], [0, 0, 1]]
    make_images(network, Generation("euler-maruyama", 2, labels="1"), [5])
    assert denoiser.calls[-1][2].tolist() == [[0, 1, 0]]
    make_images(network, Generation("euler-maruyama", 2, labels="none"), [5])
    assert denoiser.calls[-1][2] is None


def test_what_it_returns_may_be_used_again_by_it():
    class Reusing(Sound):
        buffer = torch.zeros(2, 1, 4, 4)

        def __call__(self, x, sigma, *labels):
            return self.buffer.copy_(x / (1 + sigma**2))

    class Fresh(Sound):
        def __call__(self, x, sigma, *labels):
            return x / (1 + sigma**2)

    settings = Generation("seeds-2m", 5, state="float32")
    images = [
        make_images(OwnNetwork("x", kind(), CPU), settings, [0, 1]) for kind in (Reusing, Fresh)
    ]
    assert torch.equal(*images)


class Latent(Sound):
    """A denoiser of latents of 2 channels, whose first is drawn twice as large."""

    def __init__(self, **attributes):
        super().__init__(**{"resolution": 8, "state_shape": (2, 4, 3)} | attributes)

    def decode(self, latents):
        self.decoded = latents
        first = latents[:, :1].repeat_interleave(2, 2)
        return torch.nn.functional.pad(first.repeat_interleave(2, 3), (0, 2))


def test_latents_are_decoded_at_the_end():
    denoiser = Latent()
    network = OwnNetwork("x", denoiser, CPU)
    assert network.state_shape == (2, 4, 3) and (network.channels, network.resolution) == (1, 8)
    images = make_images(network, Generation("ddim", 2), range(3))
    assert images.shape == (3, 1, 8, 8)
    assert denoiser.decoded.dtype == torch.float32 and denoiser.decoded.shape == (3, 2, 4, 3)
    assert (images == 128).all()  # its latents are 0 without noise
    pixels = OwnNetwork("x", Sound(), CPU)
    states = torch.randn(2, 1, 4, 4)
    assert pixels.state_shape == (1, 4, 4) and pixels.decode(states) is states


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"state_shape": None}, "without state_shape"),
        ({"state_shape": (2, 4)}, "says the shape of its latents"),
        ({"state_shape": (2, 4, 0)}, "says the shape of its latents"),
        ({"state_shape": "abc"}, "says the shape of its latents"),
        ({"resolution": 16}, "its decode returns images of (2, 1, 16, 16), float32, on cpu here"),
        ({"channels": 3}, "got some of (2, 1, 8, 8), float32, on cpu"),
        ({"decode": lambda x: x.double()}, "float64"),
        ({"decode": lambda x: None}, "type NoneType"),
        ({"decode": lambda x: x.nothing}, "its decode raises AttributeError"),
    ],
)
def test_a_decoder_that_is_none(attributes, words):
    with pytest.raises(NetworkCodeError) as caught:
        OwnNetwork("x", Latent(**attributes), CPU)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_modules_are_put_in_evaluation_mode():
    class Dropping(Sound):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Dropout(0.5)

        def __call__(self, x, sigma, *labels):
            return self.layer(x)

    network = OwnNetwork("x", Dropping(), CPU)
    x = torch.randn(4, 1, 4, 4)
    assert torch.equal(network(x, 1.0), x)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"label_dim": None},
            "returns a Sound without label_dim; a denoiser here has resolution, ch",
        ),
        ({"sigma_max": None}, "without sigma_max"),
        ({"resolution": "8"}, "resolution is a whole number, 1 or more; got '8'"),
        ({"resolution": 8.0}, "resolution is a whole number, 1 or more; got 8.0"),
        ({"channels": True}, "channels is a whole number, 1 or more; got True"),
        ({"channels": 0}, "channels is a whole number, 1 or more; got 0"),
        ({"label_dim": -1}, "label_dim is a whole number, 0 or more; got -1"),
        ({"label_dim": [3]}, "label_dim is a whole number, 0 or more; got a list"),
        ({"sigma_min": "0"}, "sigma_min is a number; got '0'"),
        ({"sigma_max": torch.tensor(8.0)}, "sigma_max is a number; got a Tensor"),
        ({"sigma_min": -1}, "0 <= sigma_min < sigma_max; got -1 and 100"),
        ({"sigma_min": 100}, "0 <= sigma_min < sigma_max; got 100 and 100"),
        ({"sigma_min": float("nan")}, "0 <= sigma_min < sigma_max; got nan and 100"),
    ],
)
def test_attributes_are_checked(attributes, message):
    with pytest.raises(NetworkCodeError) as caught:
        OwnNetwork("f.py:g", Sound(**attributes), CPU)
    assert str(caught.value).startswith("f.py:g: ") and message in str(caught.value)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: None, "its denoiser returns tensors; got a NoneType at sigma = 80"),
        (lambda x: (x,), "its denoiser returns tensors; got a tuple"),
        (
            lambda x: x[:1],
            "of (2, 1, 4, 4), float32, on cpu here; got one of (1, 1, 4, 4), float32",
        ),
        (lambda x: x.double(), "got one of (2, 1, 4, 4), float64, on cpu"),
        (lambda x: x.bfloat16(), "got one of (2, 1, 4, 4), bfloat16"),
        (lambda x: x.to("meta"), "got one of (2, 1, 4, 4), float32, on meta"),
        (lambda x: x / 0, "what its denoiser returns at sigma = 80 is not finite"),
        (
            lambda x: 1 / 0,
            "its denoiser raises ZeroDivisionError: division by zero (test_own_network.py",
        ),
        (lambda x: sys.exit(), "its denoiser raises SystemExit"),
        (lambda x: x.reshape(3), "its denoiser raises RuntimeError: shape '[3]' is invalid"),
    ],
)
def test_what_it_returns_is_checked(returned, message):
    class Faulty(Sound):
        def __call__(self, x, sigma, *labels):
            return returned(x)

    with pytest.raises(NetworkCodeError) as caught:
        OwnNetwork("f.py:g", Faulty(), CPU)
    assert message in str(caught.value) and str(caught.value).isprintable()


def test_an_attribute_that_raises_is_said_in_a_line():
    class Late(Sound):
        @property
        def resolution(self):
            raise ValueError("later\nand more")

        @resolution.setter
        def resolution(self, value):
            pass

    with pytest.raises(
        NetworkCodeError, match="resolution of its denoiser raises ValueError: later"
    ):
        OwnNetwork("x", Late(), CPU)


def test_what_cannot_be_called_is_no_denoiser():
    facts = {"resolution": 4, "channels": 1, "label_dim": 0, "sigma_min": 0, "sigma_max": 1}
    with pytest.raises(NetworkCodeError, match="returns a Still, which cannot be called"):
        OwnNetwork("x", type("Still", (), facts)(), CPU)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_network.py:missing", "my_network.py has no 'missing'"),
        ("my_network:netwrok", "has no 'netwrok' (did you mean 'network'?); it has network and "),
        ("my_network.py:number", "my_network.py:number is no function: it is 3"),
        (
            "my_network.py:without",
            "my_network.py:without has to be a function of one argument, the torch",
        ),
        (
            "my_network.py:broken",
            "my_network.py:broken raises RuntimeError: no weights (my_network.py, l",
        ),
        ("my_network.py:ends", "my_network.py:ends raises SystemExit: 3"),
        ("no_such_module:network", "cannot import 'no_such_module'"),
        ("half.py:network", "importing 'half.py' raises SyntaxError"),
        ("needs.py:network", "cannot import 'needs.py': No module named 'no_such_package'"),
        ("script.py:network", "importing 'script.py' raises SystemExit: 1"),
        ("none.py:network", "there is no file none.py"),
        ("my_network.py", "load others in your own code, as --network file.py:function"),
        ("https://host/net.pkl", "https://host/net.pkl is an address: download the file"),
        ("my_network.py:", "no checkpoint file my_network.py:; embedded"),
        ("a/my_network:network", "of your own code is module:function or file.py:function"),
    ],
)
@pytest.mark.parametrize("main", [generate.main, bench.main])
def test_bad_names_are_one_line_and_status_two(folder, name, message, main, monkeypatch, capsys):
    (folder / "half.py").write_text("def network(")
    (folder / "needs.py").write_text("import no_such_package")
    (folder / "script.py").write_text("import sys; sys.exit(1)")
    options = {
        generate.main: ["--method", "seeds-1", "--steps", "2", "--seeds", "0", "--out", "run"],
        bench.main: ["micro", "seeds-1"],
    }[main]
    before = set(folder.iterdir())
    monkeypatch.setattr("sys.argv", ["seeds", *options, "--network", name])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    assert end.value.code == 2 and captured.out == ""
    assert message in captured.err.replace("made\n", "") and captured.err.count("\n") == 1
    assert {path for path in folder.iterdir() if path.name != "__pycache__"} <= before


def test_a_file_of_that_name_is_a_checkpoint_and_is_not_run(folder, tmp_path):
    assert names_code("my_network:network")
    Path("my_network:network").write_text("raise SystemExit('was run')")
    assert not names_code("my_network:network")
    with pytest.raises(SeedsError, match="is no network that is read here"):
        open_network("my_network:network", CPU)
    require_network("fashion-mnist")


@pytest.mark.parametrize(
    "name", ["C:\\net.pkl", "https://host/x.pkl", "a b:c", "x", ":f", "m:f(1)", ""]
)
def test_what_is_no_name_of_code(name):
    assert not names_code(name)


def test_precisions_are_its_own_matter(folder):
    network, _ = load_own_network("my_network.py:network", CPU)
    for change in ({"precision": "bf16"}, {"compile": True}):
        with pytest.raises(NetworkCodeError, match="lowers and compiles its network itself"):
            ImageSampler(network, Generation("seeds-1", 2, **change))


# ---------------------------------------------------------------------------------------------------- runs


def run(name, out, seeds=range(3)):
    return generate_images(name, SETTINGS, seeds, out)


def test_a_run_goes_on_with_the_same_code_only(folder, monkeypatch):
    content = run("my_network.py:network", "run")
    assert content["settings"]["network"] == "my_network.py:network"
    assert run(f"{folder}/my_network.py:network", "run", range(5))["made"] == 2
    with pytest.raises(SeedsError, match=r"a run with network = 'my_network\.py:network', this"):
        run("my_network.py:Own", "run")
    checkpoint = tiny_checkpoint(folder)
    with pytest.raises(SeedsError, match="is of a run with checkpoint = None, this one has"):
        run(checkpoint, "run")
    Path("my_network.py").write_text(CODE + "# a remark\n")
    with pytest.raises(SeedsError, match="a run with source = '"):
        run("my_network.py:network", "run")
    Path("my_network.py").write_text(CODE)
    other = tiny_network()
    other.model.map_layer0.bias.data[0] += 1e-6
    monkeypatch.setattr("tiny_networks.tiny_network", lambda: other)
    with pytest.raises(SeedsError, match="a run with weights = '"):
        run("my_network.py:network", "run")


def test_a_run_of_a_checkpoint_does_not_go_on_with_code(folder):
    checkpoint = tiny_checkpoint(folder)
    run(checkpoint, "run")
    with pytest.raises(SeedsError, match="is of a run with network = None, this one has"):
        run("my_network.py:network", "run")


def test_the_source_is_also_that_of_the_function(folder):
    Path("made.py").write_text(CODE)
    Path("named.py").write_text("from made import network\n")
    before = load_own_network("named.py:network", CPU)[1]
    Path("made.py").write_text(CODE + "# other\n")
    sys.modules.pop("made", None)
    after = load_own_network("named.py:network", CPU)[1]
    assert before["source"] != after["source"] and before["weights"] == after["weights"]


def test_code_that_fails_in_the_middle_keeps_what_is_done(folder):
    class Failing(Sound):
        def __call__(self, x, sigma, *labels):
            if len(self.calls) > 4:
                raise ValueError("tired")
            return super().__call__(x, sigma)

    sampler = ImageSampler(OwnNetwork("x", Failing(), CPU), Generation("euler-maruyama", 2))
    sampler([0])
    with pytest.raises(NetworkCodeError, match="x: its denoiser raises ValueError: tired"):
        sampler([1])


def test_the_commands_take_it(folder):
    name = "my_network.py:network"
    options = ["--method", "seeds-1", "--steps", "2", "--seeds", "0-2", "--out", "images"]
    result = CliRunner().invoke(generate.app, ["--network", name, *options])
    assert result.exit_code == 0, result.output
    assert json.loads(Path("images/run.json").read_text())["settings"]["network"] == name
    result = CliRunner().invoke(inspect_app, [name, "--json", "-"])
    assert result.exit_code == 0, result.output
    described = json.loads(result.stdout)
    assert (described["network"], described["classes"], described["sigma_max"]) == (name, 4, None)
    assert "file.py:function" in " ".join(
        CliRunner().invoke(generate.app, ["--help"]).output.split()
    )


def test_costs_are_measured_with_it(folder, monkeypatch):
    monkeypatch.setattr("gpu_runs.benchmarks.micro._LONG_ENOUGH", 1e-3)
    assert (
        measure(open_network("my_network.py:network", CPU)[0], "seeds-1", nfe=2, batch=2).nfe == 2
    )


def test_a_preset_takes_it_instead_of_its_checkpoint(folder):
    arguments = ["run", "edm-cifar10-32x32-uncond-vp", "--network", "my_network.py:network"]
    result = CliRunner().invoke(bench.app, arguments)
    assert "needs --ref, --weights: files" in str(result.exception)
    arguments = ["tuned", "--width", "1", "--nfe", "10", "--network", "none.py:network"]
    result = CliRunner().invoke(bench.app, arguments)
    assert "there is no file none.py" in str(result.exception)


def test_a_plan_names_no_code(folder):
    record = {"methods": [{"method": "seeds-1", "steps": [2]}]}
    with pytest.raises(PlanError, match="is code, which no plan can run: give it as --network"):
        parse_plan(record | {"network": "my_network.py:network"})


# --------------------------------------------------------------------------------------------------- check

LEARNED = """
from gpu_runs import load_checkpoint

class Sign:
    resolution, channels, label_dim, sigma_min, sigma_max = 32, 1, 10, 0.0, float("inf")
    def __init__(self, sign, device):
        self.sign, self.network = sign, load_checkpoint("fashion-mnist", device)
    def __call__(self, x, sigma, class_labels=None):
        return self.sign * self.network(x, sigma, class_labels)

def plus(device): return Sign(1.0, device)
def minus(device): return Sign(-1.0, device)
"""


@pytest.mark.slow
def test_a_denoiser_is_told_from_what_is_none(folder, capsys):
    Path("learned.py").write_text(LEARNED)
    for name in ("fashion-mnist", "learned.py:plus"):
        result = CliRunner().invoke(
            inspect_app, [name, "--check", "--device", "cpu", "--json", "-"]
        )
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["fault"] is None
    result = CliRunner().invoke(inspect_app, ["learned.py:minus", "--check", "--device", "cpu"])
    assert result.exit_code == 1
    assert "seeds-inspect: no denoiser: " in result.output
    assert "minus the data" in result.output


# ---------------------------------------------------------------------------------------- other processes


class Pooled(torch.nn.Module):
    """Four numbers of each channel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)


@pytest.mark.slow
def test_processes_of_a_benchmark_load_it_by_themselves(folder):
    """With the rows that one process has, and another network is refused."""
    torch.jit.script(Pooled()).save("pooled.pt")
    features = np.random.default_rng(0).normal(120, 30, (50, 12))
    Reference(features.mean(0), np.cov(features.T), count=50).save(Path("reference.npz"))
    record = {
        "reference": "reference.npz",
        "features": "pooled.pt",
        "images": 8,
        "methods": [{"method": "seeds-1", "steps": [2, 3]}],
    }
    support = str(Path(tiny_network.__code__.co_filename).parent)
    Path("my_network.py").write_text(f"import sys; sys.path.append({support!r})\n{CODE}")
    plan = replace(parse_plan(record), network="my_network.py:network")
    resources = Resources(trust=True, device="cpu")
    alone = run_plan(plan, "alone", resources)
    shared = run_plan(plan, "shared", resources, jobs=2)
    assert {row.frechet for row in shared.rows} == {row.frechet for row in alone.rows}
    assert shared.header["settings"]["network"] == "my_network.py:network"
    Path("my_network.py").write_text(CODE)
    with pytest.raises(SeedsError, match="with source = '"):
        run_plan(plan, "alone", resources)


def test_the_names_of_modules_are_looked_for_when_they_are_imported(folder):
    require_network("no_such_module:network")
    with pytest.raises(UnknownNameError, match=r"there is no file none\.py"):
        require_network("none.py:network")
