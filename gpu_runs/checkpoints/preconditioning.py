r"""From a network F to a denoiser, in the ways of EDM's checkpoints and of those of other projects.

.. math::  D(x, \sigma) = c_{skip}(\sigma)\,x + c_{out}(\sigma)\,F(c_{in}(\sigma)\,x;\ c_{noise}(\sigma)) .

EDM's own; the variance-preserving, the sub-variance-preserving and the variance-exploding one of score-based
models; and those of DDPM and improved DDPM, whose noise levels are a finite list.

References: Karras et al., arXiv 2206.00364, Table 1 and appendix C; Song et al., arXiv 2011.13456, appendix
B; Ho et al., arXiv 2006.11239; Nichol and Dhariwal, arXiv 2102.09672.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gpu_runs.checkpoints.edm2_network import EDM2UNet
from gpu_runs.checkpoints.networks import NETWORKS, DhariwalUNet, SongUNet
from seeds_theory.errors import ParameterError

ARCHITECTURES: dict[str, type[SongUNet] | type[DhariwalUNet] | type[EDM2UNet]] = {
    **NETWORKS,
    "EDM2UNet": EDM2UNet,
}
"""The networks F, by name."""


@dataclass(frozen=True)
class NetworkSpec:
    """All that determines a network but its weights; plain data, so that a file can hold it.

    Parameters
    ----------
    preconditioning : a name in `PRECONDITIONINGS`.
    architecture : a name in `ARCHITECTURES`.
    resolution, channels : of the images. label_dim : number of classes, 0 for none.
    sigma_min, sigma_max : noise levels at which the network may be asked.
    constants : of the preconditioning. options : of the architecture.
    """

    preconditioning: str
    architecture: str
    resolution: int
    channels: int
    label_dim: int = 0
    sigma_min: float = 0.0
    sigma_max: float = math.inf
    constants: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a header."""
        return asdict(self)


class PreconditionedNetwork(nn.Module):
    """A denoising network D(x, sigma); its subclasses are the preconditionings.

    The coefficients are computed in the precision of the network's embedding, float32 at least; its
    convolutions may have a lower one, see `gpu_runs.checkpoints.networks.UNet.lower`.

    Attributes
    ----------
    spec : what it was built from. model : the network F.
    resolution, channels, label_dim, sigma_min, sigma_max : of the spec.
    """

    constants: ClassVar[dict[str, float]] = {}
    """Its constants and their defaults."""
    out_factor: ClassVar[int] = 1
    """Channels that F returns for each channel of an image; those beyond the image's are not used."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        unknown = spec.constants.keys() - self.constants.keys()
        if unknown:
            raise ParameterError(
                f"{spec.preconditioning} has no constant {min(unknown)!r}; "
                f"known: {', '.join(self.constants) or 'none'}"
            )
        self.spec = spec
        self.resolution, self.channels = spec.resolution, spec.channels
        self.label_dim = spec.label_dim
        self.sigma_min, self.sigma_max = spec.sigma_min, spec.sigma_max
        self.constant = {**self.constants, **spec.constants}
        self.model = ARCHITECTURES[spec.architecture](
            img_resolution=spec.resolution,
            in_channels=spec.channels,
            out_channels=spec.channels * self.out_factor,
            label_dim=spec.label_dim,
            **spec.options,
        )

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Of what it denoises, (channels, resolution, resolution)."""
        return self.channels, self.resolution, self.resolution

    def decode(self, states: Tensor) -> Tensor:
        """The images of states without noise: the states themselves."""
        return states

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(c_skip, c_out, c_in, c_noise) at noise levels of any shape."""
        raise NotImplementedError

    def round_sigma(self, sigma: Tensor | float) -> Tensor:
        """The nearest noise levels at which the network was trained, in the dtype of sigma (float64)."""
        return _as_levels(sigma)

    def forward(
        self, x: Tensor, sigma: Tensor | float, class_labels: Tensor | None = None
    ) -> Tensor:
        """Estimate the data.

        Parameters
        ----------
        x : states (batch, channels, resolution, resolution) with noise of standard deviation sigma.
        sigma : noise levels (batch,), or one for all.
        class_labels : one-hot or mixed classes (batch, label_dim), or integers (batch,); None for no
            class, also for a network without.

        Returns
        -------
        The denoised states, shaped like x and of its dtype.

        Raises
        ------
        ParameterError : x, sigma or class_labels do not fit the network; integers out of range are
            checked on the CPU only.
        """
        if x.shape[1:] != self.state_shape:
            raise ParameterError(
                f"this network denoises (batch, {', '.join(map(str, self.state_shape))}); got "
                f"{tuple(x.shape)}"
            )
        dtype = torch.promote_types(self.model.embedding_dtype, torch.float32)
        labels = self._labels(class_labels, x)
        level = self._level(sigma, x, dtype)
        skip, out, c_in, c_noise = (c.to(dtype) for c in self.coefficients(level))
        state = x.to(dtype)
        estimate = self.model(
            (c_in[:, None, None, None] * state).to(self.model.dtype),
            c_noise.expand(len(x)),
            labels,
        )[:, : self.channels].to(dtype)
        return (skip[:, None, None, None] * state + out[:, None, None, None] * estimate).to(x.dtype)

    def _level(self, sigma: Tensor | float, x: Tensor, dtype: torch.dtype) -> Tensor:
        if not isinstance(sigma, Tensor):
            # Filled on the device: a copy from the host would wait for it.
            return torch.full((1,), sigma, dtype=dtype, device=x.device)
        if sigma.numel() not in (1, len(x)):
            raise ParameterError(
                f"noise levels are one for each of {len(x)} states, or one for all; got {sigma.numel()}"
            )
        return sigma.to(x.device, dtype).reshape(-1)

    def _labels(self, labels: Tensor | None, x: Tensor) -> Tensor | None:
        if self.label_dim == 0:
            if labels is not None:
                raise ParameterError("this network has no classes: leave class_labels out")
            return None
        if labels is None:
            return x.new_zeros((len(x), self.label_dim))
        if not labels.is_floating_point():
            if labels.device.type == "cpu" and not bool(
                ((labels >= 0) & (labels < self.label_dim)).all()
            ):
                raise ParameterError(
                    f"classes are integers from 0 to {self.label_dim - 1}; "
                    f"got {int(labels.min())} to {int(labels.max())}"
                )
            labels = nn.functional.one_hot(labels.long().to(x.device), self.label_dim)
        if labels.shape != (len(x), self.label_dim):
            raise ParameterError(
                f"class labels are (batch, {self.label_dim}) or integers (batch,), for a batch of "
                f"{len(x)}; got {tuple(labels.shape)}"
            )
        return labels.to(x.device)


def _as_levels(sigma: Tensor | float) -> Tensor:
    return sigma if isinstance(sigma, Tensor) else torch.tensor(sigma, dtype=torch.float64)


class EDM(PreconditionedNetwork):
    """Unit variance of input, target and weighted loss, for data of standard deviation sigma_data."""

    constants: ClassVar[dict[str, float]] = {"sigma_data": 0.5}

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As of the base class."""
        s = self.constant["sigma_data"]
        norm = (sigma**2 + s**2).sqrt()
        return s**2 / norm**2, sigma * s / norm, 1 / norm, sigma.log() / 4


class EDM1000(EDM):
    """EDM's, whose F is told 1000 times as much: that of the networks beside OpenAI's consistency models."""

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As of the base class."""
        skip, out, c_in, c_noise = super().coefficients(sigma)
        return skip, out, c_in, 1000 * c_noise


class VP(PreconditionedNetwork):
    """F predicts the noise; it is told the time of the variance-preserving process, times M - 1."""

    constants: ClassVar[dict[str, float]] = {
        "beta_d": 19.9,
        "beta_min": 0.1,
        "M": 1000,
        "epsilon_t": 1e-5,
    }

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As of the base class."""
        beta_d, beta_min = self.constant["beta_d"], self.constant["beta_min"]
        scale, damping = self._scale(sigma)
        time = ((beta_min**2 + 2 * beta_d * damping).sqrt() - beta_min) / beta_d
        return torch.ones_like(sigma), -sigma, scale, (self.constant["M"] - 1) * time

    def _scale(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The factor of the data in a state of the process at this noise level, and -2 of its logarithm."""
        return 1 / (sigma**2 + 1).sqrt(), (1 + sigma**2).log()


class SubVP(VP):
    r"""As VP, where the noise in a state :math:`\alpha x_0 + (1 - \alpha^2) \epsilon` is less."""

    constants: ClassVar[dict[str, float]] = {"beta_d": 19.9, "beta_min": 0.1, "M": 1000}

    def _scale(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        inverse = (sigma + (sigma**2 + 4).sqrt()) / 2
        return 1 / inverse, 2 * inverse.log()


class VE(PreconditionedNetwork):
    """F predicts the noise, up to its sign; it is told the logarithm of half the noise level."""

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As of the base class."""
        one = torch.ones_like(sigma)
        return one, sigma, one, (sigma / 2).log()


class Discrete(PreconditionedNetwork):
    """F predicts the noise at M levels; it is told the number of the nearest, from the least noise on.

    The levels are ``u``, descending, and 0 after them.
    """

    u: Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.register_buffer("u", torch.tensor(self.levels(self.constant), dtype=torch.float32))

    @staticmethod
    def levels(constant: Mapping[str, float]) -> list[float]:
        """The M levels and 0, from the constants."""
        raise NotImplementedError

    def _nearest(self, sigma: Tensor) -> Tensor:
        gaps = (sigma.to(self.u.dtype).reshape(-1, 1) - self.u).abs()
        return gaps.argmin(dim=1).reshape(sigma.shape)

    def round_sigma(self, sigma: Tensor | float) -> Tensor:
        """As of the base class."""
        levels = _as_levels(sigma)
        return self.u[self._nearest(levels.to(self.u.device))].to(levels)

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As of the base class."""
        number = self.constant["M"] - 1 - self._nearest(sigma)
        c_noise = number.to(sigma.dtype) * self.constant.get("step", 1)
        return torch.ones_like(sigma), -sigma, 1 / (sigma**2 + 1).sqrt(), c_noise


class CosineDDPM(Discrete):
    r"""The cosine schedule of improved DDPM; c_noise is the number of the level times ``step``.

    From :math:`u_M = 0` on, with
    :math:`\bar\alpha_j = \sin^2\big(\tfrac{\pi}{2} \tfrac{j}{M (C_2 + 1)}\big)`:

    .. math::  u_{j-1} = \sqrt{\frac{u_j^2 + 1}{\max(\bar\alpha_{j-1} / \bar\alpha_j,\ C_1)} - 1} .
    """

    constants: ClassVar[dict[str, float]] = {"C_1": 0.001, "C_2": 0.008, "M": 1000, "step": 1}

    @staticmethod
    def levels(constant: Mapping[str, float]) -> list[float]:
        """As of the base class."""
        M = int(constant["M"])

        def alpha_bar(j: int) -> float:
            return math.sin(math.pi / 2 * j / M / (constant["C_2"] + 1)) ** 2

        levels = [0.0]
        for j in range(M, 0, -1):
            ratio = max(alpha_bar(j - 1) / alpha_bar(j), constant["C_1"])
            levels.append(math.sqrt((levels[-1] ** 2 + 1) / ratio - 1))
        return levels[::-1]


class IDDPM(CosineDDPM):
    """The same as EDM has it: F also returns a variance for each channel."""

    constants: ClassVar[dict[str, float]] = {"C_1": 0.001, "C_2": 0.008, "M": 1000}
    out_factor: ClassVar[int] = 2


class LinearDDPM(Discrete):
    r"""The schedule of DDPM; c_noise is the number of the level times ``step``.

    :math:`\beta` rises linearly from ``beta_first`` to ``beta_last`` in M steps, and
    :math:`u_j^2 + 1 = (u_{j+1}^2 + 1) / (1 - \beta)` from :math:`u_M = 0` on.
    """

    constants: ClassVar[dict[str, float]] = {
        "beta_first": 1e-4,
        "beta_last": 0.02,
        "M": 1000,
        "step": 1,
    }

    @staticmethod
    def levels(constant: Mapping[str, float]) -> list[float]:
        """As of the base class."""
        M, first, last = (constant[name] for name in ("M", "beta_first", "beta_last"))
        levels, squared = [0.0], 1.0  # squared: u^2 + 1
        for i in range(int(M)):
            squared /= 1 - (first + (last - first) * i / max(M - 1, 1))
            levels.append(math.sqrt(squared - 1))
        return levels[::-1]


def noise_range(kind: type[Discrete], constant: Mapping[str, float]) -> tuple[float, float]:
    """The least and the largest level, in float32 as the network has them."""
    levels = torch.tensor(kind.levels(constant)[:-1], dtype=torch.float32)
    return float(levels[-1]), float(levels[0])


PRECONDITIONINGS: dict[str, type[PreconditionedNetwork]] = {
    "EDMPrecond": EDM,
    "VPPrecond": VP,
    "VEPrecond": VE,
    "iDDPMPrecond": IDDPM,
    "EDM1000Precond": EDM1000,
    "SubVPPrecond": SubVP,
    "CosineDDPMPrecond": CosineDDPM,
    "LinearDDPMPrecond": LinearDDPM,
}
"""Name of a preconditioning, for the first four that of a class in EDM's files, to what it is."""


def build_network(spec: NetworkSpec) -> PreconditionedNetwork:
    """A network with new weights, in evaluation mode; under ``torch.device("meta")``, without memory."""
    return PRECONDITIONINGS[spec.preconditioning](spec).eval()
