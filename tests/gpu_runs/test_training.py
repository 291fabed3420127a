"""Training: the loss falls, a stopped run goes on to the same bits, and other settings are refused."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from gpu_runs.checkpoints.checkpoint import load_checkpoint, read_checkpoint
from gpu_runs.checkpoints.preconditioning import NetworkSpec, PreconditionedNetwork
from gpu_runs.train import app
from gpu_runs.training.loss_curve import curve
from gpu_runs.training.training import FASHION_MNIST, Training, TrainSettings
from seeds_theory.errors import ParameterError

TINY = NetworkSpec(
    "EDMPrecond",
    "SongUNet",
    8,
    1,
    label_dim=2,
    options={
        "model_channels": 8,
        "channel_mult": [1, 2],
        "num_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
)
SETTINGS = TrainSettings(images=160, batch=8, learning_rate=1e-2, warmup=16, seed=3)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Black images with one bright half, the class saying which."""
    labels = torch.arange(32) % 2
    images = torch.zeros(32, 1, 8, 8, dtype=torch.uint8)
    images[labels == 0, :, :4] = 255
    images[labels == 1, :, 4:] = 255
    return images, labels


def training(settings: TrainSettings = SETTINGS) -> Training:
    return Training(TINY, settings, *data())


def denoising_error(network: PreconditionedNetwork) -> float:
    images, labels = data()
    clean = images.float() / 127.5 - 1
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        denoised = network(clean + noise, 1.0, labels)
    return float((denoised - clean).square().mean())


@pytest.mark.slow
def test_a_trained_network_denoises(tmp_path: Path) -> None:
    run = training(replace(SETTINGS, images=480))
    before = denoising_error(run.averaged())
    run.run(tmp_path / "state.safetensors", progress=False)
    assert len(run.losses) == 60
    assert denoising_error(run.averaged()) < 0.45 * before


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole = training()
    whole.run(tmp_path / "whole.safetensors", progress=False)
    stopped = training()
    for step in range(7):
        stopped.losses.append(stopped._step(step))
    stopped.save(tmp_path / "state.safetensors")
    resumed = training()
    resumed.load(tmp_path / "state.safetensors")
    resumed.run(tmp_path / "state.safetensors", progress=False)
    assert resumed.losses == whole.losses
    found, expected = resumed.averaged().state_dict(), whole.averaged().state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_average_is_not_the_last_weights(tmp_path: Path) -> None:
    run = training()
    run.run(tmp_path / "state.safetensors", progress=False)
    name = "model.map_layer0.weight"
    assert not torch.equal(run.averaged().state_dict()[name], run.network.state_dict()[name])


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [SETTINGS.learning_rate_at(step) for step in range(SETTINGS.steps)]
    assert rates[0] == pytest.approx(0.5e-2)
    assert max(rates) == rates[1]
    assert rates[-1] < 1e-4


@pytest.mark.parametrize("change", [{"seed": 4}, {"batch": 16}])
def test_the_state_of_another_run_is_refused(tmp_path: Path, change: dict[str, int]) -> None:
    path = tmp_path / "state.safetensors"
    run = training()
    run.losses.append(run._step(0))
    run.save(path)
    with pytest.raises(ParameterError, match="other settings: train into another folder"):
        training(replace(SETTINGS, **change)).load(path)
    images, labels = data()
    with pytest.raises(ParameterError, match="other data"):
        Training(TINY, SETTINGS, 255 - images, labels).load(path)


def test_a_broken_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"not a state")
    with pytest.raises(ParameterError, match="is no training state"):
        training().load(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ParameterError, match="is no training state: it is no regular file"):
        training().load(path)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    run = training(replace(SETTINGS, learning_rate=1e30))
    with pytest.raises(ParameterError, match=r"step \d+: the loss is (nan|inf)"):
        run.run(tmp_path / "state.safetensors", progress=False)


@pytest.mark.parametrize("name", ["images", "batch", "warmup"])
def test_numbers_that_are_too_small_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name} is 1 or more; got 0"):
        replace(SETTINGS, **{name: 0})


def test_a_batch_beyond_all_images_and_a_seed_that_torch_has_not_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"a batch is part of the images: 10{20} in a step"):
        replace(SETTINGS, batch=10**20)
    for seed in (-1, 2**63):
        with pytest.raises(ParameterError, match=r"a seed lies in \[0, 2\*\*63\); got"):
            replace(SETTINGS, seed=seed)


def test_images_of_another_size_are_refused() -> None:
    images, labels = data()
    with pytest.raises(ParameterError, match=r"uint8 \(n, 1, 8, 8\); got torch.uint8"):
        Training(TINY, SETTINGS, images[:, :, :4], labels)


def test_the_curve_is_of_whole_windows() -> None:
    assert curve([1.0] * 250 + [3.0] * 250 + [9.0], batch=4) == [(1000, 1.0), (2000, 3.0)]


def test_the_command_trains_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = torch.zeros(10, 1, 32, 32, dtype=torch.uint8), torch.arange(10)
    monkeypatch.setattr("gpu_runs.files.fashion_mnist.load_fashion_mnist", lambda folder: pictures)
    arguments = ["--out", str(tmp_path / "run"), "--images", "4", "--batch", "2"]
    for _ in range(2):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert "going on after 2 of 2 steps" in result.output
    path = tmp_path / "run" / "network.safetensors"
    assert read_checkpoint(path).metadata["settings"]["images"] == 4
    assert load_checkpoint(path).spec == FASHION_MNIST
    with (tmp_path / "run" / "loss.csv").open() as file:
        assert next(csv.reader(file)) == ["images", "loss"]
