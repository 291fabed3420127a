import os

import numpy as np
import pytest
import torch
from PIL import Image

from gpu_runs.files.images import ImageSet, open_images, to_uint8, write_grid, write_png
from gpu_runs.files.pictures import ImageError


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def everything(images, size=3, **shard):
    batches = list(images.batches(size, **shard))
    return (
        np.concatenate([indices for indices, _ in batches]),
        torch.cat([pictures for _, pictures in batches]),
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_folder_of_pngs_is_read_recursively_in_the_order_of_paths(tmp_path, channels):
    images = random_images(5, channels, 6, 4)
    # Text order of the whole relative path: "10" comes before "2".
    names = ["000/10.png", "000/2.PNG", "000001/0.png", "a.png", "b/c/d.png"]
    for name, image in zip(names, images, strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(torch.from_numpy(image), tmp_path / name)
    (tmp_path / "run.json").write_text("{}")  # as beside the images of a run: no news
    found = open_images(tmp_path)
    assert found.shape == (5, channels, 6, 4)
    assert len(found) == 5
    indices, pictures = everything(found)
    assert list(indices) == list(range(5))
    assert np.array_equal(pictures.numpy(), images)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("layout", ["channels first", "channels last", "no channels"])
def test_arrays_are_read_in_both_layouts(tmp_path, suffix, layout):
    images = random_images(4, 1 if layout == "no channels" else 3, 8, 5)
    stored = {
        "channels first": images,
        "channels last": images.transpose(0, 2, 3, 1),
        "no channels": images[:, 0],
    }[layout]
    path = tmp_path / f"images{suffix}"
    if suffix == ".npy":
        np.save(path, stored)
    else:
        np.savez(path, anything=stored)
    found = open_images(path)
    assert found.shape == images.shape
    assert np.array_equal(everything(found)[1].numpy(), images)


def test_npy_stays_on_disk_and_npz_prefers_the_array_images(tmp_path):
    images = random_images(4, 8, 8, 3)
    np.save(tmp_path / "a.npy", images)
    array = np.lib.format.open_memmap(tmp_path / "a.npy", "r+")
    found = open_images(tmp_path / "a.npy")
    array[2] = 7
    array.flush()
    assert (everything(found)[1][2] == 7).all()
    np.savez(tmp_path / "a.npz", labels=np.arange(4), images=images)
    assert np.array_equal(
        everything(open_images(tmp_path / "a.npz"))[1].numpy(), images.transpose(0, 3, 1, 2)
    )


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 4, 4, 3)), "uint8, 0 to 255; .* holds float64"),
        (np.zeros((2, 3, 3, 3), np.uint8), "both 1 or 3"),
        (np.zeros((2, 4, 4, 4), np.uint8), "neither 1 nor 3"),
        (np.zeros((0, 1, 4, 4), np.uint8), "none of them 0"),
        (np.zeros((2, 4), np.uint8), r"shape \(2, 4\)"),
        (np.array([{}, {}], dtype=object), "cannot read"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, match):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ImageError, match=match) as caught:
            open_images(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_damaged_arrays(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="cannot read"):
        open_images(path)


def test_npz_larger_than_memory_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((100, 64, 64), np.uint8))
    monkeypatch.setattr("gpu_runs.files.images._MOST_BYTES", 2**18)
    with pytest.raises(ImageError, match=r"more than the 262144 .*: an \.npy has no limit"):
        open_images(tmp_path / "a.npz")


def test_npz_with_several_arrays_must_name_the_images(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(3))
    with pytest.raises(ImageError, match=r".images. or .arr_0., or only one; .* has 'x', 'y'$"):
        open_images(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **{f"\x1b[31m{n}" + "x" * 999: np.zeros(3) for n in range(99)})
    with pytest.raises(ImageError, match=r"\.\.\.$") as caught:
        open_images(tmp_path / "a.npz")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_no_images(tmp_path):
    with pytest.raises(ImageError, match=r"no \.png, \.jpg or \.jpeg file in .*: name the folder"):
        open_images(tmp_path)
    for name in ("missing", "missing.npy", "missing.npz", "missing.zip"):
        with pytest.raises(ImageError, match=r"there is no file or folder .*missing"):
            open_images(tmp_path / name)


@pytest.mark.parametrize("shape", [(1, 8, 6), (3, 6, 8)])
def test_images_of_a_folder_have_one_size_and_channels(tmp_path, shape):
    write_png(torch.zeros((1, 6, 8), dtype=torch.uint8), tmp_path / "a.png")
    write_png(torch.zeros(shape, dtype=torch.uint8), tmp_path / "b.png")
    with pytest.raises(ImageError, match=r"a.png has .* \(1, 6, 8\), .*b.png has"):
        everything(open_images(tmp_path))


def test_damaged_pngs(tmp_path):
    write_png(torch.from_numpy(random_images(3, 32, 32)), tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for content in (b"", b"GIF89a", whole[:20], whole[:200], whole.replace(b"IDAT", b"IDXT")):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(ImageError, match=r"cannot read .*a\.png"):
            open_images(tmp_path)


def test_pipes_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="no regular file"):
        open_images(tmp_path)
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(ImageError, match="a folder of PNGs and JPEGs"):
        open_images(tmp_path / "a.npy")


def test_names_of_files_cannot_command_the_terminal(tmp_path):
    (tmp_path / "\x1b[31m.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"\\x1b\[31m") as caught:
        open_images(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("limit", [1023, 511])  # Pillow warns of the first, refuses the second
def test_decompression_bombs(tmp_path, monkeypatch, limit):
    write_png(torch.zeros((1, 32, 32), dtype=torch.uint8), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match="decompression bomb"):
        open_images(tmp_path)


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_shards_take_the_same_batches(world):
    images = ImageSet.of(random_images(11, 3, 8, 8))
    whole = [(list(indices), pictures) for indices, pictures in images.batches(3)]
    shards = [list(images.batches(3, rank=rank, world=world)) for rank in range(world)]
    assert sum(map(len, shards)) == len(whole) == 4
    for rank, shard in enumerate(shards):
        for (indices, pictures), expected in zip(shard, whole[rank::world], strict=True):
            assert list(indices) == expected[0]
            assert torch.equal(pictures, expected[1])


def test_subset_is_random_sorted_and_of_the_size_asked():
    images = random_images(50, 8, 8)
    chosen = ImageSet.of(images).subset(20, seed=3)
    values = everything(chosen)[1][:, 0].numpy()
    where = [int(np.flatnonzero((images == value).all(axis=(1, 2)))[0]) for value in values]
    assert len(chosen) == 20
    assert where == sorted(set(where)) != list(range(20))
    assert torch.equal(everything(ImageSet.of(images).subset(20, seed=3))[1], everything(chosen)[1])
    for count in (51, 0):
        with pytest.raises(ImageError, match=f"{count} images were asked for; there are 50"):
            ImageSet.of(images).subset(count)


def test_pixels_are_truncated_and_clipped():
    x = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.0039, 0.0079, 1.0, 3.0])
    assert to_uint8(x).tolist() == [0, 0, 64, 128, 128, 129, 255, 255]
    assert to_uint8(x.double()).dtype == torch.uint8


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_shows_the_images_row_by_row(tmp_path, channels):
    images = torch.from_numpy(random_images(5, channels, 2, 4))
    write_grid(images, tmp_path / "grid.png")
    grid = everything(open_images(tmp_path))[1][0]
    assert grid.shape == (channels, 4, 12)
    for place in range(6):
        row, column = divmod(place, 3)
        cell = grid[:, 2 * row : 2 * row + 2, 4 * column : 4 * column + 4]
        assert torch.equal(cell, images[place] if place < 5 else torch.zeros_like(images[0]))
    write_grid(images, tmp_path / "grid.png", columns=1)
    assert open_images(tmp_path).shape == (1, channels, 10, 4)


def test_pictures_of_other_shapes_are_refused(tmp_path):
    with pytest.raises(ImageError, match="a grid shows images"):
        write_grid(torch.zeros((0, 1, 4, 4), dtype=torch.uint8), tmp_path / "a.png")
    for wrong in (torch.zeros(1, 4, 4), torch.zeros((2, 4, 4), dtype=torch.uint8)):
        with pytest.raises(ImageError, match="a picture is uint8"):
            write_png(wrong, tmp_path / "a.png")
