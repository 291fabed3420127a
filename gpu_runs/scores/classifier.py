"""The small classifier of Fashion-MNIST whose last hidden layer serves as features for scores.

It reads 32x32 gray images. `python -m gpu_runs.train_features` makes its file, which is part of
the package: scores of this data need no network from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor, nn

from gpu_runs.errors import printable
from gpu_runs.files.inputs import open_regular, reason
from gpu_runs.files.whole import whole_file
from seeds_theory.errors import SeedsError
from seeds_theory.extras import optional_imports

with optional_imports():
    from safetensors import safe_open
    from safetensors.torch import save

MODEL_FILE = Path(__file__).parents[1] / "models" / "fashion-mnist-features.safetensors"
IMAGE_SHAPE = (1, 32, 32)
DIM = 64
"""The number of features."""

_CARD = "model_card"  # the one key of the file's metadata
_MOST_BYTES = 2**24  # of a file; the classifier's has 1.1 MB


class FeatureError(SeedsError):
    """A feature network that cannot be had, or that cannot read the images."""


class Classifier(nn.Module):
    """Five convolutions, 64 features, ten classes; 270 thousand parameters.

    The features come from the 4x4 map with its positions, not from its mean: what is out of place
    in an image counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(1, 32, 2),
            *_convolution(32, 64, 1),
            *_convolution(64, 64, 2),
            *_convolution(64, 128, 1),
            *_convolution(128, 64, 2),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, DIM),
            nn.ReLU(),
        )
        self.classes = nn.Linear(DIM, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, 64) and logits (n, 10) of uint8 images (n, 1, 32, 32)."""
        features = self.features(images.float() / 127.5 - 1)
        return features, self.classes(features)


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


def save_classifier(model: Classifier, card: ModelCard, path: Path) -> None:
    """Write the parameters and the card as safetensors, the same bytes for the same numbers.

    Raises OutputError if the file cannot be written.
    """
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    with whole_file(path) as part:
        part.write_bytes(save(state, {_CARD: json.dumps(asdict(card), sort_keys=True)}))


def load_classifier(path: Path = MODEL_FILE) -> tuple[Classifier, ModelCard, str]:
    """The classifier in a file, ready to evaluate, its card, and the SHA-256 of the file.

    Raises FeatureError for a file that is missing or is not one of `save_classifier`.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        with safe_open(path, "pt") as tensors:
            card = ModelCard(**json.loads((tensors.metadata() or {})[_CARD]))
            state = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
        model = Classifier()
        model.load_state_dict(state)
    except Exception as error:  # of the library, of JSON or of torch, for damaged and foreign files
        raise FeatureError(
            f"{printable(path)} does not hold the Fashion-MNIST classifier ({reason(error)}): make it "
            "again with python -m gpu_runs.train_features"
        ) from None
    return model.eval().requires_grad_(False), card, hashlib.sha256(content).hexdigest()
