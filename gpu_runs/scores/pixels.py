"""Statistics of pixels, which see what a classifier ignores: noise, blur, contrast, a place out of order.

A classifier is taught to tell garments apart and answers anything with one of them, so its hidden layer may
put noise amid garments. What these statistics know is the principal components of the data: where an image
lies along the first of them, how much of it the first ones leave over, and how strongly it varies from pixel
to pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

COMPONENTS = 24
"""Principal components whose coordinates are features."""

RESIDUALS = (16, 64)
"""After how many principal components the rest is measured."""

DIM = COMPONENTS + len(RESIDUALS) + 4
"""The number of statistics."""

_FLOOR = 16.0  # added to mean squares before the logarithm: the square of four levels of 255


class PixelStatistics(nn.Module):
    """Of gray images of one size: coordinates along principal components, and logarithms of mean squares.

    The mean squares are of: what RESIDUALS components leave over, differences of neighbours along x and along
    y, the difference to the mean of a 3x3 neighbourhood, and the difference to the mean image.
    mean : (pixels,). components : (pixels, 64), in the order of their variances.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(pixels, max(RESIDUALS)))

    @torch.inference_mode()
    def fit(self, images: Tensor) -> None:
        """Take mean and principal components from uint8 images (n, 1, h, w)."""
        pixels = images.flatten(1).double()
        _, basis = torch.linalg.eigh(torch.cov(pixels.T))
        self.mean.copy_(pixels.mean(dim=0))
        # Rounded as they are stored, so that a file gives the features that it was made with.
        self.components.copy_(basis.flip(1)[:, : max(RESIDUALS)].half())

    def forward(self, images: Tensor) -> Tensor:
        """Statistics (n, DIM) of images (n, 1, h, w) with values from 0 to 255."""
        centred = images.flatten(1) - self.mean
        coordinates = centred @ self.components
        rests = [
            centred - coordinates[:, :count] @ self.components[:, :count].T for count in RESIDUALS
        ]
        differences = [
            images[..., :, 1:] - images[..., :, :-1],
            images[..., 1:, :] - images[..., :-1, :],
            images - avg_pool2d(images, 3, stride=1, padding=1),
        ]
        squares = [part.flatten(1).square().mean(dim=1) for part in (*rests, *differences, centred)]
        return torch.cat(
            [coordinates[:, :COMPONENTS], torch.log(torch.stack(squares, dim=1) + _FLOOR)], dim=1
        )
