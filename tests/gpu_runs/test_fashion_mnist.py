import gzip
import struct

import numpy as np
import pytest
import torch

from gpu_runs.files import fashion_mnist
from gpu_runs.files.fashion_mnist import load_fashion_mnist
from gpu_runs.files.pictures import ImageError

COUNT = 20


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with 20 images as the test split, and the pixels and labels in it."""
    monkeypatch.setitem(fashion_mnist._PARTS, "test", ("t10k", COUNT))
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
    labels = generator.integers(0, 10, COUNT, dtype=np.uint8)
    write(tmp_path / "t10k-images-idx3-ubyte", pixels)
    write(tmp_path / "t10k-labels-idx1-ubyte", labels)
    return tmp_path, pixels, labels


def write(path, array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.mark.parametrize("compressed", [False, True])
def test_images_get_a_black_border_of_two_pixels(data, compressed):
    folder, pixels, labels = data
    if compressed:
        for path in list(folder.iterdir()):
            (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    images, found = load_fashion_mnist(folder, "test")
    assert images.shape == (COUNT, 1, 32, 32)
    assert images.dtype == torch.uint8
    assert found.dtype == torch.int64
    assert np.array_equal(images[:, 0, 2:30, 2:30].numpy(), pixels)
    assert images.sum() == pixels.sum(dtype=np.int64)
    assert found.tolist() == labels.tolist()


def test_folder_comes_from_the_environment(data, monkeypatch):
    monkeypatch.setenv("FASHION_MNIST", str(data[0]))
    assert len(load_fashion_mnist(split="test")[0]) == COUNT


def test_missing_files_say_where_to_get_them(tmp_path):
    with pytest.raises(ImageError, match="dataset-fashion-mnist, or name a folder"):
        load_fashion_mnist(tmp_path)
    with pytest.raises(ImageError, match="splits train, test; got 'validation'"):
        load_fashion_mnist(tmp_path, "validation")


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("images-idx3", lambda b: b[:-1], "must hold 15696 bytes; it holds 15695"),
        ("images-idx3", lambda b: b + b"\0", "must hold 15696 bytes; it holds more"),
        ("images-idx3", lambda b: b"\0\0\x09" + b[3:], "no idx file of uint8 20x28x28"),
        ("images-idx3", lambda b: b[:7] + b"\xff" + b[8:], "no idx file of uint8 20x28x28"),
        ("images-idx3", lambda b: b"", "no idx file"),
        ("labels-idx1", lambda b: b[:-1] + b"\x0a", "labels run from 0 to 9; .* holds 10"),
    ],
)
def test_damaged_files(data, name, change, match):
    path = data[0] / f"t10k-{name}-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ImageError, match=match):
        load_fashion_mnist(data[0], "test")


def test_damaged_gzip(data):
    path = data[0] / "t10k-labels-idx1-ubyte.gz"
    for content in (b"no gzip", gzip.compress(bytes(100))[:-12]):
        path.write_bytes(content)
        with pytest.raises(ImageError, match=r"cannot read .*\.gz"):
            load_fashion_mnist(data[0], "test")
