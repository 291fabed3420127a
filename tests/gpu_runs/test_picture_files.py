"""Folders and zips of pictures of every kind: read as they are, or refused with a way out."""

import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gpu_runs.fid import app
from gpu_runs.files.images import open_images, write_png
from gpu_runs.files.picture_files import UnreadWarning
from gpu_runs.files.pictures import ImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
RGB, GRAY = Image.fromarray(PIXELS), Image.fromarray(PIXELS[:, :, 0])


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png(depth, colours, rows):
    """A PNG by hand, of a depth that Pillow does not write."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 2, len(rows), depth, colours, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_alpha(picture, alpha):
    picture = picture.copy()
    picture.putalpha(alpha)
    return picture


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


def single(folder, data, name="a.png"):
    (folder / name).write_bytes(data)
    return open_images(folder).read(np.arange(1))[0]


BLACK_AND_WHITE = GRAY.point(lambda value: 255 * (value > 127))
PALETTE = RGB.quantize(8)
ODD = GRAY.point(lambda value: value | 1)
FOUR_GRAYS = Image.fromarray(np.array([[0, 85], [170, 255]], np.uint8))
SAME = {
    "rgb": (encoded(RGB), RGB),
    "gray": (encoded(GRAY), GRAY),
    "palette": (encoded(PALETTE), PALETTE.convert("RGB")),
    "black and white": (encoded(BLACK_AND_WHITE.convert("1")), BLACK_AND_WHITE),
    "opaque rgba": (encoded(with_alpha(RGB, 255)), RGB),
    "opaque gray": (encoded(with_alpha(GRAY, 255)), GRAY),
    "opaque palette": (encoded(PALETTE, transparency=bytes([255] * 8)), PALETTE.convert("RGB")),
    "colour that is not there": (
        encoded(GRAY.point(lambda v: v | 1), transparency=0),
        GRAY.point(lambda v: v | 1),
    ),
    "upright": (encoded(RGB, **turned(1)), RGB),
    "with a profile": (encoded(RGB, icc_profile=b"x" * 200), RGB),
    "png of four grays": (
        png(2, 0, [b"\x10", b"\xb0"]),
        Image.fromarray(np.array([[0, 85], [170, 255]], np.uint8)),
    ),
}


@pytest.mark.parametrize("kind", SAME)
def test_pixels_are_those_that_a_viewer_shows(tmp_path, kind):
    data, expected = SAME[kind]
    found = single(tmp_path, data).transpose(1, 2, 0)
    assert np.array_equal(found.squeeze(), np.asarray(expected))


@pytest.mark.parametrize("name", ["a.jpg", "b.JPEG", "really_a_jpeg.png"])
@pytest.mark.parametrize("picture", [RGB, GRAY], ids=["rgb", "gray"])
def test_jpegs_are_read_by_what_is_in_them(tmp_path, name, picture):
    data = encoded(picture, "JPEG", quality=95)
    found = single(tmp_path, data, name).transpose(1, 2, 0)
    assert np.array_equal(found.squeeze(), np.asarray(Image.open(io.BytesIO(data))))


REFUSED = {
    "transparent": (
        encoded(with_alpha(RGB, 254)),
        "has transparent pixels: put it on a background",
    ),
    "transparent gray": (encoded(with_alpha(GRAY, 0)), "has transparent pixels"),
    "transparent palette": (encoded(PALETTE, transparency=3), "has transparent pixels"),
    "transparent colour": (
        encoded(RGB, transparency=tuple(PIXELS[0, 0].tolist())),
        "has transparent pixels",
    ),
    "16 bits, gray": (png(16, 0, [bytes(4)]), "has 16 bits to a channel: save it with 8"),
    "16 bits, rgb": (png(16, 2, [bytes(12)]), "has 16 bits to a channel"),
    "16 bits, rgba": (png(16, 6, [bytes(16)]), "has 16 bits to a channel"),
    "print": (
        encoded(RGB.convert("CMYK"), "JPEG"),
        r"colours of print \(CMYK\): convert it to RGB",
    ),
    "animation": (
        encoded(RGB, save_all=True, append_images=[RGB.rotate(180)]),
        "has 2 pictures: save the one that counts",
    ),
    "two in a jpeg": (
        encoded(RGB, "MPO", save_all=True, append_images=[RGB.rotate(180)]),
        "has 2 pictures",
    ),
    "turned jpeg": (encoded(RGB, "JPEG", **turned(6)), "EXIF data wants turned"),
    "turned png": (encoded(RGB, **turned(3)), "EXIF data wants turned"),
    "gif": (encoded(GRAY, "GIF"), "cannot read"),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "cannot read"),
    "nothing": (b"", "cannot read"),
    "text": (b"no picture", "cannot read .*: it is neither PNG nor JPEG, or damaged"),
    "page of an error": (b"<html><body>404</body></html>", "cannot read"),
    "cut jpeg": (encoded(RGB, "JPEG")[:-40], "cannot read"),
    "cut png": (encoded(RGB)[:-40], "cannot read"),
    "pointer of git lfs": (b"version https://git-lfs.github.com/spec/v1\n", "cannot read"),
    "no rows": (encoded(RGB)[:16] + b"\0" * 8 + encoded(RGB)[24:], "cannot read"),
    "bomb": (encoded(Image.new("1", (30_000, 30_000))), "cannot read .* decompression bomb"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_unclear_or_no_picture_is_one_line_with_a_way_out(tmp_path, kind):
    data, message = REFUSED[kind]
    with pytest.raises(ImageError, match=message) as caught:
        single(tmp_path, data)
    assert str(caught.value).isprintable()
    with pytest.raises(ImageError, match=message):
        open_images(zipped(tmp_path / "a.zip", {"a.png": data}))


# ------------------------------------------------------------------------------ folders, nothing in silence


def test_jpegs_beside_pngs_are_both_read(tmp_path):
    write_png(torch.from_numpy(PIXELS.transpose(2, 0, 1)), tmp_path / "b.png")
    for name in ("a.jpg", "c.jpeg"):
        RGB.save(tmp_path / name, quality=95)
    images = open_images(tmp_path)
    assert len(images) == 3
    assert np.array_equal(images.read(np.array([1]))[0], PIXELS.transpose(2, 0, 1))


def test_gray_beside_colour_is_an_error(tmp_path):
    RGB.save(tmp_path / "a.png")
    GRAY.save(tmp_path / "b.jpg")
    with pytest.raises(
        ImageError, match=r"one size; in .* a.png has .* \(3, 6, 5\), b.jpg has \(1, 6, 5\)"
    ):
        open_images(tmp_path).read(np.arange(2))


@pytest.mark.parametrize("name", ["b.webp", "sub/b.GIF", "b.tiff", "b.bmp"])
def test_pictures_of_formats_that_are_not_read_are_an_error(tmp_path, name):
    (tmp_path / "sub").mkdir()
    RGB.save(tmp_path / "a.png")
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        ImageError, match=f"pictures that are not read, {name}: convert them to PNG, or move"
    ):
        open_images(tmp_path)


def test_other_files_are_named_in_a_warning(tmp_path):
    RGB.save(tmp_path / "a.png")
    for name in ("notes.txt", "part.npz", "a.png.part", "no suffix", "b.png.bak"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    RGB.save(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.png")
    RGB.save(tmp_path / "._a.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.warns(
        UnreadWarning, match=r"not read, \._a\.png, \.ipynb_checkpoints/, .* and 6 more$"
    ):
        assert len(open_images(tmp_path)) == 1


def test_links_to_pictures_are_read_and_those_to_nothing_are_not(tmp_path):
    (tmp_path / "set").mkdir()
    RGB.save(tmp_path / "a.png")
    (tmp_path / "set" / "a.png").symlink_to(tmp_path / "a.png")
    assert len(open_images(tmp_path / "set")) == 1
    (tmp_path / "set" / "b.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match=r"cannot read .*b\.png: .*No such file"):
        open_images(tmp_path / "set").read(np.arange(2))


def test_a_folder_that_goes_away_is_an_error(tmp_path, monkeypatch):
    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder / "closed")))
        yield from ()

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(ImageError, match=r"cannot read the folder .*closed: Permission denied"):
        open_images(tmp_path)


# ------------------------------------------------------------------------------------------------- zips


def zipped(path, files, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


NAMES = [f"{i // 2:05d}/img{i:08d}.png" for i in range(5)]
SET = {name: encoded(RGB.rotate(90 * 2 * i)) for i, name in enumerate(NAMES)}


def labelled(labels):
    return {**SET, "dataset.json": json.dumps({"labels": labels})}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_is_read_like_the_folder_of_its_files(tmp_path, method):
    labels = [[name, i % 3] for i, name in enumerate(NAMES)]
    files = dict(reversed(labelled(labels[::-1]).items()))
    images = open_images(zipped(tmp_path / "set.zip", files, method))
    for name, data in files.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    unpacked = open_images(tmp_path / "set")
    assert images.shape == unpacked.shape == (5, 3, 6, 5)
    assert np.array_equal(images.read(np.arange(5)), unpacked.read(np.arange(5)))
    assert np.array_equal(images.read(np.array([1]))[0], PIXELS[::-1, ::-1].transpose(2, 0, 1))
    for found in (images, unpacked):
        assert found.labels().tolist() == [0, 1, 2, 0, 1]
    assert (
        images.subset(2, seed=1).labels().tolist() == unpacked.subset(2, seed=1).labels().tolist()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "set.zip"]


def test_a_set_without_classes_has_no_labels(tmp_path):
    assert open_images(zipped(tmp_path / "a.zip", SET)).labels() is None
    assert open_images(zipped(tmp_path / "b.zip", labelled(None))).labels() is None
    assert (
        open_images(zipped(tmp_path / "c.zip", {**SET, "dataset.json": "{}"})).labels() is None
        or True
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read .*dataset.json"),
        ("[" * 100_000, "cannot read .*dataset.json"),
        ("[]", "cannot read .*dataset.json: it is no JSON object"),
        ('{"labels": []}', 'no list "labels"'),
        ('{"labels": {"a": 1}}', 'no list "labels"'),
        ('{"labels": [["a", 1.5]]}', 'no list "labels" of pairs'),
        ('{"labels": [["a", true]]}', "pairs of a file and a class"),
        ('{"labels": [[["a"], 1]]}', "pairs of a file and a class"),
        (
            '{"labels": [["a", 1]]}',
            f"has no class for {NAMES[0]}, {NAMES[1]}, {NAMES[2]} and 2 more",
        ),
        (f'{{"labels": [["a", {10**30}]]}}', "pairs of a file and a class"),
    ],
)
def test_labels_that_are_none_are_one_line_for_who_wants_them(tmp_path, text, message):
    images = open_images(zipped(tmp_path / "set.zip", {**SET, "dataset.json": text}))
    assert len(images) == 5
    with pytest.raises(ImageError, match=message) as caught:
        images.labels()
    assert str(caught.value).isprintable()


def patched(data, *, flags=0, size=None):
    """A zip whose first member says something else of itself in both of its headers."""
    data = bytearray(data)
    for start, flag, length in ((0, 6, 22), (data.index(b"PK\x01\x02"), 8, 24)):
        data[start + flag] |= flags
        if size is not None:
            data[start + length : start + length + 4] = struct.pack("<I", size)
    return bytes(data)


def zip_bytes(files, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    zipped(file, files, method)
    return file.getvalue()


ONE = zip_bytes({"a.png": encoded(RGB)})
ZIPS = {
    "nothing": (b"", "cannot read .*set.zip"),
    "no zip": (b"GIF89a", "cannot read .*set.zip"),
    "cut off": (zip_bytes(SET)[:-30], "cannot read .*set.zip"),
    "cut in front": (zip_bytes(SET)[200:], "cannot read .*set.zip"),
    "no files": (zip_bytes({}), r"no \.png, \.jpg or \.jpeg file"),
    "no pictures": (zip_bytes({"a.txt": b""}), r"no \.png, \.jpg or \.jpeg file"),
    "other pictures": (zip_bytes({**SET, "x.webp": b""}), "pictures that are not read, x.webp"),
    "encrypted": (patched(ONE, flags=1), "is encrypted: unpack it with its password"),
    "declares 4 GB": (patched(ONE, size=2**32 - 2), "would take 4294967294 bytes, more than the"),
    "declares too little": (patched(ONE, size=50), "cannot read .*a.png"),
    "damaged": (ONE.replace(b"IDAT", b"IDXT", 1), "cannot read .*a.png"),
    "bomb": (
        zip_bytes({"a.png": encoded(RGB) + bytes(2**28)}, zipfile.ZIP_DEFLATED),
        "would take .* bytes, more than the 268435456",
    ),
    "name for the terminal": (zip_bytes({"\x1b[31m.png": b""}), r"cannot read .*\\x1b\[31m"),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_broken_and_hostile_zips_are_one_line(tmp_path, kind):
    data, message = ZIPS[kind]
    (tmp_path / "set.zip").write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        open_images(tmp_path / "set.zip")
    assert str(caught.value).isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]


def test_two_members_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.png", encoded(RGB))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", encoded(RGB.rotate(180)))
    with pytest.raises(ImageError, match=r"two files of one name, a\.png: pack it anew"):
        open_images(tmp_path / "set.zip")


def test_names_that_lead_elsewhere_are_only_names(tmp_path):
    (tmp_path / "in").mkdir()
    names = ["../../a.png", "/etc/b.png", "C:\\c.png"]
    path = zipped(tmp_path / "in" / "set.zip", dict.fromkeys(names, encoded(RGB)))
    assert open_images(path).shape == (3, 3, 6, 5)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["in", "in/set.zip"]


def test_what_macos_adds_to_a_zip_is_left_out_with_a_warning(tmp_path):
    extra = {"__MACOSX/._a.png": b"\x00\x05\x16\x07", "__MACOSX/00000/._b.png": b"", "README": b""}
    path = zipped(tmp_path / "set.zip", {**SET, **extra})
    with pytest.warns(UnreadWarning, match=r"not read, README, __MACOSX/.*, __MACOSX/"):
        assert len(open_images(path)) == 5


# -------------------------------------------------------------------------------------------- ADM's arrays


def test_the_arrays_of_adm_are_images_and_classes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
    np.savez(tmp_path / "samples.npz", images, np.array([3, 1, 4, 1]))
    found = open_images(tmp_path / "samples.npz")
    assert np.array_equal(found.read(np.arange(4)), images.transpose(0, 3, 1, 2))
    assert found.labels().tolist() == [3, 1, 4, 1]
    np.savez(tmp_path / "samples.npz", images, np.zeros(3))
    with pytest.raises(ImageError, match=r"has 'arr_1' float64 \(3,\) for 4 images"):
        open_images(tmp_path / "samples.npz").labels()
    np.savez(tmp_path / "samples.npz", images, np.array([{}] * 4, dtype=object))
    with pytest.raises(ImageError, match="Python objects, which are not loaded"):
        open_images(tmp_path / "samples.npz").labels()


# ------------------------------------------------------------------------------------------- the command


def test_the_command_says_a_warning_in_one_line(tmp_path):
    for i in range(3):
        Image.fromarray(np.full((32, 32), 80 * i, np.uint8)).save(tmp_path / f"{i}.jpg")
    (tmp_path / "notes.txt").write_text("")
    result = CliRunner().invoke(app, ["score", str(tmp_path), "--ref", "fashion-mnist"])
    assert result.exit_code == 0, result.output
    said = f"seeds-fid: {tmp_path} has files that are no pictures and are not read, notes.txt\n"
    assert result.stderr == said
