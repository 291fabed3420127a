"""Garbage scores worse than the images of methods that make garments in five network calls."""

import json
from functools import cache
from pathlib import Path

import pytest

from gpu_runs.check_features import METHODS, real_images, record
from gpu_runs.files.fashion_mnist import DEBIAN_FOLDER
from gpu_runs.scores.features import load_features
from gpu_runs.scores.garbage import garbage

RECORD = Path(__file__).parents[2] / "book" / "garbage.json"
needs_data = pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="needs dataset-fashion-mnist")


@cache
def recorded():
    return json.loads(RECORD.read_text())


def rows(kind):
    return [row for row in recorded()["rows"] if row["kind"] == kind]


def garments():
    """Methods whose images are garments at five calls: more than a tenth are close to real ones."""
    return [row for row in rows("sampler") if row["precision"] > 0.1]


def test_the_record_is_of_these_features_and_of_all_methods():
    assert recorded()["features"] == load_features().digest
    assert {row["name"] for row in rows("sampler")} == {method["label"] for method in METHODS}
    assert {row["name"] for row in garments()} >= {
        "SEEDS-3",
        "SDE-DPM-Solver++(2M)",
        "ER-SDE-3",
        "DDIM",
        "DPM-Solver++(2M)",
        "UniPC-3",
    }


def test_garbage_scores_worse_by_every_measure():
    for bad in rows("garbage"):
        for good in (*garments(), *rows("real")):
            assert bad["frechet"] > good["frechet"], (bad, good)
            assert bad["kernel"] > good["kernel"], (bad, good)
            shares = [row["precision"] for row in (bad, good)]
            error = sum(p * (1 - p) / recorded()["images"] for p in shares) ** 0.5
            assert good["precision"] - bad["precision"] > 4 * error, (bad, good)


def test_noise_and_what_has_no_content_is_never_close_to_real_images():
    for bad in rows("garbage"):
        if any(word in bad["name"] for word in ("noise", "all ", "checkerboard", "order", "level")):
            assert bad["precision"] < 0.01, bad
            assert bad["frechet"] > 40, bad


@needs_data
@pytest.mark.slow
def test_the_record_is_what_the_features_give():
    real = real_images()
    made = dict(garbage(real))
    assert list(made) == [row["name"] for row in rows("garbage")]
    for row in (*rows("garbage"), *rows("real")):
        again = record(row["kind"], row["name"], made.get(row["name"], real))
        for score in ("frechet", "kernel", "precision", "recall"):
            assert again[score] == pytest.approx(row[score], rel=1e-3, abs=2e-3), (row, again)


@needs_data
def test_garbage_is_the_same_every_time_and_of_the_images_kind():
    real = real_images()[:6]
    first, second = dict(garbage(real)), dict(garbage(real))
    for name, images in first.items():
        assert images.shape == real.shape and images.dtype == real.dtype, name
        assert (images == second[name]).all(), name
        assert not (images == real).all(), name
