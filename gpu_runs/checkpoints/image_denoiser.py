"""What a function that `--network` names returns."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class ImageDenoiser(Protocol):
    r"""A denoiser :math:`D(x, \sigma)` of square images; says which images and noise levels it knows.

    It is made by a function of one argument, the torch.device on which it is to compute.

    Attributes
    ----------
    resolution, channels : of the images, whose values are from -1 to 1.
    label_dim : number of classes, 0 for none.
    sigma_min, sigma_max : the noise levels at which it may be asked; the second may be infinite.

    A denoiser of latents has two attributes more: ``state_shape``, theirs, (channels, height, width), and
    ``decode``, a function from latents without noise, float32 ``(batch, *state_shape)``, to images.
    """

    resolution: int
    channels: int
    label_dim: int
    sigma_min: float
    sigma_max: float

    def __call__(self, x: Tensor, sigma: float, class_labels: Tensor | None = None) -> Tensor:
        """The estimate of the data: float32, shaped like the states x, on their device, for any batch.

        x is float32, (batch, channels, resolution, resolution). class_labels are one-hot, float32, (batch,
        label_dim), or None where no class is told; a denoiser without classes gets two arguments alone.
        """
        ...
