"""Networks of diffusers in folders, read as data: no code that lies there is run, and none is fetched.

A folder is that of a pipeline of images without prompts: ``unet`` of class UNet2DModel, or ``transformer`` of
class DiTTransformer2DModel, ``scheduler``, and ``vae`` where the network denoises latents. It may be the
network's alone, with ``scheduler_config.json`` in it or with ``scheduler`` beside it. The classes are those
of the installed diffusers; its loaders are not used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpu_runs.checkpoints.diffusers_settings import (
    CLASSES,
    DECODER,
    FOR_PROMPTS,
    TRANSFORMER,
    UNET,
    options_of,
    square,
    training_of,
)
from gpu_runs.checkpoints.folder_files import INDEX, FolderFiles, digest_of, named_class
from gpu_runs.checkpoints.scheduled_network import ScheduledNetwork, Training
from gpu_runs.checkpoints.state_dicts import placed, require_fitting
from gpu_runs.errors import OWN_CODE, CheckpointError, printable, shown

CONFIG, SCHEDULER = "config.json", "scheduler_config.json"
_NETWORKS = ("unet", "transformer")
_PARTS = (*_NETWORKS, "scheduler", "vae")
_PARTS_OF_TEXT = ("text_encoder", "text_encoder_2", "tokenizer")
_MOST_PATCHES = 128
"""On a side; DiT has 32."""
_RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Layers of attention in older files, and their present names."""


@dataclass(frozen=True)
class Part:
    """A network in a folder: its class, its options and its tensors."""

    kind: str
    options: dict[str, Any]
    tensors: dict[str, Tensor]

    def module(self, device: torch.device) -> nn.Module:
        """The network, for evaluation only, in single precision. Raises CheckpointError."""
        kind = CLASSES[self.kind]
        try:
            with torch.device("meta"):
                net = kind(**self.options)
        except Exception as error:  # channels that do not fit groups, lists of different lengths
            raise CheckpointError(
                f"no {self.kind} has these options: {shown(str(error), 100)}"
            ) from error
        expected = net.state_dict()
        tensors = _in_present_names(self.tensors, expected)
        require_fitting(expected, tensors)
        if {name for name, _ in net.named_buffers()} - expected.keys():
            net = kind(**self.options)  # buffers that no file has are made with it
        own = {
            name: placed(name, tensor, device, torch.float32) for name, tensor in tensors.items()
        }
        net.load_state_dict(own, assign=True)
        evaluated: nn.Module = nn.Module.to(net, device).eval().requires_grad_(False)
        return evaluated


@dataclass(frozen=True)
class DiffusersFolder:
    """A folder that was read: its network, on what that was trained, and a decoder if it has one.

    Attributes
    ----------
    path : of the folder. files : the SHA-256 of those that were read, by their paths in it.
    """

    path: Path
    files: Mapping[str, str]
    part: Part
    training: Training
    scheduler: Mapping[str, Any]
    decoder: Part | None

    @property
    def sha256(self) -> str:
        """One for all files and their names, in hexadecimal."""
        return digest_of(self.files)

    @property
    def label_dim(self) -> int:
        """The number of classes, 0 for none."""
        name = "num_class_embeds" if self.part.kind == UNET else "num_embeds_ada_norm"
        return self.part.options[name] or 0

    def network(self, device: torch.device) -> ScheduledNetwork:
        """The network. Raises CheckpointError: the tensors are not those of the settings."""
        try:
            return self._network(device)
        except CheckpointError as error:
            raise CheckpointError(f"{printable(self.path)}: {error}") from error

    def _network(self, device: torch.device) -> ScheduledNetwork:
        options = self.part.options
        n = square(options["sample_size"])
        state = (options["in_channels"], n, n)
        decoder, image = None, state
        if self.decoder:
            if self.decoder.options["latent_channels"] != state[0]:
                raise CheckpointError(
                    f"its vae is for {self.decoder.options['latent_channels']} channels, its network "
                    f"for {state[0]}"
                )
            decoder = Decoder(self.decoder.module(device), self.decoder.options)
            larger = n << (len(self.decoder.options["block_out_channels"]) - 1)
            image = (self.decoder.options["out_channels"], larger, larger)
        network = ScheduledNetwork(
            self.part.module(device),
            self.training,
            state,
            label_dim=self.label_dim,
            no_class=self.label_dim if self.part.kind == TRANSFORMER else None,
            decoder=decoder,
            image_shape=image,
        ).eval()
        return network


class Decoder(nn.Module):
    """An autoencoder's way from latents, in the units of the network, to images."""

    def __init__(self, vae: Any, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.vae = vae
        self.scale, self.shift = options["scaling_factor"], options["shift_factor"] or 0.0

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (batch, c, n, n) to images (batch, channels, m, m), values about from -1 to 1."""
        images: Tensor = self.vae.decode(latents / self.scale + self.shift).sample
        return images


def read_folder(path: str | os.PathLike[str]) -> DiffusersFolder:
    """A folder of diffusers as data.

    Raises
    ------
    CheckpointError : no such folder, or one that is malformed or hostile; one line says what and where.
    LibraryError : diffusers is not installed.
    """
    files, part = _located(Path(path)), ""
    named: Mapping[str, object] = {}
    if files.has(INDEX):
        index = files.settings(INDEX)
        with files.blamed_on(INDEX):
            named = _parts_in(index)
            part = files.part(_network_among(named), CONFIG)
    network = _part(files, part, UNET, TRANSFORMER)
    with files.blamed_on(f"{part}{CONFIG}"):
        _require_plain(network)
    settings, scheduler = _scheduler(files, part)
    with files.blamed_on(scheduler):
        options = network.options
        learned = options["out_channels"] == 2 * options["in_channels"]
        counts = options.get("time_embedding_type") == "learned"
        training = training_of(settings, learned_variance=learned, counts=counts)
    decoder = _part(files, "vae/", DECODER) if "vae" in named else None
    return DiffusersFolder(Path(path), files.sha256, network, training, settings, decoder)


def _located(path: Path) -> FolderFiles:
    """The folder to read: that of the pipeline, if the path is that of the network in it."""
    files, above = FolderFiles(path), FolderFiles(path.absolute().parent)
    if not files.has(INDEX) and path.absolute().name in _NETWORKS and above.has(INDEX):
        return above
    if not files.has(INDEX) and not files.has(CONFIG):
        found = [name for name in _NETWORKS if files.has(f"{name}/{CONFIG}")]
        way_out = (
            f"give {printable(path / found[0])}, beside which the scheduler is, or save the pipeline"
            if found
            else "--network takes what save_pretrained of diffusers writes, of a pipeline or of its network"
        )
        raise CheckpointError(
            f"{printable(path)} is a folder without {INDEX} or {CONFIG}: {way_out}"
        )
    return files


def _parts_in(index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The parts of a pipeline, all of which are known, and the library and class of each."""
    if not isinstance(index.get("_class_name", ""), str):
        raise CheckpointError(f"asks for a pipeline of its own code: nothing was run; {OWN_CODE}")
    parts = {
        name: pair
        for name, value in index.items()
        if isinstance(value, list)
        and not name.startswith("_")
        and (pair := named_class(name, value))
    }
    if any(name in _PARTS_OF_TEXT for name in parts):
        raise CheckpointError(f"is a pipeline with {_first(parts, _PARTS_OF_TEXT)}: {FOR_PROMPTS}")
    for name, (library, _) in parts.items():
        if name not in _PARTS:
            raise CheckpointError(
                f"has a part {shown(name)}; known: {', '.join(_PARTS)}; {OWN_CODE}"
            )
        if library not in ("diffusers", "seeds_theory.diffusers"):
            raise CheckpointError(
                f"takes its {name} from {shown(library)}, which is not diffusers; nothing was run"
            )
    return parts


def _network_among(parts: Iterable[str]) -> str:
    """The name of the one network of a pipeline."""
    found = [name for name in parts if name in _NETWORKS]
    if len(found) != 1:
        raise CheckpointError(
            f"has {' and '.join(found) or 'no network'}; one of {' or '.join(_NETWORKS)} is needed"
        )
    return found[0]


def _first(names: Iterable[str], among: tuple[str, ...]) -> str:
    return next(name for name in names if name in among)


def _part(files: FolderFiles, part: str, *classes: str) -> Part:
    """The network in a part of the folder."""
    config = files.settings(f"{part}{CONFIG}")
    with files.blamed_on(f"{part}{CONFIG}"):
        kind, options = options_of(config, *classes)
    return Part(kind, options, files.tensors(part))


def _require_plain(network: Part) -> None:
    """It returns as many channels as it takes, or a variance beside; its classes are counted."""
    options = network.options
    c_in = options["in_channels"]
    options["out_channels"] = options["out_channels"] or c_in
    if options["out_channels"] not in (c_in, 2 * c_in):
        raise CheckpointError(
            f"returns {options['out_channels']} channels for {c_in}; as many, or twice as many with a "
            f"variance, make a denoiser; {OWN_CODE}"
        )
    if kind := options.get("class_embed_type"):
        raise CheckpointError(
            f"takes a class as a {kind}, so that its classes are not known; {OWN_CODE}"
        )
    side = square(options["sample_size"])
    if network.kind == TRANSFORMER and (patches := side // options["patch_size"]) > _MOST_PATCHES:
        raise CheckpointError(
            f"cuts images into {patches} x {patches} patches; {_MOST_PATCHES} x {_MOST_PATCHES} at most, as "
            "the table of their places is not in the file"
        )


def _scheduler(files: FolderFiles, part: str) -> tuple[dict[str, Any], str]:
    """The settings of the scheduler, and the path of their file in the folder."""
    places = (
        f"scheduler/{SCHEDULER}",
        SCHEDULER,
        f"{part}{SCHEDULER}",
        f"../scheduler/{SCHEDULER}",
    )
    place = next((place for place in places if files.has(place)), None)
    if place is None:
        raise CheckpointError(
            f"{printable(files.path)} does not say on what its network was trained: it needs the pipeline's "
            f"scheduler/{SCHEDULER}"
        )
    return files.settings(place), place


def _in_present_names(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors, with the layers of attention called as they are today."""
    named = {}
    for name, tensor in tensors.items():
        *outer, layer, kind = ["", *name.split(".")] if "." in name else ["", "", name]
        present = ".".join([*outer[1:], _RENAMED.get(layer, layer), kind])
        renamed = name not in expected and present in expected and present not in tensors
        named[present if renamed else name] = tensor
    return named
