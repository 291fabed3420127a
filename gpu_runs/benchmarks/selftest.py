"""Whether this machine computes as it should: each check is one line, pass, fail or skipped with the reason.

What is compared on the device is compared with the CPU, in figures whose limits are stated beside them.
Nothing is downloaded: the networks are the embedded one and random ones.
"""

from __future__ import annotations

import copy
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu_runs.benchmarks.micro import measure
from gpu_runs.checkpoints.checkpoint import save_checkpoint
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.checkpoints.preconditioning import NetworkSpec, PreconditionedNetwork, build_network
from gpu_runs.files.images import ImageSet, open_images
from gpu_runs.generation.image_run import generate_images
from gpu_runs.generation.run_folder import PngFolder
from gpu_runs.generation.sampler import NETWORK_TYPES, Generation, GridWarning, ImageSampler
from gpu_runs.machine.device import arithmetic, device_name
from gpu_runs.machine.distributed import Processes
from gpu_runs.names import FASHION_MNIST, SELF_TESTS
from seeds_theory.errors import SeedsError
from seeds_theory.forms import DATA
from seeds_theory.grids import uniform_log_snr
from seeds_theory.loop import follow
from seeds_theory.plan import Interval, make_plan
from seeds_theory.solver import SOLVERS
from seeds_theory.sources import SeededNoise, silent
from seeds_theory.version import __version__

WITHIN = {"fp32": 1e-5, "tf32": 5e-3, "fp16": 5e-3, "bf16": 3e-2}
"""The most by which an estimate may be apart from the CPU's in full float32: root mean square, relative.

About five times what the length of the mantissa makes of it: 24 bits, 11 and 8.
"""
_LONGEST = 120.0  # seconds of one process that is started
_ALL_THREADS = ("environment", "speed")
_LEVELS = (80.0, 1.0, 0.02)


class Fault(SeedsError):
    """What a check found to be wrong."""


class NotHere(SeedsError):
    """A check that this machine cannot make, and why."""


@dataclass(frozen=True)
class Machine:
    """What is tested: a device, that many processes of a run, and a folder to write in."""

    device: torch.device
    processes: int
    folder: Path

    @property
    def state(self) -> str:
        """The type of states that the device can hold, the longer one if it can."""
        try:
            torch.empty(1, dtype=torch.float64, device=self.device)
        except (RuntimeError, TypeError):  # Apple's have no float64
            return "float32"
        return "float64"


@dataclass(frozen=True)
class Outcome:
    """Of one check. verdict : pass, fail or skipped. said : in a line. figures : measured, by name."""

    check: str
    verdict: str
    said: str
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)


Found = tuple[str, dict[str, Any]]


def run_checks(machine: Machine, names: Sequence[str] = SELF_TESTS) -> Iterator[Outcome]:
    """The outcomes of these checks, each as it is there."""
    for name in names:
        start = time.perf_counter()
        figures: dict[str, Any] = {}
        try:
            with _threads(torch.get_num_threads() if name in _ALL_THREADS else 1):
                said, figures = _CHECKS[name](machine)
            verdict = "pass"
        except NotHere as reason:
            verdict, said = "skipped", str(reason)
        except Exception as error:  # whatever goes wrong on a machine is what is looked for
            wrong = "" if isinstance(error, Fault) else f"{type(error).__name__}: "
            verdict, said = "fail", wrong + (str(error).strip().splitlines() or [""])[0][:300]
        seconds = round(time.perf_counter() - start, 2)
        yield Outcome(name, verdict, without_folders(said), seconds, figures)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Small networks gain nothing from several threads, and lose much on a machine that is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def report(machine: Machine, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All outcomes as plain data, for a report of a fault: without names of folders, hosts and users."""
    return {
        "seeds-theory": __version__,
        "device": str(machine.device),
        "processes": machine.processes,
        "verdict": "fail" if any(one.verdict == "fail" for one in outcomes) else "pass",
        "checks": [asdict(outcome) for outcome in outcomes],
    }


def without_folders(text: str) -> str:
    """The text with each path shortened to the name of its file."""
    return re.sub(r"""(?<![\w.])(?:[A-Za-z]:)?(?:[/\\][^\s/\\:'"]*)*[/\\](?=[^\s/\\])""", "", text)


# ---------------------------------------------------------------------------------------- the checks


def _environment(machine: Machine) -> Found:
    """What there is, for whoever reads the report."""
    device = machine.device
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "devices": torch.cuda.device_count(),
            "capability": f"{properties.major}.{properties.minor}",
            "memory_GiB": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "hip": torch.version.hip,
            "cudnn": torch.backends.cudnn.version(),
            "driver": _driver(),
        }
    shown = (f"{name} {value}" for name, value in found.items() if value is not None)
    return ", ".join(shown), found


def _driver() -> str | None:
    """The version of NVIDIA's driver, if its tool is there to ask."""
    if (tool := shutil.which("nvidia-smi")) is None:
        return None
    asked = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.split()[0] if said.split() else None


def _embedded(machine: Machine) -> Found:
    """The embedded network, in each precision, against the CPU's float32."""
    network, _ = open_network(FASHION_MNIST, torch.device("cpu"))
    assert isinstance(network, PreconditionedNetwork)
    return _agreement(machine, network)


def _random(machine: Machine) -> Found:
    """A DDPM++ with random weights likewise, of 3 channels and with attention."""
    return _agreement(machine, random_network(32, 16))


def _agreement(machine: Machine, network: PreconditionedNetwork) -> Found:
    x = torch.randn(
        2,
        network.channels,
        network.resolution,
        network.resolution,
        generator=torch.Generator().manual_seed(0),
    )
    on_gpu = machine.device.type == "cuda"
    exact = [_estimate(network, "fp32", level * x, level) for level in _LEVELS]
    there = copy.deepcopy(network).to(machine.device)
    apart = {}
    for precision in ("fp32", *(["tf32"] if on_gpu else []), "bf16", "fp16"):
        errors = []
        for level, wanted in zip(_LEVELS, exact, strict=True):
            got = _estimate(there, precision, (level * x).to(machine.device), level).cpu()
            errors.append(
                float((got - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())
            )
        apart[precision] = max(errors)
    said = ", ".join(
        f"{name} {value:.1e} (limit {WITHIN[name]:g})" for name, value in apart.items()
    )
    if not all(value <= WITHIN[name] for name, value in apart.items()):  # so that NaN fails
        raise Fault(f"apart from the CPU by {said}")
    return f"apart from the CPU by {said}", apart


def _estimate(network: PreconditionedNetwork, precision: str, x: Tensor, level: float) -> Tensor:
    lowered = copy.deepcopy(network)
    lowered.model.lower(NETWORK_TYPES[precision])
    with arithmetic(tf32=precision == "tf32"), torch.inference_mode():
        return lowered(x, level)


def random_network(resolution: int, width: int) -> PreconditionedNetwork:
    """A DDPM++ without classes whose weights are random, none of them 0 as in a new one."""
    options = {"model_channels": width, "channel_mult": [1, 2], "num_blocks": 1, "dropout": 0.0}
    options["attn_resolutions"] = [resolution // 2]
    network = build_network(NetworkSpec("EDMPrecond", "SongUNet", resolution, 3, options=options))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        draw = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.data = draw / parameter[0].numel() ** 0.5
        else:  # biases around 0, scales of norms around 1
            parameter.data = 0.1 * draw + name.endswith("weight")
    return network.requires_grad_(False)


def _noise(machine: Machine) -> Found:
    """The noise of seeds is the same number by number, whatever the device and the batch."""
    seeds, shape = [0, 7, 2**63], (3, 32, 32)
    intervals = [Interval(2.0, 1.5, DATA, 1.0), Interval(1.5, 1.0, DATA, 1.0)]
    like = torch.zeros(3, *shape)
    wanted = SeededNoise(seeds)(intervals, like)
    there = SeededNoise(seeds)(intervals, like.to(machine.device))
    alone = SeededNoise(seeds[1:2])(intervals, like[:1].to(machine.device))
    if there.device != machine.device or not torch.equal(there.cpu(), wanted):
        raise Fault("the noise of a step is another one than on the CPU")
    if not torch.equal(alone.cpu(), wanted[:, 1:2]):
        raise Fault("the noise of a seed depends on the batch")
    return f"{wanted.numel()} normals are the same, bit for bit", {"normals": wanted.numel()}


def _methods(machine: Machine) -> Found:
    """Every method and baseline makes the CPU's images, but for rounding."""
    network = random_network(8, 8)
    there, worst = copy.deepcopy(network).to(machine.device), 0
    for name in SOLVERS:
        settings = Generation(name, 3, state=machine.state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GridWarning)
            wanted, got = (ImageSampler(n, settings)([0, 1]) for n in (network, there))
        apart = int((wanted.int() - got.int()).abs().max())
        if apart > 1:
            raise Fault(f"{name}: images differ from the CPU's by {apart} grey levels (limit 1)")
        worst = max(worst, apart)
    said = f"{len(SOLVERS)} make the CPU's images to {worst} grey levels (limit 1)"
    return said, {"methods": len(SOLVERS), "grey_levels": worst}


def _repeats(machine: Machine) -> Found:
    """A batch made again is the same to the bit."""
    network = random_network(32, 16).to(machine.device)
    sampler = ImageSampler(network, Generation("seeds-3", 4, state=machine.state))
    first = sampler(range(4))
    if not torch.equal(first, sampler(range(4))):
        raise Fault("the same batch, made twice, is not the same to the bit")
    return "the same batch, made twice, is the same to the bit", {}


def _products(machine: Machine) -> Found:
    """Products are as exact as asked for, and torch's flags are found again as they were."""
    backends: Any = torch.backends
    # 1 + 2^-12 has a digit more than TF32 keeps, and its products with 1 add up exactly in float32.
    ones = torch.ones(128, 128, device=machine.device)
    modes = [False, True] if _has_tf32(machine.device) else [False]
    name = "fp32_precision"
    for asked in ("tf32", "ieee") if hasattr(backends, name) else ():
        before = getattr(backends, name)
        try:
            setattr(backends, name, asked)
            for tf32 in modes:
                with arithmetic(tf32=tf32):
                    full = bool((((1 + 2**-12) * ones) @ ones == 128 + 2**-5).all())
                if full == tf32:
                    raise Fault(f"asked for {'TF32' if tf32 else 'full float32'}, got the other")
                if getattr(backends, name) != asked:
                    raise Fault("torch's flags of precision are not as they were found")
        finally:
            setattr(backends, name, before)
    kinds = "full float32 and TF32" if len(modes) == 2 else "full float32"
    return f"{kinds} as asked for, torch's own flags as they were", {"tf32": len(modes) == 2}


def _has_tf32(device: torch.device) -> bool:
    on_nvidia = device.type == "cuda" and torch.version.hip is None
    return on_nvidia and torch.cuda.get_device_capability(device) >= (8, 0)


def _graph(machine: Machine) -> Found:
    """A whole run is captured as one CUDA graph, and gives what it gives without."""
    if machine.device.type != "cuda":
        raise NotHere(f"a {machine.device.type} has no CUDA graphs")
    network = random_network(32, 16).to(machine.device)
    plan = make_plan("seeds-3", uniform_log_snr(80.0, 0.02, 4))
    x = 80 * torch.randn(4, 3, 32, 32, device=machine.device)
    with arithmetic(), torch.inference_mode():
        wanted = follow(network, x, plan, silent)
        side = torch.cuda.Stream(machine.device)
        side.wait_stream(torch.cuda.current_stream(machine.device))
        with torch.cuda.stream(side):  # kernels are chosen before the capture
            for _ in range(2):
                follow(network, x, plan, silent)
        torch.cuda.current_stream(machine.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            got = follow(network, x, plan, silent)
        graph.replay()
        apart = float((got - wanted).abs().max())
    if not apart <= 1e-4:
        raise Fault(f"a captured run differs by {apart:.1e} (limit 0.0001)")
    return f"a captured run differs by {apart:.1e} (limit 0.0001)", {"apart": apart}


def _compile(machine: Machine) -> Found:
    """A compiled network makes the same images but for rounding, also of a batch that is not full."""
    if machine.device.type != "cuda":
        raise NotHere("--compile is for GPUs; a CPU gains little and compiles for minutes")
    network = random_network(32, 16).to(machine.device)
    settings = partial(Generation, "seeds-2", 3, state=machine.state)
    wanted = ImageSampler(network, settings())(range(4))
    compiled = ImageSampler(network, settings(compile=True))
    start = time.perf_counter()
    apart = int((compiled(range(4), 4).int() - wanted.int()).abs().max())
    first = time.perf_counter() - start
    start = time.perf_counter()
    rest = compiled([0], 4)
    second = time.perf_counter() - start
    apart = max(apart, int((rest.int() - wanted[:1].int()).abs().max()))
    if apart > 2:
        raise Fault(f"images of a compiled network differ by {apart} grey levels (limit 2)")
    said = f"images differ by {apart} grey levels (limit 2), compiled in {first:.0f} s"
    return f"{said}, the next batch took {second:.2f} s", {"first": first, "second": second}


def _speed(machine: Machine) -> Found:
    """What a run of SEEDS-3 on the embedded network takes, and how much of it the network does not."""
    network, _ = open_network(FASHION_MNIST, machine.device)
    batch = 4 if machine.device.type == "cpu" else 256
    found = measure(network, "seeds-3", nfe=4, batch=batch, state=machine.state)
    said = f"{found.images_per_second:.3g} images/s at {found.nfe} calls, {found.share:.1%} of the time"
    return f"{said} outside the network (batch {batch})", {**asdict(found), "batch": batch}


def _png(machine: Machine) -> Found:
    """Images that are written are read again as they were."""
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    folder = machine.folder / "png"
    start = time.perf_counter()
    PngFolder(folder).write(range(64), images)
    seconds = time.perf_counter() - start
    if not torch.equal(_all(open_images(folder)), images):
        raise Fault("images that were written are not read as they were")
    return f"64 images written in {1e3 * seconds:.0f} ms and read again", {"seconds": seconds}


def _all(images: ImageSet) -> Tensor:
    return torch.from_numpy(images.read(torch.arange(len(images)).numpy()))


def _several(machine: Machine) -> Found:
    """A run of several processes makes the files of one."""
    count, on_gpu = machine.processes, machine.device.type == "cuda"
    if count < 2:
        raise NotHere("asked for one process")
    if machine.device.type not in ("cpu", "cuda"):
        raise NotHere(f"several processes are for cpu and cuda; this is {machine.device.type}")
    if on_gpu and count > torch.cuda.device_count():
        raise NotHere(f"{count} processes need a GPU each; {torch.cuda.device_count()} are here")
    wanted = _run_here(machine, "one", range(20), batch=3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"SEEDS_DISTRIBUTED": "1", "WORLD_SIZE": str(count)}
    group |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    device = "cuda" if on_gpu else "cpu"
    started = [
        _start(machine, "several", "0-19", 3, device, RANK=str(k), LOCAL_RANK=str(k), **group)
        for k in range(count)
    ]
    _finish(started)
    if _files(machine.folder / "several") != wanted:
        raise Fault(f"{count} processes made other images than one")
    kind = "NCCL and gloo" if on_gpu else "gloo"
    return f"{count} processes ({kind}) made the images of one", {"processes": count}


def _resume(machine: Machine) -> Found:
    """A run that was killed goes on to the files of one that was not."""
    seeds = range(60)
    wanted = _run_here(machine, "whole", seeds, batch=2)
    killed = _start(machine, "killed", "0-59", 2, str(machine.device))
    folder, end = machine.folder / "killed", time.monotonic() + _LONGEST
    while len(_files(folder)) < 2 and killed.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    killed.kill()
    _, errors = killed.communicate()
    there = len(_files(folder))
    if there < 2:
        raise Fault(
            f"a run made no images: {(errors.strip().splitlines() or ['it said nothing'])[-1]}"
        )
    if there == len(seeds):
        raise NotHere("the run was over before it could be killed")
    if _run_here(machine, "killed", seeds, batch=2) != wanted:
        raise Fault("a run that was killed and went on made other images")
    return f"killed after {there} of {len(seeds)} images, it went on to the same", {"there": there}


def _settings(machine: Machine) -> Generation:
    return Generation("seeds-2", 12, state=machine.state)


def _network_file(machine: Machine) -> str:
    file = machine.folder / "network.safetensors"
    if not file.exists():
        save_checkpoint(random_network(8, 8), file)
    return str(file)


def _run_here(machine: Machine, name: str, seeds: range, batch: int) -> dict[str, bytes]:
    out, one = machine.folder / name, Processes(device=machine.device)
    generate_images(_network_file(machine), _settings(machine), seeds, out, batch=batch, group=one)
    return _files(out)


def _start(
    machine: Machine, name: str, seeds: str, batch: int, device: str, **variables: str
) -> subprocess.Popen[str]:
    """`seeds-generate` in a process of one thread."""
    how = _settings(machine)
    options = {"network": _network_file(machine), "method": how.method, "steps": str(how.steps)}
    options |= {"state": how.state, "seeds": seeds, "batch": str(batch), "device": device}
    options["out"] = str(machine.folder / name)
    given = [text for option, value in options.items() for text in (f"--{option}", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "gpu_runs.generate", *given],
        env={**_outside_of_a_run(), "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _outside_of_a_run() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "TORCHELASTIC" not in name}


def _finish(started: Sequence[subprocess.Popen[str]]) -> None:
    try:
        for one in started:
            _, errors = one.communicate(timeout=_LONGEST)
            if one.returncode:
                last = (errors.strip().splitlines() or ["it said nothing"])[-1]
                raise Fault(f"a process ended with status {one.returncode}: {last}")
    except subprocess.TimeoutExpired:
        raise Fault(f"the processes were not done within {_LONGEST:.0f} s") from None
    finally:
        for one in started:
            one.kill()
            one.communicate()


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*/*.png"))}


_CHECKS: dict[str, Callable[[Machine], Found]] = dict(
    zip(
        SELF_TESTS,
        (
            _environment,
            _noise,
            _products,
            _embedded,
            _random,
            _methods,
            _repeats,
            _graph,
            _compile,
            _png,
            _speed,
            _several,
            _resume,
        ),
        strict=True,
    )
)
