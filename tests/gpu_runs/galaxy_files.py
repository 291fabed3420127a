"""A file like those of the package galaxygrad, with weights by formula; none of theirs are here."""

from pathlib import Path

import numpy as np

RESOLUTION, CHANNELS, PATCH, WIDTH, BLOCKS = 32, 64, 4, 512, 4


def leaves() -> list[np.ndarray]:
    """The leaves of the network in their order, but the time at the end."""
    patches = (RESOLUTION // PATCH) ** 2
    shapes: list[tuple[int, ...]] = [(CHANNELS, 2, PATCH, PATCH), (CHANNELS, 1, 1)]
    shapes += [(1, CHANNELS, PATCH, PATCH), (1, 1, 1)]
    for _ in range(BLOCKS):
        for size in (patches, CHANNELS):
            shapes += [(WIDTH, size), (WIDTH,), (size, WIDTH), (size,)]
        shapes += [(CHANNELS, patches)] * 2 + [(patches, CHANNELS)] * 2
    shapes += [(CHANNELS, patches)] * 2
    return [_weights(number, shape) for number, shape in enumerate(shapes)]


def _weights(number: int, shape: tuple[int, ...]) -> np.ndarray:
    size = np.prod(shape)
    waves = np.sin((0.1 + 0.001 * number) * (1 + np.arange(size)) ** 1.1)
    return (0.2 * waves).astype("<f4").reshape(shape)


def state() -> np.ndarray:
    """A state (1, resolution, resolution)."""
    return np.sin(0.37 * np.arange(RESOLUTION**2)).astype("<f4").reshape(1, RESOLUTION, RESOLUTION)


def write(path: Path, arrays: list[np.ndarray] | None = None, time: float = 10.0) -> None:
    """Write such a file, or one of other leaves."""
    with path.open("wb") as file:
        for array in leaves() if arrays is None else arrays:
            np.save(file, array, allow_pickle=False)
        np.save(file, np.float64(time))
