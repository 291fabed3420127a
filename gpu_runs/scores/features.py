"""Feature networks: what turns images into the features whose statistics are compared.

A distance is called FID only in the features of Inception; in any other features it is a Frechet
distance, and is printed with their name. Inception is known by the SHA-256 of its public files. Another
file is Inception if the user says so and it gives as many features; then the name says so too.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from gpu_runs.errors import printable
from gpu_runs.files.inputs import open_regular, reason
from gpu_runs.machine.device import arithmetic, require_device
from gpu_runs.names import FASHION_MNIST, INCEPTION
from gpu_runs.scores.fashion_features import IMAGE_SHAPE, FeatureError, load_fashion_features

INCEPTION_DIM = 2048
"""How many features Inception has, for images of any size."""

PUBLIC_INCEPTION = {
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4": "Inception, NVIDIA",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": "Inception, torch-fidelity",
}
"""SHA-256 of the 2015-12-05 Inception: NVIDIA's TorchScript, and the state dict of torch-fidelity."""

_TORCH_FILES = (b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
"""How files of torch begin: archives, and those before them. torch before 2.6 takes a tar of 2016, too, and
does what its pickles say."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A network from images to features, and to class probabilities if it has classes.

    name : says which features they are, in print and in files of statistics.
    is_inception : whether a Frechet distance in them is an FID.
    digest : SHA-256 of the file that the weights came from.
    forward : uint8 (n, channels, h, w) -> features (n, d), probabilities (n, classes) or None.
    image_shape : (channels, h, w) of the images; None for any size, gray repeated to 3 channels.
    """

    name: str
    is_inception: bool
    digest: str
    forward: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    device: torch.device
    image_shape: tuple[int, int, int] | None = None

    @property
    def distance(self) -> str:
        """What a Frechet distance in these features is called."""
        return f"{'FID' if self.is_inception else 'Frechet distance'} ({self.name} features)"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (n, d) and class probabilities (n, classes) or None, float32 on the device.

        GPUs compute in full float32, whatever the flags of the process say.
        Raises FeatureError for images it does not read, or if what comes out is no features.
        """
        shape = tuple(images.shape[1:])
        if self.image_shape is not None and shape != self.image_shape:
            raise FeatureError(
                f"{self.name} features are of images (channels, height, width) "
                f"{self.image_shape}; got {shape}"
            )
        if self.device.type == "cuda" and images.device.type == "cpu":
            images = images.pin_memory()  # the copy then does not wait for the batch before
        images = images.to(self.device, non_blocking=True)
        if self.image_shape is None and len(shape) == 3 and shape[0] == 1:
            images = images.expand(-1, 3, -1, -1)
        with arithmetic(tf32=False):
            features, probabilities = self.forward(images)
        if features.ndim != 2 or len(features) != len(images) or not features.is_floating_point():
            raise FeatureError(
                f"features are floats (n, d); {self.name} gives {features.dtype} "
                f"{tuple(features.shape)} for {len(images)} images"
            )
        return features.float(), None if probabilities is None else probabilities.float()


def load_features(
    features: str = FASHION_MNIST,
    *,
    weights: Path | None = None,
    trust: bool = False,
    device: str | torch.device = "cpu",
) -> FeatureNetwork:
    """A feature network, by name or file.

    "fashion-mnist": those of this package, of a classifier and of pixels. "inception": Inception from
    `weights`, a state dict for torch-fidelity's network, or a TorchScript file. Anything else is a
    TorchScript file.

    A state dict is read as tensors only. TorchScript is a program: it is run only with `trust`.
    Raises FeatureError for what is missing, not trusted or not such a file, ParameterError for a
    device that is not there.
    """
    device = require_device(device)
    if features == FASHION_MNIST:
        if weights is not None:
            raise FeatureError(
                f"{FASHION_MNIST} features have their weights; got {printable(weights)}"
            )
        return _fashion_mnist(device)
    if features == INCEPTION:
        if weights is None:
            raise FeatureError(
                "inception features need a weights file: torch-fidelity's state dict "
                "pt_inception-2015-12-05-6726825d.pth, or a TorchScript Inception with --trust"
            )
        return _inception(weights, trust, device)
    path = Path(features)
    if not path.exists():
        raise FeatureError(
            f"there is no file {printable(features)}: features are {FASHION_MNIST}, {INCEPTION} or a "
            "TorchScript file"
        )
    if weights is not None:
        raise FeatureError(
            f"the TorchScript file {printable(path)} has its weights; got {printable(weights)} too"
        )
    return _torchscript(path, _content(path), printable(path.name), trust, device)


def _fashion_mnist(device: torch.device) -> FeatureNetwork:
    model, _, digest = load_fashion_features()
    model.to(device)

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = model(images)
        return features, logits.softmax(dim=1)

    return FeatureNetwork(FASHION_MNIST, False, digest, forward, device, IMAGE_SHAPE)


def _inception(weights: Path, trust: bool, device: torch.device) -> FeatureNetwork:
    """The network in a file that the user says is Inception. Raises FeatureError if it cannot be."""
    content = _content(weights)
    file = printable(weights.name)
    name = PUBLIC_INCEPTION.get(_sha256(content), f"{file}, Inception as the user vouches")
    if not _is_torchscript(content):
        return _torch_fidelity(weights, content, name, device)
    network = _torchscript(weights, content, name, trust, device, is_inception=True)
    for size in (32, 48):
        features, _ = network(torch.zeros((1, 3, size, size), dtype=torch.uint8))
        if features.shape[1] != INCEPTION_DIM:
            raise FeatureError(
                f"Inception has {INCEPTION_DIM} features, {file} gives {features.shape[1]} for an "
                f"image of {size}x{size}: for features of its own, name it as --features"
            )
    return network


def _torch_fidelity(
    weights: Path, content: bytes, name: str, device: torch.device
) -> FeatureNetwork:
    """torch-fidelity's port of the Inception that FID was defined with."""
    network = _torch_fidelity_class()
    try:
        # The library unpickles what it is given without restriction: it gets a copy, written here,
        # of the tensors that a restricted load found.
        if not content.startswith(_TORCH_FILES):
            raise ValueError("it is no file of torch.save")
        state = torch.load(io.BytesIO(content), "cpu", weights_only=True)
        copy = io.BytesIO()
        torch.save({str(key): value.detach() for key, value in state.items()}, copy)
        copy.seek(0)
        model = network(
            "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=copy
        )
    except Exception as error:  # of torch or the library, for damaged and foreign files
        # torch's own words for a pickle that wants more than tensors advise to run it.
        hostile = isinstance(error, pickle.UnpicklingError)
        why = "it holds other things than tensors" if hostile else reason(error)
        raise FeatureError(
            f"{printable(weights)} is no state dict of torch-fidelity's Inception: {why}"
        ) from None
    model.to(device)

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = model(images)
        return features, logits.softmax(dim=1)

    return FeatureNetwork(name, True, _sha256(content), forward, device)


def _torch_fidelity_class() -> Callable[..., torch.nn.Module]:
    """FeatureExtractorInceptionV3, without the rest of the package.

    That rest imports torchvision, which Inception does not need; so its module is imported below
    an empty package of the same name, which is taken away again.
    """
    package = "torch_fidelity"
    found = importlib.util.find_spec(package)
    if found is None or found.submodule_search_locations is None:
        raise FeatureError("inception features need torch-fidelity: pip install torch-fidelity")
    before = {name: module for name, module in sys.modules.items() if _is_part(name, package)}
    empty = ModuleType(package)
    empty.__path__ = list(found.submodule_search_locations)
    try:
        if not before:
            sys.modules[package] = empty
        module = importlib.import_module(f"{package}.feature_extractor_inceptionv3")
    finally:
        for name in [name for name in sys.modules if _is_part(name, package)]:
            if name not in before:
                del sys.modules[name]
    return module.FeatureExtractorInceptionV3


def _is_part(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _torchscript(
    file: Path,
    content: bytes,
    name: str,
    trust: bool,
    device: torch.device,
    *,
    is_inception: bool = False,
) -> FeatureNetwork:
    """The network in a TorchScript file, which is asked for `return_features` if it knows that word."""
    if not trust:
        raise FeatureError(
            f"{printable(file)} would be run: a TorchScript file is a program; --trust vouches for it"
        )
    try:
        model = torch.jit.load(io.BytesIO(content), map_location=device).eval()
        schema = model.forward.schema
    except Exception as error:  # of torch, for damaged and foreign files
        raise FeatureError(
            f"{printable(file)} is no TorchScript file of a network: {reason(error)}"
        ) from None
    returned = [str(value.type) for value in schema.returns]
    if returned != ["Tensor"]:
        raise FeatureError(
            f"a feature network returns one tensor; that in {printable(file)} returns "
            f"{printable(', '.join(returned)[:60])}"
        )
    # NVIDIA's Inception returns classes unless it is asked for features.
    asked = any(argument.name == "return_features" for argument in schema.arguments)
    options = {"return_features": True} if asked else {}

    def forward(images: Tensor) -> tuple[Tensor, None]:
        try:
            return model(images, **options), None
        except Exception as error:  # of the program in the file, which may raise any
            raise FeatureError(
                f"{printable(file)} cannot read the images: {reason(error, -1)}"
            ) from None

    return FeatureNetwork(name, is_inception, _sha256(content), forward, device)


def _content(file: Path) -> bytes:
    try:
        with open_regular(file) as opened:
            return opened.read()
    except (OSError, ValueError, MemoryError) as error:
        raise FeatureError(f"cannot read {printable(file)}: {reason(error)}") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_torchscript(content: bytes) -> bool:
    """Whether torch could take a file for a program: a zip with this name in it, be it anywhere.

    torch before 2.6 runs such a file even if it is asked to load tensors only. The name is not looked
    up in the zip's directory, of which two readers may have two views.
    """
    return content.startswith(b"PK") and b"constants.pkl" in content
