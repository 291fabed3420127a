import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gpu_runs.files.images import open_images, write_png
from gpu_runs.files.whole import OutputError, whole_file
from gpu_runs.generation.manifest import DeviceWarning, Manifest
from gpu_runs.generation.run_folder import mark_of, only_writer, open_output
from seeds_theory.errors import ParameterError
from seeds_theory.seeds_range import batches, format_seeds, parse_seeds

SEEDS = [2, 3, 5, 1001, 2**63 + 7]


def pictures(count, channels=3):
    return torch.arange(count * channels * 16).reshape(count, channels, 4, 4).to(torch.uint8)


def full_disk(monkeypatch):
    """From now on a picture or a batch ends after its first bytes."""

    def write(data, path, *_, **__):
        if isinstance(path, Path):
            path.write_bytes(b"begun")
        else:
            path.write(b"begun")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gpu_runs.generation.run_folder.write_png", write)
    monkeypatch.setattr(np, "savez", lambda file, **_: write(None, file))


# -------------------------------------------------------------------------------------------- seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", [0]),
        ("0-3", [0, 1, 2, 3]),
        ("0-1, 5,7-8", [0, 1, 5, 7, 8]),
        (f"{2**64 - 2}-{2**64 - 1}", [2**64 - 2, 2**64 - 1]),
    ],
)
def test_seeds_are_read_and_written(text, seeds):
    assert parse_seeds(text) == seeds
    assert parse_seeds(format_seeds(seeds)) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "numbers and ranges"),
        ("-3", "numbers and ranges"),
        ("1.5", "numbers and ranges"),
        ("1-2-3", "numbers and ranges"),
        ("٣", "numbers and ranges"),
        ("3-1", "seeds ascend .* got '3-1'$"),
        ("0-5,5", "got '5' after 5"),
        ("7,0-3", "got '0-3' after 7"),
        (str(2**64), "lie in"),
        ("0-99999999999", "at most 10000000"),
        (f"0-{2**64 - 1}", "at most 10000000"),
    ],
)
def test_wrong_seeds(text, message):
    with pytest.raises(ParameterError, match=message):
        parse_seeds(text)


def test_format_joins_neighbours():
    assert format_seeds([0, 1, 2, 4, 6, 7]) == "0-2,4,6-7"


def test_batches_are_consecutive_and_the_last_may_be_smaller():
    assert batches([1, 2, 3, 7, 9], 2) == [[1, 2], [3, 7], [9]]
    with pytest.raises(ParameterError, match="one image or more"):
        batches([1], 0)


# ------------------------------------------------------------------------------------------- outputs


def test_pngs_lie_in_folders_of_1000(tmp_path):
    output = open_output(tmp_path / "run")
    images = pictures(len(SEEDS))
    assert output.missing(SEEDS) == SEEDS
    output.write(SEEDS[3:], images[3:])
    output.write(SEEDS[:3], images[:3])
    assert output.missing(SEEDS) == []
    assert torch.equal(output.finish(SEEDS, {"classes": [7, 1, 0, 3, 9]}), images)
    listed = json.loads((output.work / "dataset.json").read_text())["labels"]
    assert listed[0] == ["000000/000002.png", 7] and listed[3] == ["001000/001001.png", 3]
    found = sorted(str(p.relative_to(tmp_path / "run")) for p in tmp_path.rglob("*.png"))
    assert found == [
        "000000/000002.png",
        "000000/000003.png",
        "000000/000005.png",
        "001000/001001.png",
        "9223372036854775000/9223372036854775815.png",
    ]
    with Image.open(output.path(1001)) as picture:
        assert np.array_equal(np.asarray(picture).transpose(2, 0, 1), images[3].numpy())


@pytest.mark.parametrize("kept", [0, 5, -1])
def test_a_png_that_is_cut_off_is_missing(tmp_path, kept):
    output = open_output(tmp_path / "run")
    output.write([4, 5], pictures(2))
    whole = output.path(4).read_bytes()
    output.path(4).write_bytes(whole[:kept])
    assert output.missing([4, 5]) == [4]


def test_nobody_waits_for_a_pipe(tmp_path):
    output = open_output(tmp_path / "run")
    output.write([4, 5], pictures(2))
    os.remove(output.path(4))
    os.mkfifo(output.path(4))
    assert output.missing([4, 5]) == [4]
    output.write([4], pictures(1))
    assert output.missing([4, 5]) == []
    os.mkfifo(output.manifest)
    with pytest.raises(OutputError, match="is no manifest of a run"):
        begun(tmp_path / "run")


@pytest.mark.parametrize("part", [slice(0, 8), slice(16, 24), slice(-30, -20), slice(0, -12)])
def test_a_png_with_lost_blocks_is_missing(tmp_path, part):
    # As after a power failure: the length is right, but some blocks never reached the disk.
    output = open_output(tmp_path / "run")
    output.write([4, 5], pictures(2))
    data = bytearray(output.path(4).read_bytes())
    data[part] = bytes(len(data[part]))
    output.path(4).write_bytes(data)
    assert output.missing([4, 5]) == [4]


def test_a_picture_that_is_replaced_meanwhile_is_one_line(tmp_path):
    output = open_output(tmp_path / "run")
    output.write([4, 5], pictures(2))
    Image.new("L", (9, 9)).save(output.path(5))
    with pytest.raises(OutputError, match=r"pictures that are not of this run .*: remove them$"):
        output.finish([4, 5], {})
    output.path(5).write_text("no picture")
    with pytest.raises(OutputError, match=r"pictures that are not of this run .*: remove them$"):
        output.finish([4, 5], {})


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_have_rows_in_the_order_of_the_seeds(tmp_path, suffix, channels):
    file, images = tmp_path / f"x{suffix}", pictures(len(SEEDS), channels)
    first = open_output(file)
    first.write([SEEDS[4], SEEDS[1]][::-1], images[[1, 4]])
    assert first.missing(SEEDS) == [2, 5, 1001]
    later = open_output(file)  # another process, after the first was killed
    assert later.missing(SEEDS) == [2, 5, 1001]
    later.write([2, 5, 1001], images[[0, 2, 3]])
    assert later.missing(SEEDS) == []
    assert torch.equal(later.finish(SEEDS, {"seeds": SEEDS, "classes": [7, 1, 0, 3, 9]}), images)
    assert np.array_equal(open_images(file).read(np.arange(len(SEEDS))), images.numpy())
    if suffix == ".npz":
        assert np.load(file)["seeds"].tolist() == SEEDS
        assert np.load(file)["classes"].tolist() == [7, 1, 0, 3, 9]
    else:
        assert isinstance(np.load(file, mmap_mode="r"), np.memmap)
    assert os.listdir(tmp_path) == [file.name]
    done = open_output(file)
    assert done.missing(SEEDS) == []
    assert torch.equal(done.finish(SEEDS, {}), images)


def test_a_batch_that_was_cut_off_is_not_taken(tmp_path):
    output = open_output(tmp_path / "x.npy")
    output.write([0], pictures(1))
    (tmp_path / "x.npy.parts" / "7.npz.part").write_bytes(b"PK")
    assert open_output(tmp_path / "x.npy").missing([0, 7]) == [7]


@pytest.mark.parametrize("name", ["run", "x.npy"])
def test_full_disk_keeps_what_is_whole(tmp_path, name, monkeypatch):
    output = open_output(tmp_path / name)
    output.write([0], pictures(1))
    target = output.path(1) if name == "run" else output.work / "1.npz"
    with monkeypatch.context() as full:
        full_disk(full)
        with pytest.raises(OutputError, match=r"No space left on device; what is there is whole"):
            output.write([1], pictures(1))
    assert not target.exists()
    assert not list(tmp_path.rglob("*.part"))
    assert open_output(tmp_path / name).missing([0, 1]) == [1]
    output.write([1], pictures(1))
    assert output.missing([0, 1]) == []


@pytest.mark.parametrize("name", ["run", "x.npy"])
def test_a_link_in_place_of_a_part_is_not_followed(tmp_path, name):
    output = open_output(tmp_path / name)
    target = output.path(1) if name == "run" else output.work / "1.npz"
    target.parent.mkdir(parents=True)
    (tmp_path / "precious").write_text("mine")
    target.with_name(target.name + ".part").symlink_to(tmp_path / "precious")
    output.write([1], pictures(1))
    assert (tmp_path / "precious").read_text() == "mine"
    assert target.is_file() and not target.is_symlink()
    assert output.missing([1]) == []


def test_a_folder_in_place_of_a_part_is_one_line(tmp_path):
    output = open_output(tmp_path / "run")
    output.path(1).with_name("000001.png.part").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"cannot write .*000001\.png: .*; choose another place$"):
        output.write([1], pictures(1))


# ------------------------------------------------------------------------------ pictures of other runs


def foreign_pictures(folder):
    """PNGs of the right size that this run did not make, by what they are."""
    bare, other, seed = (folder / f"{name}.png" for name in ("bare", "other", "seed"))
    write_png(pictures(1)[0], bare)
    write_png(pictures(1)[0], other, {"seeds-run": f"{mark_of({'steps': 4})} 5"})
    write_png(pictures(1)[0], seed, {"seeds-run": f"{mark_of({'steps': 3})} 6"})
    huge, bomb = folder / "huge.png", folder / "bomb.png"
    Image.new("L", (20_000, 20_000)).save(huge)
    text = PngInfo()
    text.add_itxt("seeds-run", "x" * 2**24, zip=True)
    Image.new("L", (4, 4)).save(bomb, pnginfo=text)
    return {path.stem: path for path in (bare, other, seed, huge, bomb)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bare", "other", "seed", "huge", "bomb"])
def test_a_picture_that_another_run_made_is_found(tmp_path, kind):
    output = open_output(tmp_path / "run")
    output.mark = mark_of({"steps": 3})
    output.write([4, 5], pictures(2))
    assert output.missing([4, 5]) == []
    output.path(5).write_bytes(foreign_pictures(tmp_path)[kind].read_bytes())
    with pytest.raises(OutputError, match=r"000005\.png is not a picture of this run: remove it"):
        output.missing([4, 5])


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("kind", ["count", "bytes", "float"])
def test_a_file_of_arrays_that_another_run_made_is_found(tmp_path, suffix, kind):
    file = tmp_path / f"x{suffix}"
    output = open_output(file)
    output.write([4, 5], pictures(2))
    output.finish([4, 5], {"seeds": [4, 5]})
    assert output.missing([4, 5]) == []
    arrays = {"count": pictures(3).numpy(), "float": np.zeros((2, 3, 4, 4))}
    if kind == "bytes":
        file.write_bytes(b"something else")
    elif suffix == ".npy":
        np.save(file, arrays[kind])
    else:
        np.savez(file, images=arrays[kind], run=np.array(""))
    with pytest.raises(
        OutputError, match=r"x\.np. does not hold the images of this run: remove it"
    ):
        output.missing([4, 5])


@pytest.mark.parametrize("content", [b"", b"no archive", "other run", "no numbers"])
def test_a_batch_of_something_else_is_found(tmp_path, content):
    output = open_output(tmp_path / "x.npz")
    output.write([4, 5], pictures(2))
    stray = output.work / "6.npz"
    if isinstance(content, bytes):
        stray.write_bytes(content)
    else:
        names = {"other run": {"numbers": np.arange(2), "run": np.array("another")}}
        np.savez(stray, **names.get(content, {"run": np.array("")}))
    with pytest.raises(OutputError, match=r"6\.npz is not of this run.*: remove it"):
        output.missing([4, 5])


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(target) as part:
        part.write_text("ne")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    with whole_file(target) as part:
        part.write_text("new")
    assert target.read_text() == "new"


def test_an_output_of_the_other_kind_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npy").mkdir()
    for name in ("file", "folder.npy"):
        with pytest.raises(OutputError, match=r"a folder, an \.npy or an \.npz file; got"):
            open_output(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/", "a folder of their own, not to /: name one in it"),
        ("loop", "no place is called .*loop: Symlink loop"),
        ("loop/run", "no place is called .*run: Symlink loop"),
        ("a\0b", r"no place is called '.*a\\x00b': embedded null byte"),
    ],
)
def test_a_name_that_is_none_is_one_line(tmp_path, name, message):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OutputError, match=message) as caught:
        open_output(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    output = open_output(tmp_path / "file" / "run")
    with pytest.raises(OutputError, match="Not a directory; choose another place"):
        output.write([0], pictures(1))


def test_one_run_at_a_time(tmp_path):
    with (
        only_writer(tmp_path),
        pytest.raises(OutputError, match="another run is writing"),
        only_writer(tmp_path),
    ):
        pass
    with only_writer(tmp_path):
        pass
    assert not open_output(tmp_path).in_use


# ------------------------------------------------------------------------------------------ manifest

SETTINGS = {"checkpoint": "abc", "steps": 3, "options": {"eta": 0.1}}


def begun(path, seeds=(0, 1), settings=SETTINGS):
    manifest = Manifest(open_output(path), list(seeds), settings, {"nfe": 7})
    manifest.add_run(["x86_64"], command="x")
    return manifest


@pytest.mark.parametrize("name", ["run", "x.npz"])
def test_a_manifest_adds_up_the_runs(tmp_path, name):
    begun(tmp_path / name).update(images=1, seconds=2.0)
    manifest = begun(tmp_path / name)
    manifest.update(images=1, seconds=1.0)
    manifest.update(images=3, seconds=6.0)
    content = json.loads(open_output(tmp_path / name).manifest.read_text())
    assert content["settings"] == SETTINGS
    assert content["nfe"] == 7
    assert (content["images"], content["seconds"], content["images_per_second"]) == (4, 8.0, 0.5)
    assert [run["images"] for run in content["runs"]] == [1, 3]
    assert [run["seeds"] for run in content["runs"]] == ["0-1", "0-1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 4}, "steps = 3, this one has 4: they are never mixed"),
        ({"checkpoint": "abd"}, "checkpoint = 'abc', this one has 'abd'"),
        ({"options": {}}, "options = {'eta': 0.1}, this one has {}"),
        ({"new": 1}, "new = None, this one has 1"),
    ],
)
def test_other_settings_are_refused(tmp_path, change, message):
    begun(tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(OutputError, match=message):
        begun(tmp_path / "run", settings=SETTINGS | change)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_manifest_of_someone_else_cannot_command_the_terminal_or_fill_it(tmp_path):
    begun(tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    content["settings"]["\x1b[31m\n"] = "\x1b[31m\n" * 100_000
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    with pytest.raises(OutputError, match="this one has None") as caught:
        begun(tmp_path / "run")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000
    content["settings"] = SETTINGS
    content["runs"][0]["devices"] = ["\x1b[31m\n"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    with pytest.warns(DeviceWarning) as warned:
        begun(tmp_path / "run")
    assert str(warned[0].message).isprintable()


def test_another_device_is_warned_of(tmp_path):
    manifest = begun(tmp_path / "run")
    with pytest.warns(DeviceWarning, match="come from H200 and x86_64: another device would"):
        manifest.add_run(["H200"])
    with pytest.warns(DeviceWarning):  # also later, and of one run
        manifest.add_run(["x86_64"])


def test_a_folder_takes_more_seeds_and_an_array_does_not(tmp_path):
    for name in ("run", "x.npy"):
        begun(tmp_path / name)
    begun(tmp_path / "run", seeds=(1, 2))
    with pytest.raises(OutputError, match="seeds = '0-1', this one has '1-2'"):
        begun(tmp_path / "x.npy", seeds=(1, 2))


def test_files_of_someone_else_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "holiday.png").write_text("")
    (tmp_path / "x.npy").write_text("")
    for name in ("run", "x.npy"):
        with pytest.raises(OutputError, match="holds files, but no manifest"):
            begun(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"settings": {}, "runs": []}',
        '{"settings": 1, "runs": [{}]}',
        '{"settings": {}, "runs": [{"seeds": "0", "images": 1, "seconds": 1, "devices": [1]}]}',
        '{"settings": {}, "runs": [{"seeds": 5, "images": 1, "seconds": 1, "devices": []}]}',
        '{"settings": {}, "runs": [{"seeds": "5-", "images": 1, "seconds": 1, "devices": []}]}',
        '{"settings": {}, "runs": [{"seeds": "0", "images": "1", "seconds": "1", "devices": []}]}',
        '{"settings": {}, "runs": [{"seeds": "0", "images": NaN, "seconds": 1, "devices": []}]}',
        '{"settings": {}, "runs": [{"seeds": "0", "images": -1, "seconds": 1, "devices": []}]}',
        '{"settings": {}, "runs": [{"seeds": "0", "images": 1, "seconds": 1, "devices": {"0": 1}}]}',
        '{"settings": {}, "runs": {"0": 1}}',
        '{"settings": {}, "x": NaN, "runs": [{"seeds": "0", "images": 1, "seconds": 1, "devices": []}]}',
        '{"settings": {}, "runs": [[0]]}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(text, encoding="latin1")
    with pytest.raises(OutputError, match="is no manifest of a run"):
        begun(tmp_path / "run")
