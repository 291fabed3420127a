"""Networks that were trained on a schedule, as those of diffusers: called like those of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seeds_theory.denoiser import NetworkDenoiser
from seeds_theory.errors import ParameterError
from seeds_theory.schedule import Schedule

_WHOLE = 1e-3
"""A timestep this near to a whole one is that one: tables of others are in single precision."""
_AT_ONCE = 4
"""Images that are decoded at once: decoders take far more memory than networks of latents."""


@dataclass(frozen=True)
class Training:
    """On what a network was trained, and what of it bears on its estimates.

    Attributes
    ----------
    schedule : of its noise levels. timesteps_per_time : it is told the time of the schedule, times this.
    sigma_min, sigma_max : the noise levels between which the schedule has finite ones.
    predicts : what it returns, by diffusers' names. learned_variance : beside a variance.
    bound : what is done to each estimate of the data, as clipping.
    counts : it looks its timesteps up in a table, so that they have to be integers.
    """

    schedule: Schedule
    timesteps_per_time: int
    sigma_min: float
    sigma_max: float
    predicts: str
    bound: Callable[[Tensor], Tensor]
    learned_variance: bool = False
    counts: bool = False


class Backbone(nn.Module):
    """The network itself, ``net(states, timesteps, class_labels=)``, which returns what has a ``sample``."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return next(self.net.parameters()).dtype

    def lower(self, dtype: torch.dtype) -> None:
        """Bring the weights to a precision."""
        nn.Module.to(self.net, dtype)  # diffusers' own method remarks on layers that it would keep

    def forward(self, x: Tensor, timesteps: Tensor, classes: Tensor | None) -> Tensor:
        """States and timesteps (batch,), whose precision they keep, to outputs of the states' dtype."""
        output: Tensor = self.net(x.to(self.dtype), timesteps, class_labels=classes).sample
        return output.to(x.dtype)


class ScheduledNetwork(nn.Module):
    r"""A denoising network D(x, sigma), made of one that was trained on a schedule.

    Parameters
    ----------
    net : of diffusers. training : on what it was trained.
    state_shape : of what it denoises, (channels, n, n).
    label_dim : number of classes, 0 for none. no_class : the number that it is told for none; None if it is
        always told a class.
    decoder : from latents to images, a module ``decoder(latents)``; None where it denoises images.
    image_shape : of the images.

    Attributes
    ----------
    model : the `Backbone`. trained_on : the training. channels, resolution : of the images.
    state_shape, label_dim, sigma_min, sigma_max
    """

    def __init__(
        self,
        net: nn.Module,
        training: Training,
        state_shape: tuple[int, int, int],
        *,
        label_dim: int = 0,
        no_class: int | None = None,
        decoder: nn.Module | None = None,
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.decoder = Backbone(net), decoder
        self.trained_on, self.state_shape = training, state_shape
        self.channels, self.resolution, _ = image_shape or state_shape
        self.label_dim, self.no_class = label_dim, no_class
        self.sigma_min, self.sigma_max = training.sigma_min, training.sigma_max

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.model.parameters()).device

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The noise levels themselves: between those of a table it is told a timestep between."""
        return sigma

    def decode(self, states: Tensor) -> Tensor:
        """The images of states without noise, values from -1 to 1."""
        if self.decoder is None:
            return states
        return torch.cat([self.decoder(part) for part in states.float().split(_AT_ONCE)])

    def forward(
        self, x: Tensor, sigma: Tensor | float, class_labels: Tensor | None = None
    ) -> Tensor:
        """Estimate the data.

        Parameters
        ----------
        x : states ``(batch, *state_shape)`` with noise of standard deviation sigma.
        sigma : the noise level of all.
        class_labels : one-hot classes (batch, label_dim), or integers (batch,); None, or a row of zeros, for
            no class.

        Returns
        -------
        The denoised states, shaped like x and of its dtype.

        Raises
        ------
        ParameterError : x, sigma or class_labels do not fit the network.
        """
        if tuple(x.shape[1:]) != self.state_shape:
            raise ParameterError(
                f"this network denoises (batch, {', '.join(map(str, self.state_shape))}); got "
                f"{tuple(x.shape)}"
            )
        on, classes = self.trained_on, self._classes(class_labels, x)
        denoise = NetworkDenoiser(
            lambda state, t: self.model(state, _whole(t * on.timesteps_per_time), classes),
            on.schedule,
            on.predicts,
            round_time=on.counts,
            time_dtype=torch.int64 if on.counts else None,
            learned_variance=on.learned_variance,
        )
        fine = torch.promote_types(self.model.dtype, torch.float32)
        return on.bound(denoise(x.to(fine), float(sigma))).to(x.dtype)

    def _classes(self, labels: Tensor | None, x: Tensor) -> Tensor | None:
        if self.label_dim == 0:
            if labels is not None:
                raise ParameterError("this network has no classes: leave class_labels out")
            return None
        if labels is None:
            if self.no_class is None:
                raise ParameterError("this network is always told a class: choose some")
            return torch.full((len(x),), self.no_class, device=x.device)
        if not labels.is_floating_point():
            if labels.device.type == "cpu" and not bool(
                ((labels >= 0) & (labels < self.label_dim)).all()
            ):
                raise ParameterError(
                    f"classes are integers from 0 to {self.label_dim - 1}; "
                    f"got {int(labels.min())} to {int(labels.max())}"
                )
            return labels.long().to(x.device)
        if labels.shape != (len(x), self.label_dim):
            raise ParameterError(
                f"class labels are (batch, {self.label_dim}) or integers (batch,), for a batch of "
                f"{len(x)}; got {tuple(labels.shape)}"
            )
        classes = labels.argmax(dim=1)
        if self.no_class is not None:
            classes = torch.where(labels.any(dim=1), classes, self.no_class)
        return classes.to(x.device)


def _whole(timesteps: Tensor) -> Tensor:
    if not timesteps.is_floating_point():
        return timesteps
    nearest = timesteps.round()
    return torch.where((timesteps - nearest).abs() < _WHOLE, nearest, timesteps)
