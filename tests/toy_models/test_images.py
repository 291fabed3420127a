import gzip
import importlib.resources
import math
import struct
from io import BytesIO
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seeds_theory.errors import ParameterError
from toy_models import images
from toy_models.gaussian import Gaussian, frechet_distance
from toy_models.plots import STYLE, image_grid, loglog_with_slopes, style

DATA = importlib.resources.files("toy_models") / "data" / "fashion_mnist_gaussian.npz"
HALF = 2.0**-11  # the largest relative rounding error of a float16
SINGLE = 2.0**-24


def idx_bytes(pixels):
    return b"\x00\x00\x08\x03" + struct.pack(">3I", *pixels.shape) + pixels.tobytes()


@pytest.fixture
def pixels():
    """200 pictures of 4 x 3 with one pixel that never changes."""
    pictures = np.random.default_rng(0).integers(0, 256, (200, 4, 3), dtype=np.uint8)
    pictures[:, 0, 0] = 0
    return pictures


@pytest.fixture
def idx_file(tmp_path, pixels):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(idx_bytes(pixels))
    return path


# --- the file that is shipped ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    with DATA.open("rb") as file:
        return images.load(file)


def test_the_shipped_file_holds_plain_numbers_in_at_most_2_megabytes():
    content = DATA.read_bytes()
    assert len(content) <= 2_000_000
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "if" for name in archive.files)


def test_the_shipped_file_describes_the_training_images(shipped):
    assert (shipped.shape, shipped.pixel_range, shipped.count) == (images.SHAPE, (-1.0, 1.0), 60000)
    assert np.abs(shipped.mean).max() <= 1
    assert (np.diff(shipped.variances) <= 0).all() and shipped.variances[-1] >= 0
    # A pixel in [-1, 1] of mean m has at most the variance 1 - m^2.
    diagonal = images.fashion_mnist().covariance.diagonal().numpy()
    assert (diagonal <= 1 - shipped.mean.astype(float) ** 2 + 1e-3).all()


def test_the_docstring_states_what_the_file_holds(shipped):
    text = images.fashion_mnist.__doc__
    for number in (
        f"{shipped.frobenius_error:.1e}",
        f"{shipped.frechet_error:.1e}",
        f"{shipped.variances[0]:.1f}",
        f"{shipped.variances[-1]:.1e}",
        f"{shipped.variances.sum(dtype=float):.1f}",
    ):
        assert number in text


def test_fashion_mnist_is_one_gaussian_with_an_orthogonal_basis(shipped):
    gaussian = images.fashion_mnist()
    assert gaussian is images.fashion_mnist()
    identity = torch.eye(784, dtype=torch.float64)
    # 784 products of rounding 2^-53 each, with room for the order of summation.
    torch.testing.assert_close(gaussian.basis.mT @ gaussian.basis, identity, rtol=0, atol=1e-12)
    assert gaussian.variances.tolist() == shipped.variances.astype(float).tolist()
    assert gaussian.mean.tolist() == shipped.mean.astype(float).tolist()


def test_the_loaded_basis_is_the_polar_factor_of_the_stored_one(shipped):
    left, _, right = np.linalg.svd(shipped.basis.astype(float))
    np.testing.assert_allclose(images.fashion_mnist().basis.numpy(), left @ right, atol=1e-12)


# --- fitting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [4096, 64])
def test_moments_are_those_of_the_population(monkeypatch, pixels, chunk):
    monkeypatch.setattr(images, "_CHUNK", chunk)
    mean, covariance = images.moments(pixels)
    x = pixels.reshape(200, 12) * (2 / 255) - 1
    # Rounding of numpy's own sums of 200 terms of size 1, far below the 1/200 of another divisor.
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=0, atol=200 * 2.0**-53)
    expected = np.cov(x, rowvar=False, bias=True)
    np.testing.assert_allclose(covariance, expected, rtol=0, atol=200 * 2.0**-53)
    assert not covariance[0].any()  # the pixel that never changes, without rounding


def test_fit_recovers_mean_and_covariance(idx_file, pixels):
    stored = images.fit(idx_file)
    gaussian = stored.gaussian()
    x = pixels.reshape(200, 12) * (2 / 255) - 1
    covariance = np.cov(x, rowvar=False, bias=True)
    np.testing.assert_allclose(gaussian.mean, x.mean(axis=0), atol=2 * SINGLE)
    # Entries of the basis are off by 2^-11 |q|, so Q by 2^-11 sqrt(d) and C by twice that times |C|;
    # the nearest orthogonal matrix at most doubles the error.
    size = np.linalg.norm(covariance, 2)
    bound = 4 * HALF * math.sqrt(12) * size
    assert np.linalg.norm(gaussian.covariance.numpy() - covariance, 2) <= bound
    assert stored.count == 200 and stored.shape == (4, 3)
    assert 0 <= stored.variances[-1] <= 1e-12 * size  # the pixel that never changes


def test_the_stated_errors_are_those_of_what_is_stored(idx_file):
    stored = images.fit(idx_file)
    mean, covariance = images.moments(images.read_idx(idx_file))
    exact = Gaussian.from_covariance(torch.from_numpy(mean), torch.from_numpy(covariance))
    kept = stored.gaussian()
    frobenius = torch.linalg.norm(kept.covariance - exact.covariance)
    frobenius = float(frobenius / torch.linalg.norm(exact.covariance))
    assert stored.frobenius_error == pytest.approx(frobenius, rel=5e-3)  # three digits
    relative = frechet_distance(exact, kept) / float(exact.variances.sum().sqrt())
    assert stored.frechet_error == pytest.approx(relative, rel=5e-3)


def test_the_distance_is_the_frechet_distance_where_gaussians_differ():
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn((2, 6, 6), generator=generator, dtype=torch.float64)
    first, second = (
        Gaussian.from_covariance(factor[0], factor @ factor.mT + torch.eye(6)) for factor in factors
    )
    expected = frechet_distance(first, second)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-2, 1e-3, 1e-4])
def test_the_distance_of_nearly_equal_gaussians_is_accurate(scale):
    gaussian = images.fashion_mnist()
    wider = Gaussian(gaussian.mean, gaussian.variances * (1 + scale) ** 2, gaussian.basis)
    expected = scale * float(gaussian.variances.sum().sqrt())
    # Singular values are off by about 784 x 2^-53 of the largest; the square by the sum of them.
    noise = 784 * 784 * 2.0**-53 * float(gaussian.variances.max())
    square = frechet_distance(gaussian, wider) ** 2
    assert square == pytest.approx(expected**2, rel=1e-9, abs=noise)


def test_a_file_is_read_back_as_it_was_written(idx_file, tmp_path):
    stored = images.fit(idx_file)
    paths = tmp_path / "a.npz", tmp_path / "b.npz"
    for path in paths:
        stored.save(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    again = images.load(paths[0])
    for name in ("mean", "variances", "basis"):
        np.testing.assert_array_equal(getattr(again, name), getattr(stored, name))
    assert (again.frobenius_error, again.count) == (stored.frobenius_error, stored.count)


def test_pictures_all_the_same_have_no_covariance(tmp_path):
    path = tmp_path / "same"
    path.write_bytes(idx_bytes(np.full((5, 2, 2), 7, dtype=np.uint8)))
    with pytest.raises(ParameterError, match="two different images"):
        images.fit(path)


def test_pictures_too_large_for_a_basis_are_refused(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(idx_bytes(np.zeros((2, 65, 64), dtype=np.uint8)))
    with pytest.raises(ParameterError, match="at most 4096 pixels"):
        images.fit(path)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_idx_file_is_read(tmp_path, pixels, pack):
    path = tmp_path / "any-name"
    path.write_bytes(pack(idx_bytes(pixels)))
    np.testing.assert_array_equal(images.read_idx(path), pixels)


GOOD = idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
BROKEN = {
    "empty": (b"", "begins with nothing"),
    "labels instead of images": (b"\x00\x00\x08\x01" + GOOD[4:], "begins with 00000803"),
    "32-bit pixels": (b"\x00\x00\x0d\x03" + GOOD[4:], "begins with 00000803"),
    "header cut short": (GOOD[:10], "begins with 00000803"),
    "pixels cut short": (GOOD[:-1], "24 bytes of pixels; got 23"),
    "bytes left over": (GOOD + b"\x00", "24 bytes of pixels; got more"),
    "no images": (GOOD[:4] + struct.pack(">3I", 0, 3, 4), "1 to 2^30 pixels"),
    "absurd sizes": (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "1 to 2^30 pixels"),
    "gzip cut short": (gzip.compress(GOOD)[:-12], "damaged gzip"),
    "gzip damaged": (gzip.compress(GOOD)[:-8] + b"\x00" * 8, "damaged gzip"),
    "gzip header only": (b"\x1f\x8b", "damaged gzip"),
    "gzip with a broken stream": (gzip.compress(GOOD)[:10] + b"\xff" * 30, "damaged gzip"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_bad_idx_file_is_refused(tmp_path, content, message):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(ParameterError) as error:
        images.read_idx(path)
    assert message in str(error.value)


class RunsCode:
    def __reduce__(self):
        return (pytest.fail, ("code in a data file was run",))


def broken_parts(stored, **changes):
    parts = {name: getattr(stored, name) for name in images._FIELDS} | changes
    buffer = BytesIO()
    np.savez(buffer, **{name: value for name, value in parts.items() if value is not None})
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": None},
        {"mean": np.array([RunsCode()], dtype=object)},
        {"basis": np.eye(12)},
        {"shape": np.array([4])},
        {"count": np.array("many")},
    ],
    ids=["a part missing", "a pickled object", "wrong precision", "one size", "a word"],
)
def test_a_bad_npz_file_is_refused(idx_file, changes):
    file = broken_parts(images.fit(idx_file), **changes)
    with pytest.raises(ParameterError, match=r"make it again|is stored as"):
        images.load(file)


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_npz_is_refused(content):
    with pytest.raises(ParameterError, match="an image Gaussian is an npz file"):
        images.load(BytesIO(content))


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.zeros(11, dtype=np.float32)},
        {"basis": np.ones((12, 12), dtype=np.float16)},
        {"basis": np.full((12, 12), np.nan, dtype=np.float16)},
        {"variances": np.full(12, -1, dtype=np.float32)},
    ],
    ids=["shapes that differ", "not orthogonal", "not a number", "negative"],
)
def test_numbers_that_make_no_gaussian_are_refused(idx_file, changes):
    stored = images.load(broken_parts(images.fit(idx_file), **changes))
    with pytest.raises(ParameterError):
        stored.gaussian()


# --- pictures -------------------------------------------------------------------------------------


def test_as_images_maps_minus_one_to_black_and_one_to_white():
    x = torch.linspace(-2, 2, 5).repeat_interleave(784).reshape(5, 784)
    pictures = images.as_images(x)
    assert pictures.shape == (5, 28, 28)
    assert pictures[:, 3, 4].tolist() == [0, 0, 0.5, 1, 1]


def test_as_images_keeps_rows_together():
    grey = torch.arange(784.0) / 1024  # exact in binary, before and after scaling
    assert torch.equal(images.as_images(2 * grey[None] - 1)[0, 1], grey[28:56])


@pytest.mark.parametrize("shape", [(784,), (2, 783), (2, 28, 28)])
def test_as_images_refuses_other_shapes(shape):
    with pytest.raises(ParameterError, match="rows of 784 pixels"):
        images.as_images(torch.zeros(shape))


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize("labels", [(None, None), (("one", "two"), ("a", "b", "c"))])
def test_image_grid_shows_all_pictures(labels):
    pictures = torch.linspace(0, 1, 6)[:, None, None].expand(6, 28, 28)
    figure = image_grid(pictures, 2, 3, *labels)
    assert isinstance(figure, Figure)
    shown = set(drawn(figure)[..., 0].ravel().tolist())
    assert {0, 51, 102, 153, 204, 255} <= shown


@pytest.mark.parametrize(
    ("pictures", "labels", "message"),
    [
        (np.zeros((5, 4, 4)), None, "2 x 3 pictures"),
        (np.zeros((6, 16)), None, "2 x 3 pictures"),
        (np.full((6, 4, 4), 1.5), None, r"in \[0, 1\]"),
        (np.full((6, 4, 4), np.nan), None, r"in \[0, 1\]"),
        (np.zeros((6, 4, 4)), ["one"], "one label for each of 2"),
    ],
)
def test_image_grid_refuses_what_does_not_fit(pictures, labels, message):
    with pytest.raises(ParameterError, match=message):
        image_grid(pictures, 2, 3, row_labels=labels)


def test_the_style_ends_with_its_block():
    before = mpl.rcParams["font.size"], mpl.rcParams["axes.grid"]
    with style():
        assert mpl.rcParams["font.size"] == STYLE["font.size"]
    assert (mpl.rcParams["font.size"], mpl.rcParams["axes.grid"]) == before


def test_a_figure_made_in_the_style_keeps_it_when_drawn_later():
    def make():
        figure = Figure()
        figure.subplots().plot([1, 2], [1, 2])
        return figure

    with style():
        inside, later = drawn(make()), make()
    np.testing.assert_array_equal(drawn(later), inside)


def lightness(color):
    channels = np.array(mpl.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def test_curves_differ_in_grey_and_in_marker_and_in_line():
    curves = list(STYLE["axes.prop_cycle"])
    greys = [lightness(curve["color"]) for curve in curves]
    assert np.abs(np.diff(greys)).min() >= 20
    assert np.diff(sorted(greys[:6])).min() >= 10
    assert max(greys) <= 80  # visible on white
    assert len({curve["marker"] for curve in curves}) == len(curves) == 7
    lines = [str(curve["linestyle"]) for curve in curves]
    assert len(set(lines)) >= 6 and all(a != b for a, b in pairwise(lines))


@pytest.mark.parametrize("direction", [-1, 1], ids=["over steps", "over step size"])
def test_loglog_draws_curves_and_guides_below_them(direction):
    n = np.array([5.0, 10, 20, 40, 80])
    x = n if direction < 0 else 1 / n
    curves = {"first": 2 / n, "second": 3 / n**2}
    with style():
        figure = Figure()
        ax = figure.subplots()
        loglog_with_slopes(ax, x, curves, [direction, 2 * direction], "x", "error")
    assert drawn(figure).size
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.texts] == ["order 1", "order 2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["first", "second"]
    for guide, curve, order in zip(ax.lines[2:], curves.values(), (1, 2), strict=True):
        ends, line = (np.asarray(data) for data in guide.get_data())
        own = [curve[np.argmin(abs(x - end))] for end in ends]
        assert np.diff(np.log(line)) / np.diff(np.log(ends)) == pytest.approx(direction * order)
        np.testing.assert_allclose(line, 0.6 * np.array(own))


def test_loglog_leaves_out_what_has_no_logarithm():
    ax = Figure().subplots()
    curves = {"a": [1.0, 0.5, 0.0, np.nan], "exact": [0.0, 0.0, 0.0, 0.0]}
    loglog_with_slopes(ax, [1, 2, 4, 8], curves, [-1], "n", "error")
    assert drawn(ax.figure).size
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1.0, 0.5, np.nan, np.nan])


@pytest.mark.parametrize(
    ("x", "curves", "message"),
    [
        ([1], {"a": [1]}, "two or more positive x"),
        ([0, 1], {"a": [1, 1]}, "two or more positive x"),
        ([1, 2], {"a": [1, 1, 1]}, "over 2 points"),
        ([1, 2], {"a": [0, 1]}, "no curve has two positive values"),
        ([1, 2], {}, "no curve has two positive values"),
    ],
)
def test_loglog_refuses_what_it_cannot_draw(x, curves, message):
    with pytest.raises(ParameterError, match=message):
        loglog_with_slopes(Figure().subplots(), x, curves, [-1], "n", "error")
