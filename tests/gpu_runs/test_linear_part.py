"""The check of linear parts on images: its shifts, and that the book's record says what the book says."""

import json
from pathlib import Path

import torch
from torch import Tensor

from gpu_runs.check_linear_part import IMAGES, shifts_on
from toy_models.gaussian import Gaussian

RECORD = json.loads((Path(__file__).parents[2] / "book" / "linear_part.json").read_text())


def test_the_shifts_of_gaussian_data_are_their_variance() -> None:
    data = Gaussian.scalar(0.7)
    drawn = data.sample(40_000, torch.Generator().manual_seed(0))

    def denoiser(x: Tensor, sigma: float) -> Tensor:
        return data(x, sigma)

    *shifts, last = shifts_on(denoiser, drawn, [2.0, 1.0, 0.5, 0.0])
    assert last == 0
    assert all(abs(shift / 0.7 - 1) < 0.05 for shift in shifts)


def test_the_record_says_what_the_chapter_says() -> None:
    assert RECORD["images"] == IMAGES
    found = {(row["method"], row["part"]): row["frechet"] for row in RECORD["rows"]}
    one_stage = [found["seeds-1", part] for part in ("F", "shifted", "data")]
    memory = [found["sde-dpm-solver++-2m", part] for part in ("data", "shifted")]
    assert memory + one_stage == sorted(memory + one_stage)
