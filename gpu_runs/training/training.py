r"""Training an EDM-preconditioned network: denoising score matching with EDM's weights.

Each step draws images y, classes, noise levels with :math:`\ln\sigma` normal, and noise n, and lowers

.. math::  \lambda(\sigma)\,\|D(y + n;\ \sigma) - y\|^2, \qquad
           \lambda(\sigma) = \frac{\sigma^2 + \sigma_{data}^2}{(\sigma\,\sigma_{data})^2} .

What a step draws depends on the seed and the number of the step alone, and the state of a run is one file
of tensors, so a run that was stopped goes on as if it had not been. The weights that are kept are an
exponential moving average.

Reference: Karras et al., arXiv 2206.00364, section 5.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from gpu_runs.checkpoints.preconditioning import NetworkSpec, PreconditionedNetwork, build_network
from gpu_runs.files.inputs import open_regular
from gpu_runs.files.whole import whole_file
from gpu_runs.machine.device import require_device
from gpu_runs.training.settings import TrainSettings
from seeds_theory.errors import ParameterError
from seeds_theory.extras import optional_imports
from seeds_theory.sources import seeded_generator

with optional_imports():
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file
    from tqdm import tqdm

FASHION_MNIST = NetworkSpec(
    preconditioning="EDMPrecond",
    architecture="SongUNet",
    resolution=32,
    channels=1,
    label_dim=10,
    constants={"sigma_data": 0.5},
    options={
        "model_channels": 16,
        "channel_mult": [1, 2, 4, 4],
        "num_blocks": 1,
        "attn_resolutions": [8],
        "dropout": 0.0,
    },
)
"""The embedded network: 1.2 million parameters."""


class Training:
    """A run in progress: network, average, optimiser, and the loss of every step so far.

    Parameters
    ----------
    spec : of the network. settings : of the run.
    images : uint8 (n, channels, resolution, resolution). labels : integers (n,).
    """

    def __init__(
        self,
        spec: NetworkSpec,
        settings: TrainSettings,
        images: Tensor,
        labels: Tensor,
        device: str | None = "cpu",
    ) -> None:
        expected = (spec.channels, spec.resolution, spec.resolution)
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != expected:
            raise ParameterError(
                f"training images are uint8 (n, {', '.join(map(str, expected))}); "
                f"got {images.dtype} {tuple(images.shape)}"
            )
        self.spec, self.settings, self.device = spec, settings, require_device(device)
        self.data_sha256 = hashlib.sha256(
            images.numpy().tobytes() + labels.numpy().tobytes()
        ).hexdigest()
        self.images, self.labels = images.to(self.device), labels.to(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            self.network = build_network(spec).train().to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {name: value.clone() for name, value in self._weights().items()}
        self.optimiser = torch.optim.Adam(self.network.parameters(), betas=(0.9, 0.99))
        self.losses: list[float] = []

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.network.named_parameters()}

    def run(self, state: Path, *, every: int = 50, progress: bool = True) -> None:
        """Train to the end; write the state to a file now and then, and at the end."""
        steps = range(len(self.losses), self.settings.steps)
        bar = tqdm(steps, desc="training", unit="step", disable=not progress)
        for step in bar:
            loss = self._step(step)
            if not math.isfinite(loss):
                raise ParameterError(
                    f"step {step}: the loss is {loss}; {state} holds the run up to the last multiple of "
                    f"{every} steps: try a lower learning rate in another folder"
                )
            self.losses.append(loss)
            if len(self.losses) % every == 0 or len(self.losses) == self.settings.steps:
                recent = self.losses[-every:]
                bar.set_postfix(loss=f"{sum(recent) / len(recent):.4f}")
                self.save(state)

    def _step(self, step: int) -> float:
        settings = self.settings
        rate = settings.learning_rate_at(step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._loss(seeded_generator(settings.seed, stream=step))
        loss.backward()
        self.optimiser.step()
        # Early on the average follows the weights closely: they have little to do with the final ones.
        decay = min(settings.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self._weights().items():
                self.average[name].lerp_(value, 1 - decay)
        return float(loss.detach())

    def _loss(self, generator: torch.Generator) -> Tensor:
        settings, batch = self.settings, self.settings.batch
        picked = torch.randint(len(self.images), (batch,), generator=generator).to(self.device)
        log_sigma = torch.randn(batch, generator=generator)
        sigma = (settings.log_sigma_mean + settings.log_sigma_std * log_sigma).exp().to(self.device)
        told = torch.rand(batch, 1, generator=generator) >= settings.label_dropout
        images = self.images[picked].float() / 127.5 - 1
        noise = torch.randn(images.shape, generator=generator).to(self.device)
        classes = None
        if self.spec.label_dim:
            one_hot = torch.nn.functional.one_hot(self.labels[picked], self.spec.label_dim)
            classes = one_hot * told.to(self.device).float()
        data = self.network.constant["sigma_data"]
        weight = (sigma**2 + data**2) / (sigma * data) ** 2
        denoised = self.network(images + sigma[:, None, None, None] * noise, sigma, classes)
        return (weight[:, None, None, None] * (denoised - images) ** 2).mean()

    def averaged(self) -> PreconditionedNetwork:
        """The network with the averaged weights, in evaluation mode, on the CPU."""
        network = build_network(self.spec)
        network.load_state_dict({**self.network.state_dict(), **self.average})
        return network

    def save(self, path: Path) -> None:
        """Write the state of the run, in place of an earlier one once it is whole. Raises OutputError."""
        tensors = {f"weights.{name}": value for name, value in self._weights().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for name, parameter in self.network.named_parameters():
            for key in ("exp_avg", "exp_avg_sq"):
                tensors[f"{key}.{name}"] = self.optimiser.state[parameter][key]
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        with whole_file(path) as part:
            save_file(
                {name: value.contiguous() for name, value in tensors.items()},
                part,
                metadata={"training": self._identity()},
            )

    def load(self, path: Path) -> None:
        """Go on from a state that `save` wrote.

        Raises
        ------
        ParameterError : the file is no state of a run with this network, these images and settings.
        """
        try:
            open_regular(path).close()
            with safe_open(path, framework="pt") as file:
                identity = (file.metadata() or {}).get("training")
                if identity != self._identity():
                    raise ParameterError(
                        f"{path} is the state of a run with another network, other data or other "
                        "settings: train into another folder"
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ParameterError(f"{path} is no training state: {error}") from None
        self.losses = tensors["losses"].tolist()
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(tensors[f"weights.{name}"])
                self.average[name].copy_(tensors[f"average.{name}"])
                self.optimiser.state[parameter] = {
                    "step": torch.tensor(float(len(self.losses))),
                    "exp_avg": tensors[f"exp_avg.{name}"].to(parameter),
                    "exp_avg_sq": tensors[f"exp_avg_sq.{name}"].to(parameter),
                }

    def _identity(self) -> str:
        return json.dumps(
            {
                "spec": self.spec.as_dict(),
                "settings": asdict(self.settings),
                "data": self.data_sha256,
            }
        )
