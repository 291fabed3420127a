import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_networks import tiny_checkpoint, tiny_network
from typer.testing import CliRunner

from gpu_runs.checkpoints.checkpoint import file_sha256, save_checkpoint
from gpu_runs.files.images import open_images, write_png
from gpu_runs.generate import app, main
from gpu_runs.generation import image_run, run_folder
from gpu_runs.generation.image_run import generate_images
from gpu_runs.generation.run_folder import only_writer
from gpu_runs.generation.sampler import Generation, make_images
from seeds_theory.errors import SeedsError

SETTINGS = Generation("seeds-2", 3, {"eta": 0.5})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("network"))


def command(checkpoint, out, *more):
    options = ["--method", "seeds-2", "--steps", "3", "--eta", "0.5", "--seeds", "0-9"]
    return ["--network", checkpoint, *options, "--batch", "4", "--out", str(out), *more]


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.glob("*/*.png"))}


def test_the_command_makes_images_a_picture_and_a_manifest(checkpoint, tmp_path):
    result = CliRunner().invoke(app, command(checkpoint, tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"10 images in {tmp_path / 'run'}: 5 network calls each, ")
    images = open_images(tmp_path / "run")
    assert images.shape == (10, 3, 8, 8)
    network = tiny_network()
    expected = torch.cat([make_images(network, SETTINGS, s) for s in ([0, 1, 2, 3], [4, 5, 6, 7])])
    assert np.array_equal(images.read(np.arange(8)), expected.numpy())
    with Image.open(tmp_path / "run-grid.png") as grid:
        assert grid.size == (32, 24)
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["settings"]["checkpoint"] == file_sha256(checkpoint)
    assert content["settings"]["options"] == {"eta": 0.5}
    assert (content["network"], content["nfe"], content["images"]) == (checkpoint, 5, 10)
    assert content["noise_levels"][0] == 80 and content["noise_levels"][-1] == 0
    (run,) = content["runs"]
    assert (run["seeds"], run["batch"], run["processes"]) == ("0-9", 4, 1)
    assert len(run["devices"]) == 1
    assert run["versions"]["torch"] == torch.__version__
    assert run["command"].startswith("seeds-generate")
    assert 0 < run["seconds"] == content["seconds"]
    assert content["images_per_second"] == 10 / run["seconds"]


def test_the_same_command_again_does_nothing_and_more_seeds_are_added(checkpoint, tmp_path):
    out = tmp_path / "run"
    generate_images(checkpoint, SETTINGS, range(5), out, batch=4)
    made = [out / "run.json", *out.rglob("*.png")]
    before = [path.stat().st_mtime_ns for path in made]
    assert generate_images(checkpoint, SETTINGS, range(5), out, batch=4)["made"] == 0
    assert [path.stat().st_mtime_ns for path in made] == before
    content = generate_images(checkpoint, SETTINGS, [3, 4, 1000], out, batch=4)
    assert [(run["seeds"], run["images"]) for run in content["runs"]] == [
        ("0-4", 5),
        ("3-4,1000", 1),
    ]
    assert len(files(out)) == 6


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_hold_the_pixels_of_the_pngs(checkpoint, tmp_path, suffix):
    for out in (tmp_path / "run", tmp_path / f"x{suffix}"):
        generate_images(checkpoint, SETTINGS, range(6), out, batch=4)
    pngs, rows = open_images(tmp_path / "run"), open_images(tmp_path / f"x{suffix}")
    assert np.array_equal(pngs.read(np.arange(6)), rows.read(np.arange(6)))
    assert (tmp_path / f"x{suffix}.json").exists()
    assert (tmp_path / f"x{suffix}-grid.png").exists()
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.slow
def test_a_killed_run_leaves_whole_images_and_goes_on(checkpoint, tmp_path):
    seeds = range(60)
    settings = Generation("seeds-1", 2)
    out = tmp_path / "killed"
    arguments = ["--network", checkpoint, "--method", "seeds-1", "--steps", "2", "--seeds", "0-59"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gpu_runs.generate",
            *arguments,
            "--batch",
            "2",
            "--out",
            str(out),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    while not list(out.glob("*/*.png")):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = files(out)
    assert 0 < len(left) < len(seeds)
    for path in left:
        with Image.open(out / path) as picture:
            picture.load()
    assert json.loads((out / "run.json").read_text())["images"] <= len(left)
    content = generate_images(checkpoint, settings, seeds, out, batch=2)
    assert [run["images"] for run in content["runs"]][1] == len(seeds) - len(left)
    generate_images(checkpoint, settings, seeds, tmp_path / "whole", batch=2)
    assert files(out) == files(tmp_path / "whole")
    assert left.items() <= files(out).items()


def test_the_checkpoint_in_a_run_cannot_change(checkpoint, tmp_path):
    generate_images(checkpoint, SETTINGS, [0], tmp_path / "run")
    other = tiny_network()
    other.model.map_layer0.bias.data += 1
    save_checkpoint(other, tmp_path / "other.safetensors")
    with pytest.raises(SeedsError, match="checkpoint = "):
        generate_images(str(tmp_path / "other.safetensors"), SETTINGS, [0], tmp_path / "run")


def test_another_version_is_another_run(checkpoint, tmp_path, monkeypatch):
    generate_images(checkpoint, SETTINGS, [0], tmp_path / "run")
    monkeypatch.setattr(image_run, "__version__", "9.9")
    with pytest.raises(SeedsError, match=r"seeds-theory = '.*', this one has '9\.9'"):
        generate_images(checkpoint, SETTINGS, [0], tmp_path / "run")


def test_the_manifest_is_read_once_no_other_run_writes_it(checkpoint, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("")  # as another run may leave it for a moment
    with only_writer(tmp_path / "run"), pytest.raises(SeedsError, match="another run is writing"):
        generate_images(checkpoint, SETTINGS, [0], tmp_path / "run")


def test_full_disk_ends_the_run_and_it_goes_on_later(checkpoint, tmp_path, monkeypatch):
    generate_images(checkpoint, SETTINGS, [0], tmp_path / "run")

    def full(image, path, texts):
        if path.name == "000003.png.part":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_png(image, path, texts)

    with monkeypatch.context() as disk:
        disk.setattr(run_folder, "write_png", full)
        with pytest.raises(SeedsError, match="No space left on device; what is there is whole"):
            generate_images(checkpoint, SETTINGS, range(6), tmp_path / "run", batch=2)
    assert len(files(tmp_path / "run")) == 3
    content = generate_images(checkpoint, SETTINGS, range(6), tmp_path / "run", batch=2)
    assert [run["images"] for run in content["runs"]] == [1, 1, 3]
    assert len(files(tmp_path / "run")) == 6


def test_options_of_the_method_by_name(checkpoint, tmp_path):
    arguments = ["--network", checkpoint, "--method", "edm-heun", "--steps", "3", "--seeds", "0"]
    arguments += ["--churn", "10", "--option", "s_noise=1.003", "--option", "s_min=0.05"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["settings"]["options"] == {"churn": 10.0, "s_noise": 1.003, "s_min": 0.05}


def test_remarks_on_noise_levels_are_one_line_each_on_stderr(tmp_path):
    checkpoint = tiny_checkpoint(
        tmp_path, preconditioning="VEPrecond", sigma_min=0.02, sigma_max=100.0
    )
    result = CliRunner().invoke(app, command(checkpoint, tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert result.stderr == (
        "seeds-generate: noise levels start at 80, as EDM's; the network knows some up to 100, which a "
        "larger sigma_max takes in\n"
        "seeds-generate: the noise levels 80 to 0.002 are clipped to those of the network, "
        "80 to 0.02\n"
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--network", "nowhere.pkl"], "no checkpoint file nowhere.pkl"),
        (["--network", __file__], "is no network that is read here"),
        (["--method", "seeds-9"], "unknown sampler 'seeds-9'"),
        (["--steps", "1"], "a whole number of steps, 2 or more"),
        (["--seeds", "3,1"], "seeds ascend"),
        (["--labels", "9"], "the classes of this network are 0 to 3; got 9"),
        (["--labels", "0,1,2,3,0", "--seeds", "0-3"], "5 labels for 4 seeds: one each at most"),
        (["--option", "churn"], "an option is NAME=VALUE"),
        (["--option", "churn=1"], "no option 'churn'"),
        (["--option", "eta=1"], "option 'eta' is given twice"),
        (["--eta", "inf"], "windows of noise levels as 1:0.3-5; got 'inf'"),
        (["--eta", "1,1"], "eta has one number for each of the"),
        (["--eta", "-1"], "eta is a number >= 0, one for each step as 1,1,0,0"),
        (["--option", "x=" + "[" * 100_000], "the value of option 'x' is nested too deeply"),
        (
            ["--method", "edm-heun", "--option", "s_noise=" + "9" * 400],
            "s_noise <= inf; got 99999999",
        ),
        (["--method", "edm-heun", "--option", "churn=true"], "churn <= inf; got True"),
        (["--sigma-min", "-1"], "sigma_min is above 0 and below sigma_max; got -1 and 80"),
        (["--grid", "rho=1e-9"], "rho = 1e-09 is too small for sigma_max = 80"),
        (["--grid", "rho=1e-320"], "rho = 9.99989e-321 is too small for sigma_max = 80"),
        (["--labels", "9" * 5000], "labels are random, cycle, none, or classes"),
        (["--labels", "1\n2"], r"classes as 3 or 0,4,7; got '1\n2'"),
        (["--out", __file__], "images go to a folder"),
        (["--out", "/"], "images go to a folder of their own, not to /"),
        (["--out", f"{__file__}/a\nb"], r"a\nb: Not a directory"),
        (["--precision", "fp7"], "unknown precision 'fp7'"),
        (["--device", "nowhere"], "device nowhere is not available here"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    checkpoint, tmp_path, monkeypatch, capsys, more, message
):
    monkeypatch.setattr(
        sys, "argv", ["seeds-generate", *command(checkpoint, tmp_path / "run", *more)]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("seeds-generate: ") and message in error and error.count("\n") == 1
    with contextlib.suppress(FileNotFoundError):
        assert not list((tmp_path / "run").iterdir())


def test_help_has_an_example():
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"})
    assert "Example: seeds-generate --network fashion-mnist" in result.stdout
    assert "seeds-generate --pipeline sdxl --prompts prompts.txt" in " ".join(result.stdout.split())


def test_the_picture_is_of_the_first_images_of_all_runs(checkpoint, tmp_path):
    for seeds in ([4, 5], [1]):
        generate_images(checkpoint, SETTINGS, seeds, tmp_path / "run")
    images = open_images(tmp_path / "run").read(np.arange(3))
    with Image.open(tmp_path / "run-grid.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[0] * pixels.shape[1] >= 3 * 64
    assert np.array_equal(pixels[:8, :8].transpose(2, 0, 1), images[0])
    assert np.array_equal(pixels[:8, 8:16].transpose(2, 0, 1), images[1])
