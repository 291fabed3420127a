import io
import os
import random
import struct
import zipfile

import numpy as np
import pytest
import torch

from gpu_runs.files.arrays import ArrayError, Npz, map_npy
from gpu_runs.files.images import open_images, write_png
from gpu_runs.files.pictures import ImageError
from gpu_runs.scores.reference import load_reference
from gpu_runs.scores.statistics import ScoreError

LIMIT = 2**20


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(text, values=bytes(10), version=(1, 0)):
    """An .npy file with this text for its header."""
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text.encode() + values


def header(shape, descr="'|u1'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


def write_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_arrays_are_what_numpy_wrote(tmp_path):
    generator = np.random.default_rng(0)
    arrays = {
        "a": generator.standard_normal((3, 4)),
        "b": np.asfortranarray(generator.integers(0, 9, (2, 3, 5))),
        "c": np.array("text"),
        "d": np.zeros((0, 3), np.float32),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    read = Npz(tmp_path / "a.npz", LIMIT)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    np.save(tmp_path / "b.npy", arrays["b"])
    mapped = map_npy(tmp_path / "b.npy")
    np.testing.assert_array_equal(mapped, arrays["b"])
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    with pytest.raises(KeyError):
        _ = read["e"]


HOSTILE = {
    "no array": b"no array at all",
    "cut header": npy(np.zeros(3))[:40],
    "open string": with_header("{'descr': '|u1\n"),
    "open bracket": with_header("{'descr': (((("),
    "nested": with_header("(" * 9000),
    "huge": with_header(header((2**62, 2**62))),
    "more than memory": with_header(header((2**50,))),
    "more than there is": with_header(header((11,))),
    "bool size": with_header(header("(True, 4)")),
    "negative size": with_header(header("(-1, 4)")),
    "sizes of digits": with_header(header("(1" + "0" * 5000 + ",)")),
    "objects": npy(np.array([{}], dtype=object)),
    "other version": with_header(header((4,)), version=(3, 0)),
    "unknown version": with_header(header((4,)), version=(9, 9)),
    "no type": with_header(header((4,), "'nothing'")),
    "type nested": with_header(header((4,), "[('a', " * 300 + "'u1'" + ")]" * 300)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_are_errors_of_one_line(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    write_zip(tmp_path / "a.npz", [("a.npy", content)])
    for read in (
        lambda: map_npy(tmp_path / "a.npy"),
        lambda: Npz(tmp_path / "a.npz", LIMIT)["a"],
    ):
        with pytest.raises(ArrayError, match=r"cannot read .*a\.np") as caught:
            read()
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600


def test_hostile_zips(tmp_path):
    path = tmp_path / "a.npz"
    good = npy(np.zeros(3))
    # The directory says how the member is to be unpacked: 8 bytes in for its flags, 10 for its method.
    for offset, value in ((8, 1), (10, 99)):  # encrypted, and no known compression
        content = bytearray(write_zip(path, [("a.npy", good)]).read_bytes())
        content[content.index(b"PK\x01\x02") + offset] = value
        path.write_bytes(content)
        with pytest.raises(ArrayError, match="cannot read"):
            _ = Npz(path, LIMIT)["a"]
    write_zip(path, [("a.npy", good), ("a", good)])
    with pytest.raises(ArrayError, match="two of its arrays have one name"):
        Npz(path, LIMIT)
    os.mkfifo(tmp_path / "pipe")
    for read in (lambda name: Npz(name, LIMIT), map_npy):
        with pytest.raises(ArrayError, match="no regular file"):
            read(tmp_path / "pipe")
        with pytest.raises(ArrayError, match="No such file"):
            read(tmp_path / "missing")


def test_sizes_are_added_up_before_anything_is_unpacked(tmp_path):
    bomb, small = npy(np.zeros(LIMIT, np.uint8)), npy(np.zeros((2, 8, 8), np.uint8))
    compressed = {"compression": zipfile.ZIP_DEFLATED}
    for members in (
        [("images", bomb), ("small.npy", small)],
        [(f"{n}.npy", bomb[: LIMIT // 4 + 1]) for n in range(4)],
    ):
        write_zip(tmp_path / "a.npz", members, **compressed)
        with pytest.raises(ArrayError, match=f"more than the {LIMIT}"):
            Npz(tmp_path / "a.npz", LIMIT)
    # A directory that understates the size: no more than that is unpacked.
    content = bytearray(write_zip(tmp_path / "a.npz", [("a.npy", bomb)], **compressed).read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 10_000)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ArrayError, match="need 1048576 bytes; it has 9872"):
        _ = Npz(tmp_path / "a.npz", LIMIT)["a"]


def mutated(data, draw):
    """A copy with one to three faults of one kind."""
    data = bytearray(data)
    kind = draw.randrange(5)
    for _ in range(draw.randrange(1, 4)):
        at, other, length = (
            draw.randrange(len(data)),
            draw.randrange(len(data)),
            draw.randrange(9),
        )
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[at] = draw.randrange(256)
        elif kind == 2:
            data[at:at] = data[other : other + length]
        elif kind == 3:
            data[at : at + 4] = draw.choice([b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f"])
        else:
            del data[at : at + length]
        data = data or bytearray(b"x")
    return bytes(data)


@pytest.mark.parametrize("kind", ["images.npz", "images.npy", "reference.npz", "folder/a.png"])
def test_mutations_are_read_or_refused(tmp_path, kind):
    path = tmp_path / kind
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)
    if kind == "reference.npz":
        np.savez(path, mu=np.zeros(3), sigma=np.eye(3), count=9, features="a", digest="b")
    elif kind == "images.npz":
        np.savez_compressed(path, images=pictures)
    elif kind == "images.npy":
        np.save(path, pictures)
    else:
        path.parent.mkdir()
        write_png(torch.from_numpy(pictures[0]), path)
    data, draw = path.read_bytes(), random.Random(0)
    read = refused = 0
    for _ in range(150):
        path.write_bytes(mutated(data, draw))
        try:
            if kind == "reference.npz":
                load_reference(path)
            else:
                images = open_images(path.parent if path.suffix == ".png" else path)
                for _ in images.subset(min(len(images), 2)).batches(2):
                    pass
            read += 1
        except (ImageError, ScoreError) as error:
            refused += 1
            assert str(error).isprintable()
            assert len(str(error)) < 1000
    assert read + refused == 150
    assert refused > 30
