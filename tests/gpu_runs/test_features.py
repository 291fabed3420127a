import hashlib
import io
import os
import pickle
import sys
import tarfile
import textwrap
import zipfile
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.backends import cuda

from gpu_runs.files.fashion_mnist import DEBIAN_FOLDER, load_fashion_mnist
from gpu_runs.files.whole import OutputError
from gpu_runs.scores.fashion_features import (
    DIM,
    MODEL_FILE,
    FashionFeatures,
    FeatureError,
    ModelCard,
    load_fashion_features,
    rounded,
    save_features,
)
from gpu_runs.scores.features import PUBLIC_INCEPTION, _torch_fidelity_class, load_features
from gpu_runs.train_features import accuracy, train_classifier

CARD = ModelCard("made up", 1, 128, 1e-3, 0, 0.5)


def random_images(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


# ------------------------------------------------------------------------------ Fashion-MNIST


def test_classifier_is_small_and_says_how_good_it_is():
    model, card, digest = load_fashion_features()
    assert MODEL_FILE.stat().st_size < 1e6
    assert 100_000 < sum(p.numel() for p in model.parameters()) < 300_000
    assert card.test_accuracy > 0.92
    assert len(digest) == 64
    assert not model.training


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="needs dataset-fashion-mnist")
def test_classifier_is_as_good_as_its_card_says():
    model, card, _ = load_fashion_features()
    images, labels = load_fashion_mnist(DEBIAN_FOLDER, "test")
    error = (card.test_accuracy * (1 - card.test_accuracy) / 2000) ** 0.5
    assert (
        abs(accuracy(model.classifier, images[:2000], labels[:2000]) - card.test_accuracy)
        < 4 * error
    )


def test_fashion_mnist_features():
    network = load_features()
    images = random_images(6, 1, 32, 32)
    features, probabilities = network(images)
    assert features.shape == (6, DIM)
    assert features.abs().min() > 0
    assert probabilities.shape == (6, 10)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(network(images[2:3])[0], features[2:3], rtol=1e-4, atol=1e-4)
    assert (network.name, network.is_inception) == ("fashion-mnist", False)
    with pytest.raises(FeatureError, match=r"\(1, 32, 32\); got \(3, 32, 32\)"):
        network(random_images(2, 3, 32, 32))


def test_feature_file_keeps_the_model_and_the_card(tmp_path):
    torch.manual_seed(0)
    model = FashionFeatures().eval()
    images = random_images(70, 1, 32, 32)
    model.classifier.load_state_dict(rounded(model.classifier))
    model.fit(images)
    for name in "ab":
        save_features(model, CARD, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded, card, _ = load_fashion_features(tmp_path / "a")
    assert card == CARD
    assert all(map(torch.equal, loaded(images), model(images)))


def test_fitted_features_have_mean_zero_and_each_kind_a_mean_variance_of_one():
    torch.manual_seed(0)
    model = FashionFeatures().eval()
    images = (random_images(300, 1, 32, 32).float() * torch.rand(300, 1, 1, 1)).byte()
    for _ in range(2):  # again: what was there before does not matter
        model.fit(images)
        with torch.inference_mode():
            features = model(images)[0].double()
        assert features.mean(dim=0).abs().max() < 1e-4
        for kind in features.var(dim=0).tensor_split((64, 88)):
            assert kind.mean().item() == pytest.approx(1, rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="needs dataset-fashion-mnist")
def test_features_are_fitted_to_the_training_images():
    model, _, _ = load_fashion_features()
    pixels = load_fashion_mnist(DEBIAN_FOLDER)[0].flatten(1).double()
    torch.testing.assert_close(model.pixels.mean.double(), pixels.mean(dim=0), rtol=1e-6, atol=1e-4)
    basis = model.pixels.components.double()
    torch.testing.assert_close(basis.T @ basis, torch.eye(64).double(), rtol=0, atol=1e-3)
    coordinates = torch.cov(((pixels - pixels.mean(dim=0)) @ basis).T)
    variances = coordinates.diagonal()
    assert (variances[:-1] >= variances[1:] * (1 - 1e-4)).all()
    assert (coordinates - variances.diag()).abs().max() < 1e-3 * variances[0]


def test_files_that_hold_no_classifier(tmp_path):
    path = tmp_path / "features.safetensors"
    with pytest.raises(FeatureError, match="make it again with python -m gpu_runs"):
        load_fashion_features(path)
    whole = MODEL_FILE.read_bytes()
    other = io.BytesIO()
    torch.save(FashionFeatures().state_dict(), other)
    for content in (
        b"",
        whole[:-1],
        whole.replace(b"model_card", b"model_cord"),
        whole.replace(b"classes.bias", b"classes.bies"),
        other.getvalue(),
    ):
        path.write_bytes(content)
        with pytest.raises(
            FeatureError, match="does not hold the features of Fashion-MNIST"
        ) as caught:
            load_fashion_features(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(bytes(2**24 + 1))
    with pytest.raises(FeatureError, match="more than 16777216 bytes"):
        load_fashion_features(path)
    with pytest.raises(OutputError, match="cannot write"):
        save_features(FashionFeatures(), CARD, path / "a")


@pytest.mark.slow
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


def test_features_do_not_depend_on_the_flags_of_the_process():
    seen = []

    def forward(images):
        seen.append(cuda.matmul.allow_tf32)
        return images[:, 0, 0].float(), None

    before = cuda.matmul.allow_tf32
    cuda.matmul.allow_tf32 = True
    try:
        replace(load_features(), forward=forward)(random_images(2, 1, 32, 32))
        assert seen == [False]
        assert cuda.matmul.allow_tf32
    finally:
        cuda.matmul.allow_tf32 = before


# ------------------------------------------------------------------------------ other networks


class Means(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean(dim=(2, 3))


class Asked(nn.Module):
    """Like NVIDIA's Inception: classes, unless it is asked for features."""

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        means = x.float().mean(dim=(2, 3))
        return means if return_features else means.sum(dim=1, keepdim=True)


class Wide(nn.Module):
    """As many features as Inception has, for images of any size."""

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        means = x.float().mean(dim=(2, 3))
        return means.repeat(1, 683)[:, :2048] if return_features else means


class OfSize(nn.Module):
    """2048 features only of images of 32x32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().flatten(1)[:, : 2 * x.shape[2] * x.shape[3]]


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.float()[:, :, 0, 0], x


class Silent(nn.Module):
    @torch.jit.export
    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x


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


def test_torchscript_of_2048_features_is_inception_if_the_user_vouches(scripted, monkeypatch):
    path = scripted(Wide())
    with pytest.raises(FeatureError, match="--trust vouches"):
        load_features("inception", weights=path)
    network = load_features("inception", weights=path, trust=True)
    assert network.is_inception
    assert network.distance == "FID (Wide.pt, Inception as the user vouches features)"
    # The same file without those words is a network like any other.
    own = load_features(str(path), trust=True)
    assert own.distance == "Frechet distance (Wide.pt features)"
    # A public file needs nobody's word.
    monkeypatch.setitem(PUBLIC_INCEPTION, network.digest, "Inception, known")
    known = load_features("inception", weights=path, trust=True)
    assert known.distance == "FID (Inception, known features)"


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (Asked(), "Inception has 2048 features, Asked.pt gives 3 for an image of 32x32"),
        (OfSize(), "OfSize.pt gives 4608 for an image of 48x48: .* name it as --features"),
    ],
)
def test_what_cannot_be_inception(scripted, module, match):
    with pytest.raises(FeatureError, match=match):
        load_features("inception", weights=scripted(module), trust=True)


def test_public_files_are_known_by_their_whole_digest():
    assert all(len(digest) == len(hashlib.sha256().hexdigest()) for digest in PUBLIC_INCEPTION)
    # The name of torch-fidelity's file has the first digits.
    assert any(digest.startswith("6726825d") for digest in PUBLIC_INCEPTION)


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (Pair(), r"returns one tensor; that in .*Pair.pt returns Tuple\[Tensor, Tensor\]"),
        (Silent(), "Silent.pt is no TorchScript file of a network: .*forward"),
    ],
)
def test_torchscript_without_a_call_that_gives_features(scripted, module, match):
    with pytest.raises(FeatureError, match=match) as caught:
        load_features(str(scripted(module)), trust=True)
    assert "\n" not in str(caught.value)


def test_pipes_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "weights.pt")
    with pytest.raises(FeatureError, match="no regular file"):
        load_features("inception", weights=tmp_path / "weights.pt", trust=True)
    with pytest.raises(FeatureError, match="no regular file"):
        load_features(str(tmp_path / "weights.pt"), trust=True)


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
        (
            {"features": "resnet"},
            "there is no file resnet: features are fashion-mnist, inception or a TorchScript file",
        ),
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
    assert network.distance == "FID (weights.pth, Inception as the user vouches features)"
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


def test_hidden_torchscript_is_not_given_to_torch(torch_fidelity, monkeypatch):
    torch.save({"fc.weight": torch.zeros(2, 3)}, torch_fidelity)
    with zipfile.ZipFile(torch_fidelity, "a") as archive:
        archive.writestr("weights/constants.pkl", b"")
    # What torch before 2.6 decides by.
    reader = torch._C.PyTorchFileReader(str(torch_fidelity))
    assert any(name.endswith("constants.pkl") for name in reader.get_all_records())
    for loader in ("torch.load", "torch.jit.load"):
        monkeypatch.setattr(loader, lambda *_, **__: pytest.fail("was loaded"))
    with pytest.raises(FeatureError, match="--trust vouches"):
        load_features("inception", weights=torch_fidelity)


def test_an_archive_of_tar_is_not_given_to_torch(torch_fidelity, monkeypatch):
    with tarfile.open(torch_fidelity, "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("was loaded"))
    with pytest.raises(FeatureError, match="it is no file of torch"):
        load_features("inception", weights=torch_fidelity)


def test_only_tensors_reach_the_library(torch_fidelity):
    torch.save({"fc.weight": torch.zeros(2, 3), "more": 1}, torch_fidelity)
    with pytest.raises(FeatureError, match="no state dict of torch-fidelity"):
        load_features("inception", weights=torch_fidelity)


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
    (tmp_path / "weights.pth").touch()
    with pytest.raises(FeatureError, match="pip install torch-fidelity"):
        load_features("inception", weights=tmp_path / "weights.pth")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch_fidelity") is None, reason="needs torch-fidelity")
def test_the_real_torch_fidelity(tmp_path, monkeypatch):
    file = io.BytesIO()
    torch.save({}, file)
    file.seek(0)
    torch.manual_seed(0)
    with monkeypatch.context() as patched:
        patched.setattr(nn.Module, "load_state_dict", lambda self, state: None)  # stays random
        model = _torch_fidelity_class()("", ["2048"], feature_extractor_weights_path=file)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    network = load_features("inception", weights=tmp_path / "weights.pth")
    images = random_images(2, 3, 32, 32)
    features, probabilities = network(images)
    assert features.shape == (2, 2048)
    assert probabilities.shape == (2, 1008)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(features, model(images)[0])
    assert network.distance.startswith("FID (weights.pth, Inception as the user vouches")
    broken = dict(model.state_dict())
    broken.popitem()
    torch.save(broken, tmp_path / "weights.pth")
    with pytest.raises(FeatureError, match="no state dict of torch-fidelity"):
        load_features("inception", weights=tmp_path / "weights.pth")
