"""The features of Fashion-MNIST: the hidden layer of a small classifier, and statistics of pixels beside it.

They are of 32x32 gray images. `python -m gpu_runs.train_features` makes their file, which is part of the
package: scores of this data need no network from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gpu_runs.errors import printable
from gpu_runs.files.inputs import open_regular, reason
from gpu_runs.files.strict_json import strict_object
from gpu_runs.files.whole import whole_file
from gpu_runs.scores import pixels
from gpu_runs.scores.pixels import PixelStatistics
from seeds_theory.errors import SeedsError
from seeds_theory.extras import optional_imports

with optional_imports():
    from safetensors import safe_open
    from safetensors.torch import save

MODEL_FILE = Path(__file__).parents[1] / "models" / "fashion-mnist-features.safetensors"
IMAGE_SHAPE = (1, 32, 32)
HIDDEN = 64
"""Units of the classifier's last hidden layer."""

DIM = HIDDEN + pixels.DIM
"""The number of features."""

_CARD = "model_card"  # the one key of the file's metadata
_MOST_BYTES = 2**24  # of a file; the one of the package has 0.7 MB


class FeatureError(SeedsError):
    """A feature network that cannot be had, or that cannot read the images."""


class Classifier(nn.Module):
    """Five convolutions, 64 hidden units, ten classes; 270 thousand parameters.

    The hidden units see the 4x4 map with its positions, not its mean: what is out of place in an image
    counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            *_convolution(1, 32, 2),
            *_convolution(32, 64, 1),
            *_convolution(64, 64, 2),
            *_convolution(64, 128, 1),
            *_convolution(128, 64, 2),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, HIDDEN),
        )
        self.classes = nn.Linear(HIDDEN, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden units (n, 64) before their ReLU, and logits (n, 10); images (n, 1, 32, 32) from 0 to 255."""
        hidden = self.hidden(images.float() / 127.5 - 1)
        return hidden, self.classes(hidden.relu())


class FashionFeatures(nn.Module):
    """A classifier and statistics of pixels as one network of features.

    Hidden units are taken before their ReLU, which maps to 0 whatever they do not know. The features have
    mean 0 over the images that they were fitted to, and those of the three kinds, hidden units, coordinates
    along principal components and logarithms, mean variance 1 each: so each kind has a say in a distance.
    offset, scale : (DIM,).
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, classifier: Classifier | None = None) -> None:
        super().__init__()
        self.classifier = Classifier() if classifier is None else classifier
        self.pixels = PixelStatistics(IMAGE_SHAPE[1] * IMAGE_SHAPE[2])
        self.register_buffer("offset", torch.zeros(DIM))
        self.register_buffer("scale", torch.ones(DIM))

    @torch.inference_mode()
    def fit(self, images: Tensor) -> None:
        """Take principal components, offsets and scales from uint8 images (n, 1, 32, 32)."""
        self.pixels.fit(images)
        self.offset.zero_()
        self.scale.fill_(1)
        raw = torch.cat([self(batch)[0] for batch in images.split(500)]).double()
        variances = raw.var(dim=0)
        kinds = (HIDDEN, pixels.COMPONENTS)
        scales = [
            part.mean().rsqrt().expand(len(part))
            for part in variances.tensor_split((kinds[0], sum(kinds)))
        ]
        self.offset.copy_(raw.mean(dim=0))
        self.scale.copy_(torch.cat(scales))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, DIM) and logits (n, 10) of uint8 images (n, 1, 32, 32)."""
        levels = images.float()
        hidden, logits = self.classifier(levels)
        features = torch.cat([hidden, self.pixels(levels)], dim=1)
        return (features - self.offset) * self.scale, logits


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


@dataclass(frozen=True)
class ModelCard:
    """How the classifier in a file was made, and how good it is."""

    data: str
    epochs: int
    batch: int
    learning_rate: float
    seed: int
    test_accuracy: float


def rounded(model: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a model as files hold them: matrices and kernels in float16."""
    return {
        name: (value.half() if value.ndim > 1 else value).contiguous()
        for name, value in model.state_dict().items()
    }


def save_features(model: FashionFeatures, card: ModelCard, path: Path) -> None:
    """Write the parameters and the card as safetensors, the same bytes for the same numbers.

    Raises OutputError if the file cannot be written.
    """
    with whole_file(path) as part:
        part.write_bytes(save(rounded(model), {_CARD: json.dumps(asdict(card), sort_keys=True)}))


def load_fashion_features(path: Path = MODEL_FILE) -> tuple[FashionFeatures, ModelCard, str]:
    """The features in a file, ready to evaluate, their card, and the SHA-256 of the file.

    Raises FeatureError for a file that is missing or is not one of `save_features`.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        with safe_open(path, "pt") as tensors:
            card = ModelCard(**strict_object((tensors.metadata() or {})[_CARD]))
            state = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
        model = FashionFeatures()
        model.load_state_dict(state)
        if not all(value.isfinite().all() for value in state.values()):
            raise ValueError("it holds nan or inf")
    except Exception as error:  # of the library, of JSON or of torch, for damaged and foreign files
        raise FeatureError(
            f"{printable(path)} does not hold the features of Fashion-MNIST ({reason(error)}): make it "
            "again with python -m gpu_runs.train_features"
        ) from None
    return model.eval().requires_grad_(False), card, hashlib.sha256(content).hexdigest()
