"""torch's flags of precision: whatever a user has set, networks run, and find it again as it was."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from tiny_networks import tiny_network

from gpu_runs.generation.sampler import Generation, make_images
from gpu_runs.machine import precision
from gpu_runs.machine.device import arithmetic

# Flags are of the process, and some that torch starts with cannot be written again: so each setting is made
# in a fork of a process that has only imported torch.
PROBE = """
import json, os, sys, warnings
import torch
from gpu_runs.machine.device import arithmetic

b = torch.backends
NEW = {
    "all": (b, "fp32_precision"), "cuda": (b.cudnn, "fp32_precision"),
    "onednn": (b.mkldnn, "fp32_precision"),
    "cuda.matmul": (b.cuda.matmul, "fp32_precision"),
    "cuda.conv": (b.cudnn.conv, "fp32_precision"), "cuda.rnn": (b.cudnn.rnn, "fp32_precision"),
    "onednn.matmul": (b.mkldnn.matmul, "fp32_precision"),
    "onednn.conv": (b.mkldnn.conv, "fp32_precision"),
    "onednn.rnn": (b.mkldnn.rnn, "fp32_precision"),
}
OLD = {"matmul": (b.cuda.matmul, "allow_tf32"), "cudnn": (b.cudnn, "allow_tf32"),
    "benchmark": (b.cudnn, "benchmark"), "deterministic": (b.cudnn, "deterministic"),
    "enabled": (b.cudnn, "enabled")}

def read(place, name):
    try:
        return getattr(place, name)
    except RuntimeError as error:
        assert "mix" in str(error)
        return "mixed"

def products():
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return "mixed"

def seen():
    found = {name: read(*at) for name, at in (NEW | OLD).items()}
    return found | {"products": products()}

def found():
    "All that can be seen, also of what follows the settings above it."
    states = [seen()]
    before = b.fp32_precision
    for general in ("none", "ieee", "tf32"):
        b.fp32_precision = general
        states.append(seen())
    b.fp32_precision = "none"
    cuda = b.cudnn.fp32_precision
    for backend in ("none", "ieee", "tf32"):
        b.cudnn.fp32_precision = backend
        states.append(seen())
    b.cudnn.fp32_precision = cuda
    b.fp32_precision = before
    return states

def full(gpu):
    state = seen()
    assert {state[n] for n in ("cuda.matmul", "cuda.conv", "cuda.rnn")} == {gpu}, state
    assert {state[n] for n in ("onednn.matmul", "onednn.conv", "onednn.rnn")} <= {"none", "ieee"}, state
    assert state["matmul"] is (gpu == "tf32"), state  # what was written for older torch can read it
    assert state["deterministic"] and state["enabled"] and not state["benchmark"], state

def once():
    with arithmetic():
        full("ieee")

def tf32():
    with arithmetic(tf32=True):
        full("tf32")

def nested():
    with arithmetic(tf32=True):
        with arithmetic():
            full("ieee")
            with arithmetic(tf32=True):
                full("tf32")
            full("ieee")
        full("tf32")

def failing():
    try:
        with arithmetic(tf32=True), arithmetic():
            raise KeyError("inside")
    except KeyError:
        pass

def written_inside():
    "torch.compile writes products where it read them."
    with arithmetic():
        b.cuda.matmul.fp32_precision = b.cuda.matmul.fp32_precision

def judge(setting):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(setting, {"torch": torch, "b": b})
        before = found()
        for scenario in (once, tf32, nested, failing, written_inside):
            scenario()
            after = found()
            changes = [(x, y) for x, y in zip(before, after) if x != y]
            assert not changes, (scenario.__name__, changes)

for setting in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        try:
            judge(setting)
        except BaseException as error:
            print(f"{setting}: {error!r}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print("done")
"""
PLACES = ("", "cuda.matmul.", "cudnn.", "cudnn.conv.", "cudnn.rnn.", "mkldnn.", "mkldnn.matmul.")
NEW = [
    f"b.{place}fp32_precision = '{value}'" for place in PLACES for value in ("ieee", "tf32", "none")
]
OLD = [
    "pass",
    "b.cuda.matmul.allow_tf32 = True",
    "b.cuda.matmul.allow_tf32 = False",
    "b.cudnn.allow_tf32 = True",
    "b.cudnn.allow_tf32 = False",
    "b.cudnn.benchmark = True",
    "b.cudnn.enabled = False",
    "torch.set_float32_matmul_precision('highest')",
    "torch.set_float32_matmul_precision('high')",
    "torch.set_float32_matmul_precision('medium')",
]
BOTH = [
    "b.fp32_precision = 'bf16'",
    "b.mkldnn.set_flags(_fp32_precision='tf32')",
    "b.mkldnn.conv.fp32_precision = 'bf16'",
    "b.cuda.matmul.allow_tf32 = True; b.cuda.matmul.fp32_precision = 'ieee'",
    "torch.set_float32_matmul_precision('medium'); b.fp32_precision = 'ieee'",
    "torch.set_float32_matmul_precision('high'); b.cudnn.allow_tf32 = False; b.fp32_precision = 'tf32'",
    "b.fp32_precision = 'tf32'; b.cudnn.conv.fp32_precision = 'ieee'",
    "b.fp32_precision = 'ieee'; b.cudnn.fp32_precision = 'tf32'; b.cudnn.conv.fp32_precision = 'none'",
]
has_tree = pytest.mark.skipif(
    not hasattr(torch.backends, "fp32_precision"), reason="this torch has the older flags alone"
)


@has_tree
@pytest.mark.slow
def test_every_setting_is_overruled_and_found_again():
    run = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([*NEW, *OLD, *BOTH])],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.stdout == "done\n", run.stdout + run.stderr


@has_tree
def test_images_are_made_under_any_setting():
    network, settings = tiny_network(), Generation("seeds-1", 2)
    usual = make_images(network, settings, [0])
    before = torch.backends.fp32_precision
    for value in ("tf32", "ieee", "bf16"):
        torch.backends.fp32_precision = value
        try:
            assert torch.equal(make_images(network, settings, [0]), usual)
            assert torch.backends.fp32_precision == value
        finally:
            torch.backends.fp32_precision = before


def test_older_torch_has_its_flags(monkeypatch):
    # As torch before 2.9: two flags, and no tree.
    flags = {"matmul": True, "cudnn": True}

    class Flag:
        def __init__(self, name):
            self.__dict__["name"] = name

        def __getattr__(self, name):
            return flags[self.__dict__["name"]]

        def __setattr__(self, name, value):
            assert name == "allow_tf32"
            flags[self.__dict__["name"]] = value

    cuda = SimpleNamespace(matmul=Flag("matmul"))
    old_torch = SimpleNamespace(backends=SimpleNamespace(cuda=cuda, cudnn=Flag("cudnn")))
    monkeypatch.setattr(precision, "torch", old_torch)
    with precision.float32_products(tf32=False):
        assert flags == {"matmul": False, "cudnn": False}
        with pytest.raises(KeyError), precision.float32_products(tf32=True):
            assert flags == {"matmul": True, "cudnn": True}
            raise KeyError
        assert flags == {"matmul": False, "cudnn": False}
    assert flags == {"matmul": True, "cudnn": True}


def test_the_fastest_kernels_are_asked_for_and_forgotten():
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    with arithmetic(fastest=True):
        assert (cudnn.benchmark, cudnn.deterministic) == (True, False)
        with arithmetic():
            assert (cudnn.benchmark, cudnn.deterministic) == (False, True)
        assert (cudnn.benchmark, cudnn.deterministic) == (True, False)
    assert (cudnn.benchmark, cudnn.deterministic) == before
