import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from gpu_runs import fid, scoring
from gpu_runs.files.fashion_mnist import DEBIAN_FOLDER, load_fashion_mnist
from gpu_runs.files.images import ImageSet, write_png
from gpu_runs.files.pictures import ImageError
from gpu_runs.scores.fashion_features import DIM, FeatureError
from gpu_runs.scores.features import FeatureNetwork, load_features
from gpu_runs.scores.reference import REFERENCE_FILE, Reference, load_reference
from gpu_runs.scores.report import require_comparable, score, score_images
from gpu_runs.scores.statistics import FrechetReference, ScoreError, frechet_distance
from gpu_runs.scores.summary import Summary, summarise
from seeds_theory.errors import ParameterError

needs_data = pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="needs dataset-fashion-mnist")
run = CliRunner().invoke


@cache
def network():
    return load_features()


@cache
def embedded():
    return load_reference("fashion-mnist")


@cache
def pictures(count=300, seed=0):
    """Images (count, 1, 32, 32) of random gray frames: cheap, varied, and no clothes."""
    generator = np.random.default_rng(seed)
    images = np.zeros((count, 1, 32, 32), np.uint8)
    for image in images:
        top, left = generator.integers(0, 12, 2)
        height, width = generator.integers(6, 20, 2)
        image[0, top : top + height, left : left + width] = generator.integers(60, 256)
    return torch.from_numpy(images)


def summary_of(images, **options):
    return Summary.merged(summarise(ImageSet.of(images), network(), **options))


def assert_same(first, second, tolerance):
    """Of two records of scores: numbers up to a relative tolerance, all else exactly."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        expected = pytest.approx(value, rel=tolerance) if isinstance(value, float) else value
        assert second[name] == expected, name


# ------------------------------------------------------------------------- sums and references


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3, 6])
def test_scores_do_not_depend_on_the_number_of_processes(world):
    images = ImageSet.of(pictures())
    shards = [
        part
        for rank in range(world)  # five batches: uneven shards, and an empty one among six
        for part in summarise(images, network(), batch=64, sample=150, rank=rank, world=world)
    ]
    assert len(shards) == min(world, 5)
    whole = summary_of(pictures(), sample=150)
    merged = Summary.merged(shards[::-1])
    np.testing.assert_array_equal(merged.sample, whole.sample)
    first, second = (score(summary, embedded(), network()).to_json() for summary in (whole, merged))
    assert_same(first, second, 1e-9)


def test_summary_keeps_a_random_sample_in_random_order():
    features, _ = network()(pictures())
    kept = summary_of(pictures(), sample=40, seed=1).sample
    where = [int((features - torch.from_numpy(row)).abs().sum(dim=1).argmin()) for row in kept]
    np.testing.assert_allclose(features[where].numpy(), kept, rtol=1e-4, atol=1e-3)
    assert len(set(where)) == 40
    assert where != sorted(where)
    assert max(where) > 150
    assert not np.array_equal(kept, summary_of(pictures(), sample=40, seed=2).sample)


def test_no_parts_make_no_summary():
    with pytest.raises(ScoreError, match="no images"):
        Summary.merged([])


def test_embedded_reference_is_of_the_embedded_features():
    reference = embedded()
    assert reference.count == 60_000
    assert (reference.features, reference.digest) == (network().name, network().digest)
    assert reference.sample.shape == (5000, DIM)
    assert REFERENCE_FILE.stat().st_size < 1e6
    sample = reference.sample.astype(np.float64)
    values = frechet_distance(
        sample.mean(axis=0), np.cov(sample, rowvar=False), reference.mean, reference.covariance
    )
    assert values < 1  # 5000 of the images themselves; noise is 400 away


def test_reference_survives_its_file(tmp_path):
    reference = Reference.of(summary_of(pictures()), network())
    reference.save(tmp_path / "ref.npz")
    loaded = load_reference(tmp_path / "ref.npz")
    np.testing.assert_array_equal(loaded.mean, reference.mean)
    np.testing.assert_array_equal(loaded.covariance, reference.covariance)
    short = reference.sample.astype(np.float16)
    np.testing.assert_array_equal(loaded.sample, short.astype(np.float64))
    assert (loaded.count, loaded.features, loaded.digest) == (
        300,
        "fashion-mnist",
        network().digest,
    )


def test_files_that_are_no_reference(tmp_path):
    path = tmp_path / "ref.npz"
    with pytest.raises(ScoreError, match="No such file"):
        load_reference(path)
    mean, sigma = np.zeros(3), np.eye(3)
    broken = [
        ({"mu": mean}, "sigma"),
        ({"mu": mean, "sigma": np.eye(4)}, r"d is 3, sigma has the shape \(4, 4\)"),
        ({"mu": np.float64(0), "sigma": sigma}, "no floats of 1 dimension"),
        (
            {"mu": mean, "sigma": sigma, "sample": np.zeros((2, 4))},
            r"d is 3, sample has the shape \(2, 4\)",
        ),
        ({"mu": np.array(["a"]), "sigma": sigma}, "no floats"),
        ({"mu": mean + 0j, "sigma": sigma}, "complex128"),
        ({"mu": mean * np.nan, "sigma": sigma}, "not finite"),
        (
            {"mu": mean, "sigma": sigma, "count": np.zeros(2)},
            "its count of images is no whole number",
        ),
        ({"mu": mean, "sigma": sigma, "count": 1}, "whole number of 2 or more"),
        ({"mu": mean, "sigma": sigma, "count": np.inf}, "whole number of 2 or more"),
        ({"mu": mean, "sigma": sigma, "features": "x" * 301}, "no text of at most 300"),
        ({"mu": mean, "sigma": sigma, "digest": np.zeros(3)}, "no text"),
        ({"mu": mean, "sigma": np.full((3, 3), np.longdouble("1e999"))}, "not finite"),
        ({"mu": np.array([{}]), "sigma": sigma}, "Python objects, which are not loaded"),
        ({"mu": mean, "sigma": sigma + np.triu(np.ones((3, 3)))}, "sigma is not symmetric"),
        ({"mu": mean + 1e101, "sigma": sigma}, "larger than 1e"),
        ({"mu": mean, "sigma": -1e300 * sigma}, "larger than 1e"),
        ({"mu": mean.astype(int), "sigma": sigma}, "int64"),
        ({"mu": np.zeros(3, [("a", "f8")]), "sigma": sigma}, "no floats"),
        ({"mu": mean[None], "sigma": sigma}, "no floats of 1 dimension"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, "no floats"),
        ({"mu": mean, "sigma": sigma, "sample": np.zeros((0, 3))}, "no floats of 2"),
        ({"mu": mean, "sigma": sigma, "sample": np.full((2, 3), np.nan)}, "not finite"),
        ({"mu": mean, "sigma": sigma, "sample": np.zeros((2, 3, 1))}, "no floats of 2"),
        ({"mu": mean, "sigma": sigma, "count": True}, "whole number of 2 or more"),
        ({"mu": mean, "sigma": sigma, "features": np.bytes_(b"abc")}, "no text"),
    ]
    for arrays, match in broken:
        np.savez(path, **arrays)
        with pytest.raises(ScoreError, match=match) as caught:
            load_reference(path)
        assert "\n" not in str(caught.value)
    for content in (b"", b"text", path.read_bytes()[:-30]):
        path.write_bytes(content)
        with pytest.raises(ScoreError, match=r"a reference is an \.npz with mu"):
            load_reference(path)


def test_reference_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("gpu_runs.scores.reference._MOST_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "ref.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mu.npy", bytes(2**20 + 1))
    with pytest.raises(ScoreError, match="more than the 1048576"):
        load_reference(tmp_path / "ref.npz")


# ------------------------------------------------------------------------------------- scores


def test_images_score_best_against_themselves():
    summary = summary_of(pictures())
    scores = score(summary, Reference.of(summary, network()), network())
    assert abs(scores.frechet) < 1e-9
    assert (scores.precision, scores.recall, scores.sample) == (1, 1, 300)
    assert abs(scores.kernel) < 4 * scores.kernel_error
    assert 1 < scores.class_score < 10
    assert scores.distance == "Frechet distance (fashion-mnist features)"


@needs_data
@pytest.mark.slow
def test_scores_tell_real_images_from_spoiled_ones():
    images = load_fashion_mnist(DEBIAN_FOLDER, "test")[0][:1000]
    noisy = images.float() + 20 * torch.randn(
        images.shape, generator=torch.Generator().manual_seed(0)
    )
    blurred = torch.nn.functional.avg_pool2d(images.float(), 3, 1, 1)
    real, noise, blur, shifted, copies = (
        score_images(changed.clamp(0, 255).byte(), embedded(), network())
        for changed in (images, noisy, blurred, images.roll(3, 2), images[:100].repeat(10, 1, 1, 1))
    )
    # Features are not quite Gaussian, so the floor is that of the right size only.
    assert 0.5 * real.floor < real.frechet < 2 * real.floor
    assert abs(real.kernel) < 4 * real.kernel_error
    assert abs(real.limit) < 4 * real.limit_error
    assert 0.6 < real.precision < 0.8  # balls of the median radius leave out a third of real images
    assert 0.6 < real.recall < 0.8
    for spoiled in (noise, blur, shifted, copies):
        assert spoiled.frechet > 4 * real.frechet
        assert spoiled.recall < real.recall
        assert spoiled.class_score < real.class_score
    assert copies.precision > 0.6
    assert copies.recall < 0.05


def test_reference_of_edm_is_read_as_it_is(tmp_path):
    statistics = summary_of(pictures()).statistics
    np.savez(tmp_path / "edm.npz", mu=statistics.mean, sigma=statistics.covariance)
    scores = score_images(pictures(), load_reference(tmp_path / "edm.npz"), network())
    assert abs(scores.frechet) < 1e-9
    assert scores.kernel is scores.precision is scores.recall is scores.floor is None
    assert scores.class_score is not None
    assert scores.limit is None
    assert scores.remarks == (
        "the reference does not say whose features it has",
        f"fewer than {5 * DIM} images: the distance of infinitely many cannot be told from theirs",
    )


def test_a_reference_that_is_no_covariance_is_refused_before_the_work():
    d = len(embedded().mean)
    wrong = Reference(np.zeros(d), np.diag(np.linspace(-1, 1, d)))
    images = ImageSet((4, 1, 32, 32), lambda indices: np.zeros((len(indices), 1, 32, 32), np.uint8))
    with pytest.raises(ScoreError, match="no negative eigenvalues"):
        require_comparable(images, wrong, network())


@pytest.mark.slow
def test_the_reference_is_decomposed_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "gpu_runs.scores.reference.FrechetReference",
        lambda *parts: calls.append(1) or FrechetReference(*parts),
    )
    reference = replace(embedded())
    for seed in (1, 2):
        score(summary_of(pictures(seed=seed)), reference, network())
    assert len(calls) == 1


def test_a_sample_in_half_precision_changes_no_score(tmp_path):
    reference = Reference.of(summary_of(pictures()), network())
    reference.save(tmp_path / "ref.npz")
    short = load_reference(tmp_path / "ref.npz")
    assert np.abs(short.sample - reference.sample).max() > 0
    summary = summary_of(pictures(seed=1))
    whole, rounded = (score(summary, one, network()) for one in (reference, short))
    assert abs(rounded.kernel - whole.kernel) < 1e-3 * whole.kernel_error
    assert abs(rounded.precision - whole.precision) <= 1 / 300
    assert abs(rounded.recall - whole.recall) <= 1 / 300
    assert rounded.frechet == pytest.approx(whole.frechet, rel=1e-12)
    # Features whose mean is large beside their spread keep single precision.
    sample = (1000 + np.random.default_rng(0).standard_normal((50, 2))).astype(np.float32)
    replace(reference, mean=np.zeros(2), covariance=np.eye(2), sample=sample).save(
        tmp_path / "b.npz"
    )
    np.testing.assert_array_equal(load_reference(tmp_path / "b.npz").sample, sample)


def test_few_images_have_a_frechet_distance_only():
    scores = score_images(pictures()[:50], embedded(), network())
    assert scores.frechet > 0
    assert scores.kernel is scores.class_score is scores.precision is None
    assert scores.remarks == ("fewer than 100 images: only the Frechet distance is given",)
    with pytest.raises(ScoreError, match="at least two images"):
        score_images(pictures()[:1], embedded(), network())


def test_inception_gives_the_names_fid_and_kid():
    inception = FeatureNetwork(
        "Inception, made up", True, "0", lambda x: (x[:, 0, 0].float(), None), torch.device("cpu")
    )
    reference = Reference.of(
        Summary.merged(summarise(ImageSet.of(pictures()), inception)), inception
    )
    scores = score_images(pictures(seed=1), reference, inception)
    assert scores.distance == "FID (Inception, made up features)"
    assert scores.class_score is None
    names = list(scoring.table(scores).columns[0].cells)
    assert "KID" in names
    assert not any("score" in name.lower() for name in names)
    # A name out of a file is no markup.
    label = replace(scores, distance="Frechet distance ([red]a.pt features)")
    file = io.StringIO()
    Console(file=file, width=100).print(scoring.table(label))
    assert "([red]a.pt features)" in file.getvalue()
    other = score_images(pictures(seed=1), embedded(), network())
    assert not any(
        "FID" in n or "KID" in n or "Incep" in n for n in scoring.table(other).columns[0].cells
    )


def test_reference_of_other_features_is_refused():
    for digest in (None, "0" * 64):
        other = replace(embedded(), features="Inception", digest=digest)
        with pytest.raises(ScoreError, match="features of 'Inception', the images get"):
            score_images(pictures(), other, network())
    colours = replace(embedded(), features="\x1b[31m" + "x" * 200, digest=None)
    with pytest.raises(ScoreError, match=r"features of '\\x1b\[31mxxx") as caught:
        score_images(pictures(), colours, network())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
    with pytest.raises(ScoreError, match="another file of fashion-mnist"):
        score_images(pictures(), replace(embedded(), digest="0" * 64), network())
    narrow = Reference(np.zeros(5), np.eye(5))
    with pytest.raises(
        ScoreError, match=f"the reference has 5 features, fashion-mnist gives {DIM}"
    ):
        score_images(pictures(), narrow, network())


def test_the_same_network_under_another_name_is_the_same():
    renamed = replace(embedded(), features="renamed.pt")
    assert score_images(pictures(), renamed, network()).frechet > 0


def test_buffered_sums_do_not_depend_on_sharding(monkeypatch):
    def statistics(world):
        options = {"batch": 20, "sample": 0, "world": world}
        shards = [
            summarise(ImageSet.of(pictures()), network(), rank=rank, **options)
            for rank in range(world)
        ]
        return Summary.merged([part for shard in shards for part in shard]).statistics

    monkeypatch.setattr("gpu_runs.scores.summary._NUMBERS", 1)  # every batch on its own
    expected = statistics(1)
    monkeypatch.setattr("gpu_runs.scores.summary._NUMBERS", 70 * DIM)
    for world in (1, 4):
        found = statistics(world)
        assert found.count == 300
        for value, exact in (
            (found.mean, expected.mean),
            (found.covariance, expected.covariance),
        ):
            np.testing.assert_allclose(value, exact, rtol=0, atol=1e-12 * np.abs(exact).max())


# ------------------------------------------------------------------------------------ command


def test_command_makes_a_reference_and_scores(tmp_path):
    for index, image in enumerate(pictures()[:120]):
        write_png(image, tmp_path / f"{index:03d}.png")
    np.save(tmp_path / "more.npy", pictures(seed=1).numpy())
    ref, out = tmp_path / "ref.npz", tmp_path / "scores.json"
    made = run(fid.app, ["stats", str(tmp_path), "--out", str(ref)])
    assert made.exit_code == 0
    assert "120 images, fashion-mnist features" in made.output
    assert "random halves of 120" in made.output
    arguments = ["score", str(tmp_path / "more.npy"), "--ref", str(ref), "--num", "200"]
    scored = run(fid.app, [*arguments, "--seed", "4", "--json", str(out)])
    assert scored.exit_code == 0
    record = json.loads(out.read_text())
    expected = score(
        Summary.merged(summarise(ImageSet.of(pictures(seed=1)).subset(200, 4), network(), seed=4)),
        load_reference(ref),
        network(),
    )
    assert_same(expected.to_json(), record, 1e-12)
    assert "Frechet distance (fashion-mnist features)" in scored.output
    assert f"{record['frechet']:.4g}" in scored.output
    assert "FID" not in scored.output


def test_a_reference_of_few_images_is_said_to_be_one(tmp_path):
    np.save(tmp_path / "few.npy", pictures()[:12].numpy())
    few, ref = str(tmp_path / "few.npy"), str(tmp_path / "ref.npz")
    made = run(fid.app, ["stats", few, "--out", ref])
    scored = run(fid.app, ["score", few, "--ref", ref])
    for result in (made, scored):
        assert f"note: the reference is of 12 images and has {DIM} features" in result.output
    assert "of as many real images" not in scored.output
    whole = run(fid.app, ["score", few, "--ref", "fashion-mnist"])
    assert "and has" not in whole.output and "of as many real images" in whole.output


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ('{"labels": [["000.png", 1]', "cannot read"),
        ('{"labels": [["000.png", NaN]]}', "NaN is no number"),
        ('{"labels": [], "labels": []}', "the name 'labels' is there twice"),
        ('{"labels": [["000.png", 1]]}', "has no class for 001.png"),
        (None, "'labels' int64 (1,) for 2 images"),
    ],
)
def test_classes_that_do_not_fit_are_said(tmp_path, capsys, monkeypatch, labels, why):
    images = pictures()[:2]
    place = tmp_path / "set" if labels else tmp_path / "set.npz"
    if labels is None:
        np.savez(place, images=images.numpy(), labels=np.zeros(1, np.int64))
    else:
        place.mkdir()
        for index, image in enumerate(images):
            write_png(image, place / f"{index:03d}.png")
        (place / "dataset.json").write_text(labels)
    monkeypatch.setattr("sys.argv", ["seeds-fid", "score", str(place), "--ref", "fashion-mnist"])
    with pytest.raises(SystemExit) as caught:
        fid.main()
    assert caught.value.code in (0, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("seeds-fid: ") and why in line
    assert line.endswith("; classes are not used here")


@needs_data
def test_command_knows_fashion_mnist_by_name():
    scored = run(fid.app, ["score", "fashion-mnist-test", "--ref", "fashion-mnist", "--num", "100"])
    assert scored.exit_code == 0
    assert "of as many real images, about" in scored.output


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (["a.npy", "--ref", "fashion-mnist", "--num", "11"], ImageError, "11 images were asked"),
        (["a.npy", "--ref", "missing.npz"], ScoreError, "No such file"),
        (["missing", "--ref", "fashion-mnist"], ImageError, "there is no file or folder missing"),
        (["empty", "--ref", "fashion-mnist"], ImageError, "no .png"),
        (["fashion-mnst", "--ref", "fashion-mnist"], ImageError, "mean 'fashion-mnist'"),
        (["a.npy", "--ref", "fashion-mnst"], ScoreError, "mean 'fashion-mnist'"),
        (["large.npy", "--ref", "fashion-mnist"], FeatureError, r"got \(3, 64, 64\)"),
        (["a.npy", "--ref", "edm.npz"], ScoreError, "a network it does not name: give that"),
        (
            ["a.npy", "--ref", "edm.npz", "--features", "fashion-mnist"],
            ScoreError,
            f"reference has 4 features, fashion-mnist gives {DIM}",
        ),
        (["a.npy", "--ref", "fashion-mnist", "--features", "inception"], FeatureError, "weights"),
        (["a.npy", "--ref", "fashion-mnist", "--device", "abacus"], ParameterError, "abacus"),
        (["a.npy", "--ref", "fashion-mnist", "--json", "no/a.json"], ValueError, "no folder"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    tmp_path, monkeypatch, capsys, arguments, error, match
):
    np.save(tmp_path / "a.npy", pictures()[:10].numpy())
    np.save(tmp_path / "large.npy", np.zeros((2, 3, 64, 64), np.uint8))
    np.savez(tmp_path / "edm.npz", mu=np.zeros(4), sigma=np.eye(4))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=match):
        run(fid.app, ["score", *arguments], catch_exceptions=False)
    monkeypatch.setattr("sys.argv", ["seeds-fid", "score", *arguments])
    with pytest.raises(SystemExit) as caught:
        fid.main()
    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("seeds-fid: ")
    assert captured.err.count("\n") == 1


@pytest.mark.slow
def test_torchrun_gives_the_scores_of_one_process(tmp_path):
    np.save(tmp_path / "images.npy", pictures().numpy())
    arguments = ["score", str(tmp_path / "images.npy"), "--ref", "fashion-mnist", "--json"]
    assert run(fid.app, [*arguments, str(tmp_path / "one.json")]).exit_code == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    shared = subprocess.run(
        [
            *torchrun,
            "--nproc-per-node=2",
            "-m",
            "gpu_runs.fid",
            *arguments,
            tmp_path / "two.json",
        ],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shared.returncode == 0, shared.stderr
    assert shared.stdout.count("Frechet distance") == 1
    one, two = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("one", "two"))
    assert_same(one, two, 1e-9)
