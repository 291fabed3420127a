r"""Networks that others trained: the score networks of galaxies in the package ``galaxygrad``.

Each name here is one for ``--network``, as ``gpu_runs.checkpoints.galaxygrad:hsc32``. The package
(Sampson et al. 2024, arXiv 2401.07313) states no licence, so nothing of it is in this project; its weights
are read where it is installed, as data, and none of its code, nor JAX, is run or needed::

    pip install --no-deps galaxygrad==0.2.1

A network is a mixer (Tolstikhin et al. 2021, arXiv 2105.01601) of patches. Its output is the score of
:math:`u = 10 \log(1 + \text{flux})` under the SDE :math:`du = -u/2\, dt + dW`, so with
:math:`\alpha = e^{-t/2} = (1 + s^2)^{-1/2}` at the noise level :math:`s`

.. math:: D(u, s) = u + s^2 \alpha\, \text{score}(\alpha u, \log(1 + s^2)) .

Images here are ``u``, mapped from [black, white] to [-1, 1]. No data of the authors' are at hand: these two
are what the pixels of samples span.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gpu_runs.errors import CheckpointError, printable, shown
from gpu_runs.files.arrays import ArrayError, read_npy_sequence

_CHANNELS, _PATCH, _WIDTH, _BLOCKS = 64, 4, 512, 4
_LAST_TIME = 10.0
"""Of the SDE, when training begins; the network is told t over it."""
_LEAST_LEVEL = 0.02
"""In ``u``. Below it the networks leave more than half of the noise's variance in."""
_RELEASE = "pip install --no-deps galaxygrad==0.2.1"


@dataclass(frozen=True)
class GalaxyPrior:
    """One of the package's networks by its file; called with a torch.device, it is a `GalaxyDenoiser`.

    Parameters
    ----------
    file : in the package. resolution : of its images.
    black, white : what -1 and 1 are in ``u``.
    """

    file: str
    resolution: int
    black: float
    white: float

    def __call__(self, device: torch.device) -> GalaxyDenoiser:
        """The network with the package's weights.

        Raises
        ------
        CheckpointError : the package is not installed, without weights, or has others than these.
        """
        network = ScoreNetwork(self.resolution)
        _load(network, _package() / self.file)
        return GalaxyDenoiser(network.requires_grad_(False).to(device), self)


hsc32 = GalaxyPrior("eqx_hsc_ScoreNet32.eqx", 32, 0.0, 7.0)
hsc64 = GalaxyPrior("eqx_hsc_ScoreNet64.eqx", 64, 0.0, 9.0)
ztf32 = GalaxyPrior("eqx_ZTF_ScoreNet32.eqx", 32, 0.0, 9.0)
ztf64 = GalaxyPrior("eqx_ZTF_ScoreNet64.eqx", 64, 0.0, 17.0)
lsst60 = GalaxyPrior("eqx_lsst_ScoreNet60.eqx", 60, 6.9, 11.5)
quasar72 = GalaxyPrior("eqx_quasar_lens72.eqx", 72, 0.0, 11.0)
roman120 = GalaxyPrior("eqx_roman_Scorenet120.eqx", 120, 6.9, 11.5)


class GalaxyDenoiser(nn.Module):
    """The posterior mean of images of galaxies; a `gpu_runs.checkpoints.image_denoiser.ImageDenoiser`."""

    channels, label_dim = 1, 0

    def __init__(self, network: ScoreNetwork, prior: GalaxyPrior) -> None:
        super().__init__()
        self.network = network
        self.resolution = prior.resolution
        self.scale, self.middle = (
            (prior.white - prior.black) / 2,
            (prior.white + prior.black) / 2,
        )
        self.sigma_min = _LEAST_LEVEL / self.scale
        self.sigma_max = math.sqrt(math.expm1(_LAST_TIME)) / self.scale

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        """The estimate of images (batch, 1, resolution, resolution) at one noise level."""
        level = self.scale * sigma
        t, alpha = math.log1p(level**2), 1 / math.hypot(1.0, level)
        u = self.scale * x + self.middle
        estimate = u + level**2 * alpha * self.network(alpha * u, t)
        return (estimate - self.middle) / self.scale


class ScoreNetwork(nn.Module):
    """Score of states (batch, 1, resolution, resolution) at a time t from 0 to 10.

    Its parameters are in the order of the leaves in a file.
    """

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.side = resolution // _PATCH
        patches = self.side**2
        self.inward = nn.Conv2d(2, _CHANNELS, _PATCH, stride=_PATCH)
        self.outward = nn.ConvTranspose2d(_CHANNELS, 1, _PATCH, stride=_PATCH)
        self.blocks = nn.Sequential(*(_Mixer(patches) for _ in range(_BLOCKS)))
        self.norm = nn.LayerNorm((_CHANNELS, patches))

    def forward(self, x: Tensor, t: float) -> Tensor:
        """The score, shaped like x."""
        states = torch.cat([x, torch.full_like(x, t / _LAST_TIME)], dim=1)
        mixed = self.blocks(self.inward(states).flatten(2))
        return self.outward(self.norm(mixed).unflatten(2, (self.side, self.side)))


class _Mixer(nn.Module):
    """Patches are mixed within a channel, then channels within a patch: (batch, channels, patches)."""

    def __init__(self, patches: int) -> None:
        super().__init__()
        self.of_patches, self.of_channels = _perceptron(patches), _perceptron(_CHANNELS)
        self.norm_patches = nn.LayerNorm((_CHANNELS, patches))
        self.norm_channels = nn.LayerNorm((patches, _CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        x = (x + self.of_patches(self.norm_patches(x))).transpose(1, 2)
        return (x + self.of_channels(self.norm_channels(x))).transpose(1, 2)


def _perceptron(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, size))


def _package() -> Path:
    """The folder of the package, which is not imported: that would run it."""
    found = importlib.util.find_spec("galaxygrad")
    if found is None or not found.submodule_search_locations:
        raise CheckpointError(f"the package galaxygrad is not installed: {_RELEASE}")
    return Path(found.submodule_search_locations[0])


def _load(network: ScoreNetwork, file: Path) -> None:
    """Give a network the leaves of a file; raises CheckpointError for those of another one."""
    if not file.is_file():
        raise CheckpointError(f"this galaxygrad comes without {file.name}: {_RELEASE}")
    try:
        *leaves, last_time = read_npy_sequence(file)
    except (ArrayError, ValueError) as error:  # ValueError: no leaf at all
        raise CheckpointError(f"{printable(file)} holds no network: {error}") from None
    if last_time.shape != () or last_time != _LAST_TIME:
        raise CheckpointError(f"{printable(file)} ends with no time {_LAST_TIME:g}")
    parameters = dict(network.named_parameters())
    if len(leaves) != len(parameters):
        raise CheckpointError(
            f"{printable(file)} holds {len(leaves)} leaves, its network {len(parameters)}"
        )
    for (name, parameter), leaf in zip(parameters.items(), leaves, strict=True):
        found = _as_torch(name, leaf)
        if found.dtype != np.float32 or found.shape != tuple(parameter.shape):
            raise CheckpointError(
                f"{printable(file)}: {name} is float32 {tuple(parameter.shape)}; it holds "
                f"{shown(str(found.dtype))} {found.shape}"
            )
        if not np.isfinite(found).all():
            raise CheckpointError(f"{printable(file)}: {name} holds numbers that are not finite")
        parameter.data.copy_(torch.from_numpy(np.ascontiguousarray(found)))


def _as_torch(name: str, leaf: np.ndarray) -> np.ndarray:
    """A leaf as torch lays it out.

    In a file biases of convolutions have axes of size 1, and the kernel of the transposed convolution lies
    mirrored, with its output first.
    """
    if name in ("inward.bias", "outward.bias"):
        return leaf.reshape(-1)
    if name == "outward.weight" and leaf.ndim == 4:
        return leaf.swapaxes(0, 1)[:, :, ::-1, ::-1]
    return leaf
