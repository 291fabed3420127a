"""Images from seeds: a network, a solver and a grid of noise levels, and noise by seed and level.

An image is determined by the network, the settings and its seed. Batches change it only through the
rounding of the network's kernels.
"""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu_runs.checkpoints.own_network import Network, NetworkCodeError, OwnNetwork
from gpu_runs.checkpoints.preconditioning import IDDPM
from gpu_runs.errors import shown
from gpu_runs.files.images import to_uint8
from gpu_runs.generation.edm_seeds import EDMSeeds
from gpu_runs.generation.shared_path import SharedPath
from gpu_runs.machine.device import arithmetic
from gpu_runs.names import (
    PRECISIONS,
    STATES,
    grid_exponent,
    require_convention,
    require_type_names,
)
from seeds_theory.baselines import BASELINES
from seeds_theory.baselines.edm import EDM_HEUN
from seeds_theory.command import is_out_of_memory
from seeds_theory.errors import (
    DenoiserError,
    GridError,
    NoiseError,
    ParameterError,
    SeedsError,
)
from seeds_theory.grids import rho_grid, uniform_log_snr
from seeds_theory.solver import Solver
from seeds_theory.sources import NoiseSource, SeededNoise, seeded_generator

STATE_TYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in STATES}
"""The types of the solver's state, by name."""
NETWORK_TYPES: dict[str, torch.dtype] = dict(
    zip(
        PRECISIONS,
        (torch.float32, torch.float32, torch.bfloat16, torch.float16),
        strict=True,
    )
)
"""The types of the network's weights, by the name of the precision."""
_LABEL_STREAM = 2  # of a seed; 0 and 1 are those of SeededNoise


EDM_SIGMA_MAX = 80.0
"""Where grids start unless it is said: EDM's for all its networks, those for other ranges too."""


class OutOfMemory(SeedsError):
    """A batch that is too large for the device."""


class GridWarning(UserWarning):
    """The noise levels are not the ones that were asked for."""


@dataclass(frozen=True)
class Generation:
    """All that determines an image but the network and the seed.

    Parameters
    ----------
    method : a name in `seeds_theory.solver.SOLVERS`; nodes as in ``"seeds-2@0.7"``.
    steps : of the grid, the last one to noise level 0.
    options : of the method: eta, prediction, churn, ...
    grid : "edm", "rho=5", "logsnr": equal steps in sigma^(1/7), sigma^(1/5), log sigma.
    sigma_min, sigma_max : least noise level before 0, and the first; clipped to the network's.
    labels : "random" (a draw of the seed's own), "cycle" (seed modulo the number of classes), "none"
        (no class told), or classes as "3" or "0,4,7", taken by seed modulo their number. By default
        "random" for a network with classes.
    precision : of the network, a name in `NETWORK_TYPES`. state : of the solver, a name in `STATE_TYPES`.
    compile : run the network through torch.compile, on a GPU with CUDA graphs.
    seeds_like : "edm" for what a seed means in EDM's script: initial noise, random classes and the noise of
        edm-heun with churn. The noise of other methods, which EDM's script has not, is the seeds' as ever.
    autotune : cuDNN times its kernels at the first call of a shape and takes the fastest, which may be
        others in another process: images then repeat to rounding, not to the bit.
    """

    method: str
    steps: int
    options: dict[str, Any] = field(default_factory=dict)
    grid: str = "edm"
    sigma_min: float = 0.002
    sigma_max: float = EDM_SIGMA_MAX
    labels: str | None = None
    precision: str = "fp32"
    state: str = "float64"
    compile: bool = False
    seeds_like: str | None = None
    autotune: bool = False


class ImageSampler:
    """Makes the images of seeds.

    All that is wrong with the settings, or does not fit the network, is found here.

    Parameters
    ----------
    network : whose images these are. settings : what else determines them.
    levels : of a Brownian motion that other runs share, as of `gpu_runs.generation.shared_path`; a run that
        does not follow it, and every run by default, draws the noise of each step by itself.
    keep : whether the network stays as it is, and a copy is used. Without, there is one in memory, which is
        used up: in the precision asked for.

    Attributes
    ----------
    sigmas : the noise levels, descending to 0. nfe : network calls per image. path : a `SharedPath` or None.

    Raises
    ------
    UnknownNameError, ParameterError, TableauError, GridError : by setting.
    NetworkCodeError : a precision that a network of the user's own code chooses itself.
    """

    def __init__(
        self,
        network: Network,
        settings: Generation,
        levels: Sequence[float] = (),
        *,
        keep: bool = True,
    ) -> None:
        require_type_names(settings.precision, settings.state)
        if network.channels not in (1, 3):
            raise ParameterError(
                f"images have 1 or 3 channels; what this network makes has {network.channels}, as latents "
                "have: give it a decoder in your own code, as --network file.py:function"
            )
        require_convention(settings.seeds_like)
        numbers = {"sigma_min": settings.sigma_min, "sigma_max": settings.sigma_max}
        for name, value in {**numbers, **settings.options}.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ParameterError(f"{name} is finite; got {value}")
        self.settings = settings
        self.solver = Solver(settings.method, _options(network, settings))
        self.class_of = class_of(settings.labels, network.label_dim)
        if self.class_of and settings.seeds_like and settings.labels in (None, "random"):
            self.class_of = self._class_by_edm
        self.sigmas = noise_levels(network, settings)
        self.nfe = self.solver.nfe(self.sigmas)
        self.path = SharedPath.of(levels, self.solver, self.sigmas)
        self.device = network.device
        if settings.precision == "tf32" and self.device.type != "cuda":
            raise ParameterError(f"tf32 is for CUDA; this is {self.device.type}: use fp32")
        _require_state_type(settings.state, self.device)
        self.network = _prepared(network, settings, keep)

    def __call__(self, seeds: Sequence[int], size: int = 0) -> Tensor:
        """The images of these seeds as one batch: uint8 (n, channels, height, width) on the CPU.

        size : of the batches of a run. A compiled network is made for one size: a smaller batch is filled up
            to it with its last seed.

        Raises
        ------
        DenoiserError, NoiseError : NaN or infinite values; names the seed and the step.
        OutOfMemory : the batch is too large.
        NetworkCodeError : the user's own code fails.
        """
        filling = size - len(seeds) if self.settings.compile else 0
        filled = [*seeds, *[seeds[-1]] * filling]
        tf32, fastest = self.settings.precision == "tf32", self.settings.autotune
        # The user's own code may want gradients within, for a guidance.
        bare = not isinstance(self.network, OwnNetwork)
        try:
            with arithmetic(tf32=tf32, fastest=fastest), torch.inference_mode(bare):
                images = to_uint8(self.network.decode(self._states(filled))).cpu()
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise too_large(len(filled)) from error
            raise
        return images[: len(seeds)].clone()  # outside: it may be written to

    def _states(self, seeds: Sequence[int]) -> Tensor:
        network = self.network
        labels = self.one_hot(seeds)
        dtype, seeded = STATE_TYPES[self.settings.state], SeededNoise(seeds)
        source: NoiseSource = seeded
        if self.settings.seeds_like:
            by_edm = self._edm(seeds)
            unit = by_edm.start.to(dtype)
            source = by_edm if "churn" in self.settings.options else seeded
        else:
            unit = seeded.initial(network.state_shape, dtype)
        x = unit.to(self.device) * self.sigmas[0]
        source = self.path.source(seeded, x) if self.path else source
        last = (x, x)

        def denoise(x: Tensor, sigma: float) -> Tensor:
            nonlocal last
            estimate = network(x, sigma, labels)
            last = (x, estimate)
            return estimate

        try:
            return self.solver(denoise, x, self.sigmas, source)
        except (DenoiserError, NoiseError) as error:
            # Images do not mix in a network, and what is not finite stays so until the end.
            whole = torch.stack([values.isfinite().flatten(1).all(1) for values in last]).all(0)
            found = zip(seeds, whole.tolist(), strict=True)
            broken = list(dict.fromkeys(str(seed) for seed, fine in found if not fine))
            seed = f"seed {', '.join(broken[:5])}: " if broken else ""
            raise type(error)(f"{seed}{error}") from None

    def _edm(self, seeds: Sequence[int]) -> EDMSeeds:
        return EDMSeeds(seeds, self.network.state_shape, self.network.label_dim, self.device)

    def _class_by_edm(self, seed: int) -> int:
        classes = self._edm([seed]).classes
        assert classes is not None
        return classes[0]

    def one_hot(self, seeds: Sequence[int]) -> Tensor | None:
        """The classes of seeds, (n, label_dim), on the device; None if no class is told.

        They are made before the loop: within it nothing is checked on the host.
        """
        if self.class_of is None:
            return None
        classes = torch.tensor([self.class_of(seed) for seed in seeds])
        return torch.nn.functional.one_hot(classes, self.network.label_dim).float().to(self.device)


def make_images(network: Network, settings: Generation, seeds: Sequence[int]) -> Tensor:
    """The images of seeds in one batch, uint8 (n, channels, height, width); as of `ImageSampler`."""
    return ImageSampler(network, settings)(seeds)


def _options(network: Network, settings: Generation) -> dict[str, Any]:
    """The options of the method; EDM's churn goes up to a level that the network knows, as published."""
    if settings.method != EDM_HEUN.name or not isinstance(network, IDDPM):
        return settings.options
    levels = network.u.tolist()  # on the host: the loop does not wait for the device
    return {
        "round_sigma": lambda sigma: min(levels, key=lambda level: abs(level - sigma)),
        **settings.options,
    }


def _require_state_type(name: str, device: torch.device) -> None:
    try:
        torch.empty(0, dtype=STATE_TYPES[name], device=device)
    except (RuntimeError, TypeError):  # Apple's GPUs have no float64
        raise ParameterError(f"{device.type} has no {name}: choose another --state") from None


def too_large(batch: int, otherwise: str = "a lower --precision may fit") -> OutOfMemory:
    """The error of a batch of so many images; `otherwise` is the way out where it is one."""
    way_out = f"try --batch {batch // 2}" if batch > 1 else otherwise
    return OutOfMemory(f"out of memory at batch {batch}: {way_out}")


def _prepared(network: Network, settings: Generation, keep: bool) -> Network:
    """The network or a copy, in the precision asked for; one of the user's own as it is."""
    if isinstance(network, OwnNetwork):
        if settings.compile or settings.precision not in ("fp32", "tf32"):
            raise NetworkCodeError(
                f"{network.name} lowers and compiles its network itself: leave the precision "
                f"{settings.precision!r} and --compile out"
            )
        return network
    network = copy.deepcopy(network) if keep else network
    lower = NETWORK_TYPES[settings.precision]
    network.model.lower(lower)
    on_gpu = network.device.type == "cuda"
    if not on_gpu or lower.itemsize < 4:
        # A quarter faster on a CPU; on a GPU it is the layout of products of less than 32 bits.
        network.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.compile:
        # A kernel per shape: what a batch gives must not depend on the batches before it.
        network.model.compile(dynamic=False, mode="reduce-overhead" if on_gpu else None)
    return network


def noise_levels(network: Network, settings: Generation) -> np.ndarray:
    """The grid, float64, clipped to the network's range; a GridWarning says so.

    The levels of the grid are rounded to those that the network knows, if it knows a list of them. The
    levels of stages in between are not: the network is then asked at the nearest one.

    Raises
    ------
    GridError, ParameterError, UnknownNameError : the range, the number of steps, the name of the grid.
    """
    if not 0 < settings.sigma_min < settings.sigma_max:
        raise GridError(
            "sigma_min is above 0 and below sigma_max; got "
            f"{settings.sigma_min:g} and {settings.sigma_max:g}"
        )
    low = max(settings.sigma_min, network.sigma_min)
    high = min(settings.sigma_max, network.sigma_max)
    asked = f"noise levels {settings.sigma_max:g} to {settings.sigma_min:g}"
    if not low < high:
        raise GridError(
            f"none of the {asked} is within the network's, {network.sigma_max:g} to "
            f"{network.sigma_min:g}: choose others"
        )
    if (low, high) != (settings.sigma_min, settings.sigma_max):
        warnings.warn(
            f"the {asked} are clipped to those of the network, {high:g} to {low:g}",
            GridWarning,
            stacklevel=2,
        )
    levels = _grid(settings.grid)(high, low, settings.steps)
    rounded = network.round_sigma(torch.from_numpy(levels[:-1])).cpu().numpy()
    baseline = BASELINES.get(settings.method)
    if baseline and baseline.repeats:
        return np.append(rounded, 0.0)
    distinct = rounded[np.diff(rounded, prepend=math.inf) < 0]
    if len(distinct) < len(rounded):
        warnings.warn(
            f"on the network's own list of noise levels some of the {len(rounded)} steps have no "
            f"length; {len(distinct)} are left",
            GridWarning,
            stacklevel=2,
        )
    return np.append(distinct, 0.0)


def range_remarks(network: Network, settings: Generation) -> list[str]:
    """What is said where the usual first noise level, EDM's, leaves out levels that the network knows."""
    if settings.sigma_max != EDM_SIGMA_MAX or not EDM_SIGMA_MAX < network.sigma_max < math.inf:
        return []
    return [
        f"noise levels start at {EDM_SIGMA_MAX:g}, as EDM's; the network knows some up to "
        f"{network.sigma_max:.4g}, which a larger sigma_max takes in"
    ]


def _grid(name: str) -> Callable[[float, float, int], np.ndarray]:
    """A grid (sigma_max, sigma_min, steps) that ends at 0."""
    rho = grid_exponent(name)
    if rho is None:
        return lambda high, low, steps: uniform_log_snr(high, low, steps, to_zero=True)
    return lambda high, low, steps: rho_grid(high, low, steps, rho=rho, to_zero=True)


def class_of(labels: str | None, label_dim: int) -> Callable[[int], int] | None:
    """Seed to class, or None where no class is told; labels as of `Generation`.

    Raises
    ------
    ParameterError : no such labels, a class out of range, or a network without classes.
    """
    if label_dim == 0 and labels not in (None, "none"):
        raise ParameterError(f"this network has no classes: leave the labels {labels!r} out")
    if label_dim == 0 or labels == "none":
        return None
    if labels in (None, "random"):
        return lambda seed: int(
            torch.randint(label_dim, (), generator=seeded_generator(seed, _LABEL_STREAM))
        )
    classes = tuple(range(label_dim)) if labels == "cycle" else listed_classes(str(labels))
    for label in classes:
        if label >= label_dim:
            raise ParameterError(
                f"the classes of this network are 0 to {label_dim - 1}; got {label}"
            )
    return lambda seed: classes[seed % len(classes)]


def listed_classes(labels: str | None) -> tuple[int, ...]:
    """The classes of labels such as "0,4,7"; none for the other kinds. Raises ParameterError."""
    if labels in (None, "random", "cycle", "none"):
        return ()
    parts = str(labels).split(",")
    if not all(re.fullmatch(r"\s*[0-9]{1,9}\s*", part) for part in parts):
        raise ParameterError(
            f"labels are random, cycle, none, or classes as 3 or 0,4,7; got {shown(labels)}"
        )
    return tuple(int(part) for part in parts)
