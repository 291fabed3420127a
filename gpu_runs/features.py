"""Feature networks: what turns images into the features whose statistics are compared.

A distance is called FID only in the features of Inception; in any other features it is a Frechet
distance, and is printed with their name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from gpu_runs.classifier import IMAGE_SHAPE, FeatureError, load_classifier
from gpu_runs.images import reason

FASHION_MNIST = "fashion-mnist"
INCEPTION = "inception"

_LOAD_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    pickle.UnpicklingError,
)
"""What torch raises for damaged or foreign files."""


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

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (n, d) and class probabilities (n, classes) or None, float32 on the CPU.

        Raises FeatureError for images it does not read, or if what comes out is no features.
        """
        shape = tuple(images.shape[1:])
        if self.image_shape is not None and shape != self.image_shape:
            raise FeatureError(
                f"{self.name} features are of images (channels, height, width) "
                f"{self.image_shape}; got {shape}"
            )
        images = images.to(self.device)
        if self.image_shape is None and len(shape) == 3 and shape[0] == 1:
            images = images.expand(-1, 3, -1, -1)
        features, probabilities = self.forward(images)
        if features.ndim != 2 or len(features) != len(images) or not features.is_floating_point():
            raise FeatureError(
                f"features are floats (n, d); {self.name} gives {features.dtype} "
                f"{tuple(features.shape)} for {len(images)} images"
            )
        if probabilities is not None:
            probabilities = probabilities.float().cpu()
        return features.float().cpu(), probabilities


def load_features(
    features: str = FASHION_MNIST,
    *,
    weights: Path | None = None,
    trust: bool = False,
    device: str | torch.device = "cpu",
) -> FeatureNetwork:
    """A feature network, by name or file.

    "fashion-mnist": the classifier of this package. "inception": Inception from `weights`, a state
    dict for torch-fidelity's network, or a TorchScript file. Anything else is a TorchScript file.

    A state dict is read as tensors only. TorchScript is a program: it is run only with `trust`.
    Raises FeatureError for what is missing, not trusted or not such a file.
    """
    device = torch.device(device)
    if features == FASHION_MNIST:
        if weights is not None:
            raise FeatureError(f"{FASHION_MNIST} features have their weights; got {weights}")
        return _fashion_mnist(device)
    if features == INCEPTION:
        if weights is None:
            raise FeatureError(
                "inception features need a weights file: torch-fidelity's state dict "
                "pt_inception-2015-12-05-6726825d.pth, or a TorchScript Inception with --trust"
            )
        if _is_torchscript(weights):
            return _torchscript(weights, trust, device, f"Inception, {weights.name}")
        return _torch_fidelity(weights, device)
    path = Path(features)
    if not path.is_file():
        raise FeatureError(
            f"features are {FASHION_MNIST}, {INCEPTION} or a TorchScript file; got {features}"
        )
    if weights is not None:
        raise FeatureError(f"the TorchScript file {path} has its weights; got {weights} too")
    return _torchscript(path, trust, device)


def _fashion_mnist(device: torch.device) -> FeatureNetwork:
    model, _, digest = load_classifier()
    model.to(device)

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = model(images)
        return features, logits.softmax(dim=1)

    return FeatureNetwork(FASHION_MNIST, False, digest, forward, device, IMAGE_SHAPE)


def _torch_fidelity(weights: Path, device: torch.device) -> FeatureNetwork:
    """torch-fidelity's port of the Inception that FID was defined with."""
    network = _torch_fidelity_class()
    try:
        content = weights.read_bytes()
        # The library unpickles what it is given without restriction: it gets a copy, written here,
        # of the tensors that a restricted load found.
        copy = io.BytesIO()
        torch.save(torch.load(io.BytesIO(content), "cpu", weights_only=True), copy)
        copy.seek(0)
        model = network(
            "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=copy
        )
    except _LOAD_ERRORS as error:
        # torch's own words for a pickle that wants more than tensors advise to run it.
        hostile = isinstance(error, pickle.UnpicklingError)
        why = "it holds other things than tensors" if hostile else reason(error)
        raise FeatureError(
            f"{weights} is no state dict of torch-fidelity's Inception: {why}"
        ) from None
    model.to(device)

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = model(images)
        return features, logits.softmax(dim=1)

    digest = hashlib.sha256(content).hexdigest()
    return FeatureNetwork("Inception, torch-fidelity", True, digest, forward, device)


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
    file: Path, trust: bool, device: torch.device, inception: str | None = None
) -> FeatureNetwork:
    """The network in a TorchScript file; `inception` is its name if the user says it is Inception."""
    if not trust:
        raise FeatureError(
            f"{file} would be run: a TorchScript file is a program; --trust vouches for it"
        )
    try:
        content = file.read_bytes()
        model = torch.jit.load(io.BytesIO(content), map_location=device).eval()
    except _LOAD_ERRORS as error:
        raise FeatureError(f"{file} is no TorchScript file: {reason(error)}") from None
    # NVIDIA's Inception returns classes unless it is asked for features.
    names = {argument.name for argument in model.forward.schema.arguments}
    options = {"return_features": True} if "return_features" in names else {}

    def forward(images: Tensor) -> tuple[Tensor, None]:
        try:
            return model(images, **options), None
        except RuntimeError as error:
            raise FeatureError(f"{file} cannot read the images: {reason(error, -1)}") from None

    digest = hashlib.sha256(content).hexdigest()
    return FeatureNetwork(inception or file.name, inception is not None, digest, forward, device)


def _is_torchscript(file: Path) -> bool:
    """Whether a file is an archive with code in it; a state dict is an archive without, or none."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
