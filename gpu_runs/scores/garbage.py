"""Images that are no garments, made of real ones or of nothing: scores must tell them from a sampler's."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import conv2d


def garbage(real: Tensor, seed: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Kinds of garbage by name, uint8 (n, 1, side, side) as the real images; the side is even."""
    generator = torch.Generator().manual_seed(seed)
    values, side = real.float(), real.shape[-1]
    x, y = torch.arange(side)[None, :], torch.arange(side)[:, None]

    def every(image: Tensor) -> Tensor:
        return _bytes(image).expand_as(real).contiguous()

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    yield "uniform noise", _bytes(256 * uniform(*real.shape))
    normal = torch.randn(real.shape, generator=generator)
    yield "noise of the data's mean and deviation", _bytes(values.mean(0) + values.std(0) * normal)
    yield "black and white noise", _bytes(255.0 * (uniform(*real.shape) > 0.5))
    yield (
        "a tenth of the pixels noise",
        torch.where(uniform(*real.shape) < 0.1, _bytes(256 * uniform(*real.shape)), real),
    )
    for width in (1, 2, 4):
        yield f"blurred by {width} pixels", _bytes(_blurred(values, width))
    yield "saturated", _bytes(255.0 * (real > 127))
    yield "inverted", 255 - real
    order = torch.randperm(side**2, generator=generator)
    yield "pixels in another order", real.flatten(1)[:, order].view_as(real)
    orders = uniform(len(real), side**2).argsort(dim=1)
    yield "pixels in an order of each image's own", real.flatten(1).gather(1, orders).view_as(real)
    for level in (0, 128, 255):
        yield f"all {level}", every(torch.full((side, side), float(level)))
    yield "one level each", _bytes(256 * uniform(len(real), 1, 1, 1)).expand_as(real).contiguous()
    yield "the mean image", every(values.mean(0))
    for pixels in (1, 2, 4, 8):
        yield f"checkerboard of {pixels}", every(255.0 * ((x // pixels + y // pixels) % 2))
    widths = torch.arange(len(real))[:, None, None, None] % 7 + 1
    yield "stripes", _bytes(255.0 * ((x // widths) % 2).expand_as(real))
    yield "right half black", _bytes(values * (x < side // 2))
    yield "upper half black", _bytes(values * (y >= side // 2))
    centres, radii = side * uniform(2, len(real), 1, 1, 1), 4 + 8 * uniform(len(real), 1, 1, 1)
    yield "discs", _bytes(255.0 * ((x - centres[0]) ** 2 + (y - centres[1]) ** 2 < radii**2))
    angles = 2 * torch.pi * uniform(len(real), 1, 1, 1)
    slopes = (x - side / 2) * angles.cos() + (y - side / 2) * angles.sin()
    yield "gradients", _bytes(127 + 5 * slopes)
    yield "clouds", _bytes(127 + 60 * _clouds(len(real), side, generator))
    enlarged = real[..., side // 4 : -(side // 4), side // 4 : -(side // 4)]
    yield "the middle, enlarged", enlarged.repeat_interleave(2, -1).repeat_interleave(2, -2)


def _bytes(values: Tensor) -> Tensor:
    return values.clamp(0, 255).to(torch.uint8)


def _blurred(values: Tensor, width: float) -> Tensor:
    """Convolved with a Gaussian of that deviation; what is outside the image is black."""
    reach = 4 * int(width)
    weights = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * width**2))
    weights = weights / weights.sum()
    rows = conv2d(values, weights.view(1, 1, 1, -1), padding=(0, reach))
    return conv2d(rows, weights.view(1, 1, -1, 1), padding=(reach, 0))


def _clouds(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Normal fields whose amplitude falls as 1 / frequency, of mean 0 and deviation 1."""
    frequency = (
        torch.fft.fftfreq(side)[:, None] ** 2 + torch.fft.rfftfreq(side)[None, :] ** 2
    ).sqrt()
    frequency[0, 0] = 1.0
    white = torch.fft.rfft2(torch.randn((count, 1, side, side), generator=generator))
    fields = torch.fft.irfft2(white / frequency, s=(side, side))
    means, deviations = fields.mean((2, 3), keepdim=True), fields.std((2, 3), keepdim=True)
    return (fields - means) / deviations
