import io
import pickle
import sys
import textwrap

import pytest
import torch
from torch import nn

from gpu_runs.classifier import (
    MODEL_FILE,
    Classifier,
    FeatureError,
    ModelCard,
    load_classifier,
    save_classifier,
)
from gpu_runs.fashion_mnist import DEBIAN_FOLDER, load_fashion_mnist
from gpu_runs.features import load_features
from gpu_runs.train_features import accuracy, train_classifier

CARD = ModelCard("made up", 1, 128, 1e-3, 0, 0.5)


def random_images(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


# ------------------------------------------------------------------------------ Fashion-MNIST


def test_classifier_is_small_and_says_how_good_it_is():
    model, card, digest = load_classifier()
    assert MODEL_FILE.stat().st_size < 1.3e6
    assert 100_000 < sum(p.numel() for p in model.parameters()) < 300_000
    assert card.test_accuracy > 0.92
    assert len(digest) == 64
    assert not model.training


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="needs dataset-fashion-mnist")
def test_classifier_is_as_good_as_its_card_says():
    model, card, _ = load_classifier()
    images, labels = load_fashion_mnist(DEBIAN_FOLDER, "test")
    error = (card.test_accuracy * (1 - card.test_accuracy) / 2000) ** 0.5
    assert abs(accuracy(model, images[:2000], labels[:2000]) - card.test_accuracy) < 4 * error


def test_fashion_mnist_features():
    network = load_features()
    images = random_images(6, 1, 32, 32)
    features, probabilities = network(images)
    assert features.shape == (6, 64)
    assert (features >= 0).all()
    assert features.any()
    assert probabilities.shape == (6, 10)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(network(images[2:3])[0], features[2:3], rtol=1e-4, atol=1e-4)
    assert (network.name, network.is_inception) == ("fashion-mnist", False)
    with pytest.raises(FeatureError, match=r"\(1, 32, 32\); got \(3, 32, 32\)"):
        network(random_images(2, 3, 32, 32))


def test_classifier_file_keeps_the_model_and_the_card(tmp_path):
    torch.manual_seed(0)
    model = Classifier().eval()
    for name in "ab":
        save_classifier(model, CARD, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded, card, _ = load_classifier(tmp_path / "a")
    assert card == CARD
    images = random_images(3, 1, 32, 32)
    assert all(map(torch.equal, loaded(images), model(images)))


def test_files_that_hold_no_classifier(tmp_path):
    path = tmp_path / "features.safetensors"
    with pytest.raises(FeatureError, match="make it again with python -m gpu_runs"):
        load_classifier(path)
    whole = MODEL_FILE.read_bytes()
    other = io.BytesIO()
    torch.save(Classifier().state_dict(), other)
    for content in (
        b"",
        whole[:-1],
        whole.replace(b"model_card", b"model_cord"),
        whole.replace(b"classes.bias", b"classes.bies"),
        other.getvalue(),
    ):
        path.write_bytes(content)
        with pytest.raises(FeatureError, match="does not hold the Fashion-MNIST") as caught:
            load_classifier(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(bytes(2**24 + 1))
    with pytest.raises(FeatureError, match="at most 16777216 bytes"):
        load_classifier(path)


def test_training_learns_and_is_reproducible(monkeypatch):
    monkeypatch.setattr("gpu_runs.train_features.BATCH", 16)  # enough steps in little time
    # Two classes that any classifier can tell: bright above, or bright below.
    images = random_images(256, 1, 32, 32) // 4
    labels = torch.arange(256) % 2
    images[labels == 0, :, :16] += 100
    images[labels == 1, :, 16:] += 100
    first, second = (train_classifier(images, labels, epochs=2, seed=1) for _ in range(2))
    assert accuracy(first, images, labels) > 0.95
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


# ------------------------------------------------------------------------------ other networks


class Means(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean(dim=(2, 3))


class Asked(nn.Module):
    """Like NVIDIA's Inception: classes, unless it is asked for features."""

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        means = x.float().mean(dim=(2, 3))
        return means if return_features else means.sum(dim=1, keepdim=True)


class Bytes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 0, 0]


class Narrow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(7, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.float())


@pytest.fixture
def scripted(tmp_path):
    def save(module):
        path = tmp_path / f"{type(module).__name__}.pt"
        torch.jit.save(torch.jit.script(module), path)
        return path

    return save


@pytest.mark.parametrize("module", [Means(), Asked()])
def test_torchscript_is_run_if_trusted(scripted, module):
    path = scripted(module)
    with pytest.raises(FeatureError, match="TorchScript file is a program; --trust vouches"):
        load_features(str(path))
    network = load_features(str(path), trust=True)
    images = random_images(4, 3, 5, 6)
    features, probabilities = network(images)
    torch.testing.assert_close(features, images.float().mean(dim=(2, 3)))
    assert probabilities is None
    assert (network.name, network.is_inception) == (path.name, False)
    # Gray is repeated.
    assert network(images[:, :1])[0].shape == (4, 3)


def test_torchscript_is_inception_if_the_user_says_so(scripted):
    path = scripted(Asked())
    with pytest.raises(FeatureError, match="--trust vouches"):
        load_features("inception", weights=path)
    network = load_features("inception", weights=path, trust=True)
    assert (network.name, network.is_inception) == ("Inception, Asked.pt", True)


def test_torchscript_that_gives_no_features(scripted):
    images = random_images(2, 3, 5, 6)
    with pytest.raises(FeatureError, match=r"features are floats .* Bytes\.pt gives torch\.uint8"):
        load_features(str(scripted(Bytes())), trust=True)(images)
    with pytest.raises(FeatureError, match=r"Narrow.pt cannot read the images: .*shapes") as caught:
        load_features(str(scripted(Narrow())), trust=True)(images)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_torchscript(tmp_path):
    path = tmp_path / "network.pt"
    for content in (b"", b"text", pickle.dumps({})):
        path.write_bytes(content)
        with pytest.raises(FeatureError, match="is no TorchScript file") as caught:
            load_features(str(path), trust=True)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"features": "resnet"}, "fashion-mnist, inception or a TorchScript file; got resnet"),
        ({"features": "inception"}, "need a weights file"),
        ({"weights": MODEL_FILE}, "fashion-mnist features have their weights"),
        ({"features": str(MODEL_FILE), "weights": MODEL_FILE}, "has its weights"),
    ],
)
def test_features_that_cannot_be_had(options, match):
    with pytest.raises(FeatureError, match=match):
        load_features(**options)


# ------------------------------------------------------------------------------ torch-fidelity

STAND_IN = """
import torch
class FeatureExtractorInceptionV3(torch.nn.Module):
    def __init__(self, name, features_list, feature_extractor_weights_path=None):
        super().__init__()
        assert features_list == ["2048", "logits_unbiased"]
        self.fc = torch.nn.Linear(3, 2, bias=False)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=False))
    def forward(self, x):
        assert x.dtype == torch.uint8 and x.shape[1] == 3
        means = x.float().mean(dim=(2, 3)) / 255
        return means, self.fc(means)
"""


@pytest.fixture
def torch_fidelity(tmp_path, monkeypatch):
    """A package laid out like torch-fidelity, in an environment without torchvision."""
    package = tmp_path / "site" / "torch_fidelity"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('No module named torchvision')")
    (package / "feature_extractor_inceptionv3.py").write_text(textwrap.dedent(STAND_IN))
    for name in [name for name in sys.modules if name.split(".")[0] == "torch_fidelity"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(package.parent)
    return tmp_path / "weights.pth"


@pytest.mark.parametrize("archive", [True, False])
def test_inception_of_torch_fidelity(torch_fidelity, archive):
    weight = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    torch.save({"fc.weight": weight}, torch_fidelity, _use_new_zipfile_serialization=archive)
    network = load_features("inception", weights=torch_fidelity)
    images = random_images(4, 1, 8, 8)
    features, probabilities = network(images)
    means = images.float().mean(dim=(2, 3)).expand(4, 3) / 255
    torch.testing.assert_close(features, means)
    torch.testing.assert_close(probabilities, (means @ weight.T).softmax(dim=1))
    assert (network.name, network.is_inception) == ("Inception, torch-fidelity", True)
    assert "torch_fidelity" not in sys.modules


class Hostile:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


@pytest.mark.parametrize("archive", [True, False])
def test_weights_cannot_run_code(torch_fidelity, tmp_path, archive):
    trace = tmp_path / "trace"
    content = {"fc.weight": Hostile(trace)}
    torch.save(content, torch_fidelity, _use_new_zipfile_serialization=archive)
    with pytest.raises(FeatureError, match="holds other things than tensors"):
        load_features("inception", weights=torch_fidelity)
    assert not trace.exists()


def test_weights_of_another_network(torch_fidelity):
    files = []
    for content in ({}, {"fc.weight": torch.zeros(5, 3)}, [1, 2]):
        torch.save(content, torch_fidelity)
        files.append(torch_fidelity.read_bytes())
    for content in (*files, files[1][:-40], files[1][200:], b""):
        torch_fidelity.write_bytes(content)
        with pytest.raises(FeatureError, match="no state dict of torch-fidelity") as caught:
            load_features("inception", weights=torch_fidelity)
        assert "\n" not in str(caught.value)
    with pytest.raises(FeatureError, match="No such file"):
        load_features("inception", weights=torch_fidelity.with_name("missing.pth"))


def test_torch_fidelity_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FeatureError, match="pip install torch-fidelity"):
        load_features("inception", weights=tmp_path / "weights.pth")
