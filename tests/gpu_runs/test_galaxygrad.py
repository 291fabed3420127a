"""The networks of the package galaxygrad: read as data, computed by our own code as by theirs."""

import importlib.util
import sys

import galaxy_files
import numpy as np
import pytest
import torch

from gpu_runs.checkpoints import galaxygrad
from gpu_runs.checkpoints.galaxygrad import GalaxyDenoiser, GalaxyPrior, ScoreNetwork
from gpu_runs.checkpoints.opening import open_network
from gpu_runs.checkpoints.own_network import NetworkCodeError
from gpu_runs.errors import CheckpointError
from gpu_runs.generation.sampler import Generation, make_images
from seeds_theory.denoiser_check import check_denoiser
from seeds_theory.errors import DenoiserError

CPU = torch.device("cpu")
NAMES = [name for name, value in vars(galaxygrad).items() if isinstance(value, GalaxyPrior)]

# What the package's class ScoreNet (0.2.1, on equinox 0.13.8 and jax 0.10.2) makes of `galaxy_files.state`
# with the weights of `galaxy_files.leaves`: five pixels, the mean and the mean square, by time.
ROWS, COLUMNS = [0, 0, 5, 13, 31], [0, 31, 7, 2, 30]
ORACLE = {
    0.01: (
        [0.0412977859, -0.0086034127, 0.2814913988, -0.1490558684, 0.2953287661],
        0.0434143990,
        0.0592182949,
    ),
    1.0: (
        [0.0376531147, -0.0063721165, 0.2890619040, -0.1440128982, 0.2869242728],
        0.0432536975,
        0.0588489845,
    ),
    9.5: (
        [-0.0124912485, 0.0182507448, 0.3333138525, -0.1125528887, 0.2106790543],
        0.0403323397,
        0.0551947653,
    ),
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a package of that name, with one network; to import it would fail."""
    folder = tmp_path / "galaxygrad"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('it was run')")
    galaxy_files.write(folder / galaxygrad.hsc32.file)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    assert "galaxygrad" not in sys.modules


def score(network, t):
    return network(torch.from_numpy(galaxy_files.state())[None], t)[0, 0]


@pytest.mark.parametrize("t", ORACLE)
def test_the_score_is_that_of_the_packages_own_class(package, t):
    found = score(galaxygrad.hsc32(CPU).network, t)
    pixels, mean, square = ORACLE[t]
    assert found[ROWS, COLUMNS].tolist() == pytest.approx(pixels, abs=2e-6)
    assert float(found.mean()) == pytest.approx(mean, abs=2e-6)
    assert float(found.square().mean()) == pytest.approx(square, rel=1e-5)


def test_images_are_made_of_a_name_and_its_weights_are_on_record(package):
    name = "gpu_runs.checkpoints.galaxygrad:hsc32"
    network, identity = open_network(name, CPU)
    assert identity["network"] == name and identity["weights"] and identity["source"]
    settings = Generation("seeds-1", 2, sigma_min=0.01, sigma_max=40.0)
    assert make_images(network, settings, [0, 1]).shape == (2, 1, 32, 32)
    arrays = galaxy_files.leaves()
    arrays[5] = arrays[5] + np.float32(0.25)
    galaxy_files.write(package / galaxygrad.hsc32.file, arrays)
    assert open_network(name, CPU)[1]["weights"] != identity["weights"]


class ScoreOfNormals(torch.nn.Module):
    """The score of independent normals under the SDE, in place of a network."""

    mean, deviation = 1.5, 2.0

    def forward(self, x, t):
        variance = np.exp(-t) * self.deviation**2 - np.expm1(-t)
        return (np.exp(-t / 2) * self.mean - x) / variance


@pytest.mark.parametrize("name", NAMES)
def test_a_score_becomes_the_posterior_mean_in_the_units_of_images(name):
    prior = getattr(galaxygrad, name)
    denoiser = GalaxyDenoiser(ScoreOfNormals(), prior)
    half = (prior.white - prior.black) / 2
    mean, deviation = (1.5 - prior.black) / half - 1, 2.0 / half
    x = torch.linspace(-3, 3, 11, dtype=torch.float64)
    for sigma in (denoiser.sigma_min, 1.0, denoiser.sigma_max):
        expected = (deviation**2 * x + sigma**2 * mean) / (deviation**2 + sigma**2)
        assert torch.allclose(denoiser(x, sigma), expected, atol=1e-11, rtol=0)


def test_what_is_no_such_file_is_one_line(package):
    file, whole = package / galaxygrad.hsc32.file, galaxy_files.leaves()
    swapped = [whole[1], whole[0], *whole[2:]]
    double = [whole[0].astype("f8"), *whole[1:]]
    nan = [whole[0] * np.float32("nan"), *whole[1:]]
    for arrays, message in (
        (whole[:-1], "holds 53 leaves, its network 54"),
        (swapped, r"inward.weight is float32 \(64, 2, 4, 4\)"),
        (double, "float64"),
        (nan, "not finite"),
        ([], "0 leaves"),
    ):
        galaxy_files.write(file, arrays)
        with pytest.raises(CheckpointError, match=message):
            galaxygrad.hsc32(CPU)
    galaxy_files.write(file, time=1.0)
    with pytest.raises(CheckpointError, match="ends with no time 10"):
        galaxygrad.hsc32(CPU)
    for content in (b"", b"text", b"\x93NUMPY"):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match="holds no network"):
            galaxygrad.hsc32(CPU)
    file.unlink()
    with pytest.raises(
        CheckpointError, match=r"comes without eqx_hsc_ScoreNet32\.eqx: pip install"
    ):
        galaxygrad.hsc32(CPU)


def test_a_package_that_is_not_there_is_named_with_the_way_to_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        NetworkCodeError, match=r"galaxygrad is not installed: pip install --no-deps"
    ):
        open_network("gpu_runs.checkpoints.galaxygrad:hsc32", CPU)


# With the package itself; it is not among the project's dependencies.

installed = pytest.mark.skipif(
    importlib.util.find_spec("galaxygrad") is None, reason="galaxygrad is not installed"
)


def their_network(prior):
    """The package's own, on JAX: of its modules one, as others of its files are not found on Linux."""
    equinox = pytest.importorskip("equinox")
    pytest.importorskip("einops")
    folder = galaxygrad._package()
    spec = importlib.util.spec_from_file_location("their_models", folder / "models_eqx.py")
    models = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(models)
    size = prior.resolution
    import jax

    like = models.ScoreNet((1, size, size), 4, 64, 512, 512, 4, 10.0, key=jax.random.PRNGKey(0))
    return equinox.tree_deserialise_leaves(folder / prior.file, like)


@installed
@pytest.mark.parametrize("name", NAMES)
def test_ours_and_the_packages_own_agree(name):
    prior = getattr(galaxygrad, name)
    theirs, ours = their_network(prior), prior(CPU).network
    draw = np.random.default_rng(0).standard_normal((1, prior.resolution, prior.resolution))
    x = draw.astype("f4")
    for t in (4e-4, 0.02, 1.0, 9.9):
        expected = np.asarray(theirs(x, t))
        found = ours(torch.from_numpy(x)[None], t)[0].numpy()
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@installed
def test_they_are_denoisers_and_with_another_time_they_are_not():
    denoiser = galaxygrad.hsc32(CPU)
    ends = {"sigma_max": denoiser.sigma_max, "sigma_min": denoiser.sigma_min}
    check_denoiser(denoiser, (1, 32, 32), **ends)

    class Late(ScoreNetwork):
        def forward(self, x, t):
            return denoiser.network(x, min(2 * t, 10.0))

    late = GalaxyDenoiser(Late(32), galaxygrad.hsc32)
    with pytest.raises(DenoiserError, match="no posterior mean"):
        check_denoiser(late, (1, 32, 32), **ends)
