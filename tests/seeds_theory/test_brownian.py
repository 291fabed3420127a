"""One Brownian path for all: its linear map from normals to noises, and that map's Gram matrix.

No Monte Carlo: a source that hands out a basis makes the path's noises the rows of its linear map.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.integrate import quad
from torch import Tensor

from seeds_theory.brownian import BrownianPath, distinct_levels, path_points
from seeds_theory.errors import GridError, NoiseError, ParameterError, SeedsError
from seeds_theory.exact import (
    DATA,
    GAUSSIAN,
    INCREMENTS,
    NOISE,
    F,
    SemilinearForm,
    eta,
    lam,
    lam_t,
    variance,
)
from seeds_theory.grids import uniform_log_snr
from seeds_theory.loop import follow
from seeds_theory.plan import Interval, Plan, make_plan
from seeds_theory.sources import GeneratorNoise, InjectedNoise, SeededNoise

FORMS = (DATA, NOISE, GAUSSIAN)
FINE = [4.0, 3.0, 2.9, 1.0, 0.999, 0.4, 0.1]
C = 0.7


def basis(intervals: Sequence[Interval], like: Tensor) -> Tensor:
    """Normal m is 1 for sample m and 0 for the others: sample m carries column m of the map."""
    count = len(intervals)
    assert like.shape[0] == count
    normals = torch.zeros(count, *like.shape, dtype=like.dtype)
    normals[torch.arange(count), torch.arange(count)] = 1.0
    return normals


def unit_path(
    sigmas: Sequence[float] | np.ndarray,
    eta_value: float,
    forms: Sequence[SemilinearForm] = FORMS,
    parameter: Any = C,
    event: tuple[int, ...] = (),
) -> BrownianPath:
    like = torch.zeros((len(sigmas) - 1) * len(forms), *event, dtype=torch.float64)
    parameters = {GAUSSIAN: parameter} if GAUSSIAN in forms else None
    return BrownianPath(sigmas, eta_value, like, basis, forms, parameters)


def gram(one: Tensor, two: Tensor) -> np.ndarray:
    """The covariance of two noises, from their rows: summed over the normals."""
    return (one * two).sum(0).numpy()


@cache
def kernel(form: SemilinearForm) -> Any:
    return sp.lambdify((lam_t, lam, eta, variance), form.noise_kernel(lam_t, lam), modules="math")


def exact_covariance(
    first: tuple[SemilinearForm, float, float],
    second: tuple[SemilinearForm, float, float],
    eta_value: float,
    c: float = C,
) -> float:
    """Of two noises (form, sigma, sigma_next), by quadrature over where their intervals overlap."""
    (one, s1, t1), (two, s2, t2) = first, second
    start, stop = -math.log(min(s1, s2)), -math.log(max(t1, t2))
    if start >= stop:
        return 0.0

    def product(l: float) -> float:
        a = kernel(one)(-math.log(t1), l, eta_value, c)
        return a * kernel(two)(-math.log(t2), l, eta_value, c)

    total, _ = quad(product, start, stop, epsrel=1e-13, epsabs=0, limit=200)
    return total


@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5])
def test_joint_covariance_of_all_forms_on_all_intervals(eta_value: float) -> None:
    path = unit_path(FINE, eta_value)
    pairs = [(4.0, 3.0), (3.0, 2.9), (2.9, 0.1), (1.0, 0.999), (4.0, 0.1)]
    stretches = [(form, a, b) for form in FORMS for a, b in pairs]
    noises = [path.noise(*stretch) for stretch in stretches]
    for i, j in itertools.combinations_with_replacement(range(len(stretches)), 2):
        exact = exact_covariance(stretches[i], stretches[j], eta_value)
        size = math.sqrt(gram(noises[i], noises[i]) * gram(noises[j], noises[j]))
        assert abs(gram(noises[i], noises[j]) - exact) <= 1e-10 * size, (stretches[i], stretches[j])


@pytest.mark.parametrize("length", [1e-8, 1e-3])
def test_nearly_equal_kernels_keep_their_difference(length: float) -> None:
    """On a short step the noises differ by int (g_data - g_noise) dW: far below either of them."""
    sigma, sigma_next = 1.0, math.exp(-length)
    path = unit_path([sigma, sigma_next], 1.0, (DATA, NOISE))
    difference = path.noise(DATA, sigma, sigma_next) - path.noise(NOISE, sigma, sigma_next)
    # sqrt(2) sigma_t (e^{-x} - e^{x}) = -2 sqrt(2) sigma_t sinh x, squared and integrated.
    h = math.log1p((sigma - sigma_next) / sigma_next)
    exact = 8 * sigma_next**2 * (h**3 / 3 + h**5 / 15)
    # The rows are of size sqrt(h) and rounded to 1e-16: so is their difference, of size h^1.5.
    tolerance = max(1e-10, 100 * 2.2e-16 / h)
    assert float(gram(difference, difference)) == pytest.approx(exact, rel=tolerance)


@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5, 100.0])
@pytest.mark.parametrize("grid", [[80.0, 0.002], [80.0, 5.0, 0.002], [1e3, 1.0]])
def test_long_intervals(grid: list[float], eta_value: float) -> None:
    path = unit_path(grid, eta_value)
    for one, two in itertools.combinations_with_replacement(FORMS, 2):
        exact = exact_covariance((one, *grid[-2:]), (two, *grid[-2:]), eta_value)
        value = gram(path.noise(one, *grid[-2:]), path.noise(two, *grid[-2:]))
        sizes = [exact_covariance((f, *grid[-2:]), (f, *grid[-2:]), eta_value) for f in (one, two)]
        assert abs(value - exact) <= 1e-10 * math.sqrt(math.prod(sizes)), (one.name, two.name)


def test_gaussian_noise_has_the_closed_variance() -> None:
    path = unit_path(FINE, 1.3)
    noise = path.noise(GAUSSIAN, 4.0, 0.1)
    start, end = C + 16.0, C + 0.01
    assert float(gram(noise, noise)) == pytest.approx(end * (1 - (end / start) ** 1.3), rel=1e-12)


def test_a_parameter_for_each_coordinate() -> None:
    c = np.array([0.1, 0.7, 5.0])
    path = unit_path(FINE, 1.0, parameter=c, event=(3,))
    stretch = (GAUSSIAN, 3.0, 0.4)
    found = gram(path.noise(*stretch), path.noise(*stretch))
    cross = gram(path.noise(*stretch), path.noise(DATA, 4.0, 0.1))
    for i, value in enumerate(c):
        exact = exact_covariance(stretch, stretch, 1.0, value)
        assert found[i] == pytest.approx(exact, rel=1e-10)
        exact = exact_covariance(stretch, (DATA, 4.0, 0.1), 1.0, value)
        assert cross[i] == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (1, 3), (3,), (1,), ()])
def test_parameters_broadcast_over_the_event(shape: tuple[int, ...]) -> None:
    c = np.linspace(0.1, 3.0, math.prod(shape)).reshape(shape)
    path = unit_path([2.0, 1.0, 0.5], 1.0, parameter=c, event=(2, 3))
    variances = gram(path.noise(GAUSSIAN, 2.0, 0.5), path.noise(GAUSSIAN, 2.0, 0.5))
    start, end = c + 4.0, c + 0.25
    expected = np.broadcast_to(end * (1 - end / start), (2, 3))
    assert variances == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------------------------------- joining


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("middle", FINE[1:-1])
def test_a_coarse_noise_is_the_sum_of_the_fine_ones(form: SemilinearForm, middle: float) -> None:
    path = unit_path(FINE, 1.0)
    propagator = form.numeric_propagator()(-math.log(0.1), -math.log(middle), 1.0, C)
    joined = float(propagator) * path.noise(form, 4.0, middle) + path.noise(form, middle, 0.1)
    torch.testing.assert_close(path.noise(form, 4.0, 0.1), joined, rtol=1e-13, atol=1e-15)


def standardised(path: BrownianPath, plan: Plan, like: Tensor) -> Tensor:
    return torch.cat([path(step.intervals, like) for step in plan.steps])


@pytest.mark.parametrize("prediction", ["data", "noise"])
@pytest.mark.parametrize("name", ["seeds-1", "seeds-2@0.7", "seeds-2@1", "seeds-3@0.9,0.2"])
def test_normals_of_a_plan_are_standard_and_independent(name: str, prediction: str) -> None:
    plans = [make_plan(name, uniform_log_snr(10, 0.1, n), prediction=prediction) for n in (2, 3, 6)]
    form = plans[0].form
    points = path_points(plans)
    path = unit_path(points, 1.0, (form,))
    like = torch.zeros(len(points) - 1, dtype=torch.float64)
    for plan in plans:
        rows = standardised(path, plan, like)
        torch.testing.assert_close(
            rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("eta_value", [0.3, 1.0])
def test_averages_of_the_path_are_joined_exactly(eta_value: float) -> None:
    """Of long steps and of short ones: standard and independent within a plan, and one path for all."""
    plans = [
        make_plan(name, uniform_log_snr(10, 0.1, n), eta=eta_value)
        for name, n in (("seeds-2s", 2), ("seeds-4s", 3), ("seeds-3s", 6), ("seeds-2", 3))
    ]
    points = path_points(plans)
    like = torch.zeros(3 * (len(points) - 1), dtype=torch.float64)
    path = BrownianPath.serving([i for plan in plans for i in plan.intervals], like, basis)
    kernels = []
    for plan in plans:
        rows = standardised(path, plan, like)
        torch.testing.assert_close(
            rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), rtol=0, atol=1e-11
        )
        kernels.append((plan, rows))
    # Covariances across plans, against integrals of the kernels.
    (one, first), (two, second) = kernels[0], kernels[2]
    for i, a in enumerate(i for step in one.steps for i in step.intervals):
        for j, b in enumerate(i for step in two.steps for i in step.intervals):
            start = max(-math.log(a.sigma), -math.log(b.sigma))
            stop = min(-math.log(a.sigma_next), -math.log(b.sigma_next))
            expected = 0.0
            if stop > start:
                expected, _ = quad(
                    lambda u, a=a, b=b: float(a.kernel(np.array(u)) * b.kernel(np.array(u))),
                    start,
                    stop,
                    epsabs=1e-13,
                )
            assert float(first[i] @ second[j]) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.0])
def test_whatever_is_asked_for_is_served_from_one_path(eta_value: float) -> None:
    """Increments in log-SNR, their areas, areas in the noise's clock: over long stretches and short."""
    grids = [uniform_log_snr(10, 0.1, n) for n in (1, 2, 3, 6)]
    intervals = [
        Interval(a, b, form, eta_value, **kind)
        for grid in grids
        for a, b in itertools.pairwise(grid.tolist())
        for form, kind in (
            (INCREMENTS, {}),
            (INCREMENTS, {"degree": 1}),
            (DATA, {}),
            (DATA, {"area": True}),
        )
    ]
    fine = len(distinct_levels(level for grid in grids for level in grid.tolist())) - 1
    like = torch.zeros(6 * fine, dtype=torch.float64)  # three forms, of two powers each
    rows = BrownianPath.serving(intervals, like, basis)(intervals, like)
    stops = -np.log([[i.sigma, i.sigma_next] for i in intervals])
    for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(intervals), 2):
        start, stop = max(stops[i, 0], stops[j, 0]), min(stops[i, 1], stops[j, 1])
        points, weights = np.polynomial.legendre.leggauss(40)
        half = max(0.0, stop - start) / 2
        at = start + half * (1 + points)
        expected = half * float(weights @ (a.kernel(at) * b.kernel(at)))
        assert float(rows[i] @ rows[j]) == pytest.approx(expected, abs=1e-9), (a, b)


def test_a_path_serves_one_interval_or_more() -> None:
    with pytest.raises(ParameterError, match="got none: at eta = 0"):
        BrownianPath.serving([], LIKE)


def test_a_path_without_averages_says_so() -> None:
    plan = make_plan("seeds-2s", [3.0, 1.0])
    with pytest.raises(NoiseError, match=r"no moment of power 1 .* draw it with degree=1"):
        BrownianPath([3.0, 1.0], 1.0, LIKE)(plan.steps[0].intervals, LIKE)


@pytest.mark.parametrize("eta_value", [0.3, 1.0])
@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_on_its_own_grid_a_path_hands_out_the_normals_it_was_drawn_from(
    prediction: str, eta_value: float
) -> None:
    """So a plan gives the same sample on its path as on the path's source."""
    plan = make_plan("seeds-3", uniform_log_snr(10, 0.1, 3), eta=eta_value, prediction=prediction)
    like = torch.zeros(plan.normals, dtype=torch.float64)
    path = unit_path(path_points([plan]), eta_value, (plan.form,))
    expected = torch.eye(plan.normals, dtype=torch.float64)
    torch.testing.assert_close(standardised(path, plan, like), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_plans_of_different_step_sizes_see_the_same_path(prediction: str) -> None:
    """With the model D = 0 the sampler returns the path's noise plus the moved state."""
    grids = [uniform_log_snr(10, 0.1, n) for n in (1, 2, 4, 12)]
    plans = [make_plan("seeds-3", grid, prediction=prediction) for grid in grids]
    x = 10.0 * SeededNoise([1, 2]).initial((3,), torch.float64)
    path = BrownianPath(path_points(plans), 1.0, x, SeededNoise([1, 2]), (plans[0].form,))

    def model(state: Tensor, sigma: float) -> Tensor:
        # Makes the integrand 0 in either prediction: the step is then exact at any length.
        return torch.zeros_like(state) if prediction == "data" else state

    ends = [follow(model, x, plan, path) for plan in plans]
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-12, atol=1e-12)


def test_asking_twice_gives_the_same_noise() -> None:
    like = torch.zeros(2, 3)
    path = BrownianPath(FINE, 1.0, like, GeneratorNoise(torch.Generator().manual_seed(0)))
    interval = Interval(3.0, 1.0, DATA, 1.0)
    assert torch.equal(path([interval], like), path([interval], like))


def test_seeded_paths_belong_to_their_sample() -> None:
    like = torch.zeros(3, 2)
    path = BrownianPath(FINE, 1.0, like, SeededNoise([4, 5, 6]))
    alone = BrownianPath(FINE, 1.0, like[:1], SeededNoise([5]))
    assert torch.equal(path.noise(DATA, 4.0, 0.4)[1:2], alone.noise(DATA, 4.0, 0.4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype(dtype: torch.dtype) -> None:
    like = torch.zeros((2, 3, 4), dtype=dtype)
    path = BrownianPath(FINE, 1.0, like, SeededNoise([4, 5]))
    noise = path.noise(DATA, 4.0, 0.4)
    assert (noise.shape, noise.dtype) == ((2, 3, 4), dtype)
    normals = path([Interval(4.0, 1.0, DATA, 1.0), Interval(1.0, 0.1, DATA, 1.0)], like)
    assert (normals.shape, normals.dtype) == ((2, 2, 3, 4), dtype)


def test_the_default_source_is_the_global_generator() -> None:
    like = torch.zeros(2)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = BrownianPath(FINE, 1.0, like).noise(DATA, 4.0, 0.1)
        torch.manual_seed(3)
        assert torch.equal(BrownianPath(FINE, 1.0, like).noise(DATA, 4.0, 0.1), first)


# ------------------------------------------------------------------------------- an infinite start


@pytest.mark.parametrize("eta_value", [0.3, 1.0, 2.5])
def test_from_infinity_all_of_the_state_is_noise(eta_value: float) -> None:
    """N(inf, t) has the variance sigma_t^2, and N(s, t) is Phi N(inf, s) less: a stationary path."""
    path = unit_path([math.inf, 4.0, 1.0, 0.1], eta_value, (DATA,))
    noises = {sigma: path.noise(DATA, math.inf, sigma) for sigma in (4.0, 1.0, 0.1)}
    for a, b in itertools.combinations_with_replacement(noises, 2):
        exact = a * b * (b / a) ** eta_value  # a > b
        assert float(gram(noises[a], noises[b])) == pytest.approx(exact, rel=1e-12)
    inner = path.noise(DATA, 1.0, 0.1)
    assert abs(float(gram(noises[1.0], inner))) <= 1e-15


def test_plans_from_infinity_run_on_a_path() -> None:
    plans = [make_plan("seeds-2", [math.inf, *uniform_log_snr(10, 0.1, n)]) for n in (2, 4)]
    points = path_points(plans)
    assert points[0] == math.inf
    alone = unit_path([math.inf, 0.5], 1.0, (DATA,)).noise(DATA, math.inf, 0.5)
    assert alone.tolist() == pytest.approx([0.5], rel=1e-15)
    path = unit_path(points, 1.0, (DATA,))
    like = torch.zeros(len(points) - 1, dtype=torch.float64)
    for plan in plans:
        rows = standardised(path, plan, like)
        torch.testing.assert_close(
            rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), rtol=0, atol=1e-12
        )


# ---------------------------------------------------------------------------------------- the points


def test_path_points_are_the_union_of_grids_and_nodes() -> None:
    plans = [make_plan("seeds-2", [4.0, 1.0]), make_plan("seeds-1", [4.0, 2.0, 1.0, 0.25])]
    # The node of the first plan is the grid point 2 of the second, up to rounding.
    assert path_points(plans) == pytest.approx([4.0, 2.0, 1.0, 0.25], rel=1e-14)


def test_path_points_leave_out_the_step_to_zero() -> None:
    assert path_points([make_plan("seeds-1", [4.0, 1.0, 0.0])]).tolist() == [4.0, 1.0]


def test_levels_merge_where_they_differ_by_rounding_and_nowhere_else() -> None:
    close, apart = 1.0 + 1e-13, 1.0 + 1e-7
    assert len(distinct_levels([2.0, 1.0, close, 0.5, 1.0])) == 3
    assert distinct_levels([1.0, 2.0, apart, 0.5]).tolist() == [2.0, apart, 1.0, 0.5]
    assert distinct_levels([1.0, math.inf]).tolist() == [math.inf, 1.0]


# ------------------------------------------------------------------------------------------ bad input


LIKE = torch.zeros(2, 3)


@pytest.mark.parametrize("sigma", [5.0, 2.0, 1.0 + 1e-6, 0.05, 1e-300, 0.0, math.inf])
def test_points_off_the_path(sigma: float) -> None:
    path = BrownianPath(FINE, 1.0, LIKE)
    with pytest.raises(NoiseError, match="path_points") as caught:
        path.noise(DATA, 4.0, sigma)
    assert f"{sigma:g}" in str(caught.value)
    assert isinstance(caught.value, SeedsError)


def test_a_stretch_goes_forward() -> None:
    path = BrownianPath(FINE, 1.0, LIKE)
    assert (path.noise(DATA, 1.0, 1.0) == 0).all()
    with pytest.raises(NoiseError, match=r"0\.4.*2\.9"):
        path.noise(DATA, 0.4, 2.9)


def test_points_equal_up_to_rounding_are_found() -> None:
    path = BrownianPath(FINE, 1.0, LIKE)
    assert torch.equal(path.noise(DATA, 4.0 + 1e-14, 1.0 - 1e-15), path.noise(DATA, 4.0, 1.0))


@pytest.mark.parametrize("form", [NOISE, GAUSSIAN, F], ids=lambda form: form.name)
def test_forms_that_the_path_does_not_carry(form: SemilinearForm) -> None:
    path = BrownianPath(FINE, 1.0, LIKE)
    with pytest.raises(NoiseError, match=f"carries the noise of data; asked for '{form.name}'"):
        path.noise(form, 4.0, 1.0)


def test_a_path_is_for_one_eta() -> None:
    path = BrownianPath(FINE, 1.0, LIKE)
    with pytest.raises(NoiseError, match=r"eta = 1 at sigma = 4; asked for 0\.5"):
        path([Interval(4.0, 1.0, DATA, 0.5)], LIKE)


@pytest.mark.parametrize("eta_value", [0.0, -1.0, math.nan, math.inf])
def test_eta_is_positive_and_finite(eta_value: float) -> None:
    with pytest.raises(ParameterError, match=str(eta_value)):
        BrownianPath(FINE, eta_value, LIKE)


@pytest.mark.parametrize("grid", [[1.0], [1.0, 2.0], [1.0, math.nan], []])
def test_grids_of_a_path_are_checked(grid: list[float]) -> None:
    with pytest.raises(GridError):
        BrownianPath(grid, 1.0, LIKE)


@pytest.mark.parametrize(
    ("grid", "forms"),
    [([2.0, 0.0], (DATA,)), ([math.inf, 1.0], (NOISE,)), ([math.inf, 1.0], FORMS)],
)
def test_ends_that_a_path_cannot_have(grid: list[float], forms: tuple) -> None:
    with pytest.raises(NoiseError, match="a path ends at a positive noise level"):
        BrownianPath(grid, 1.0, LIKE, forms=forms, parameters={GAUSSIAN: C})


def test_the_parameter_of_a_form_is_asked_for() -> None:
    with pytest.raises(SeedsError, match="gaussian"):
        BrownianPath(FINE, 1.0, LIKE, forms=(GAUSSIAN,))


def test_a_parameter_that_does_not_broadcast_over_the_event() -> None:
    with pytest.raises(SeedsError, match=r"\(4,\)"):
        BrownianPath(FINE, 1.0, LIKE, forms=(GAUSSIAN,), parameters={GAUSSIAN: np.ones(4)})


def test_a_source_that_breaks_the_protocol() -> None:
    with pytest.raises(NoiseError, match=r"\(6, 2, 3\)"):
        BrownianPath(FINE, 1.0, LIKE, lambda intervals, like: torch.zeros(5, 2, 3))


def test_a_path_is_one_brownian_motion() -> None:
    path = BrownianPath([4.0, 1.0], 1.0, LIKE, GeneratorNoise())
    with pytest.raises(NoiseError, match="serves one Brownian motion"):
        path([Interval(4.0, 1.0, DATA, 1.0, path=1)], LIKE)


# ------------------------------------------------------------------------------ gradients, devices


def test_gradients_reach_the_normals_of_a_path() -> None:
    plan = make_plan("seeds-2s", [4.0, 1.0, 0.3])
    shape = torch.zeros(2, 3, dtype=torch.float64)
    rows = torch.randn(2 * (len(path_points([plan])) - 1), 2, 3, dtype=torch.float64)

    def run(rows: Tensor) -> Tensor:
        path = BrownianPath.serving(plan.intervals, shape, InjectedNoise(rows))
        return follow(lambda x, sigma: torch.tanh(x), shape, plan, path, gradients=True)

    assert torch.autograd.gradcheck(run, rows.requires_grad_())


def test_a_path_gives_its_noises_where_they_are_asked_for() -> None:
    plan = make_plan("seeds-2", [4.0, 1.0])
    path = BrownianPath.serving(plan.intervals, torch.zeros(2, 3))
    assert path(plan.intervals, torch.empty(2, 3, device="meta")).device.type == "meta"


# -------------------------------------------------------------------------------------- refinement

LEVELS = [4.0, 3.0, 1.5, 1.0, 0.4, 0.1]


@pytest.mark.parametrize("method", ["seeds-1", "seeds-3", "seeds-3s", "seeds-4s"])
def test_a_path_that_refines_levels_keeps_their_noise_and_the_law(method: str) -> None:
    plan = make_plan(method, [4.0, 2.0, 0.5, 0.1])
    points = distinct_levels([*LEVELS, *path_points([plan])])
    degrees = 1 + max(interval.degree for interval in plan.intervals)
    count = len(LEVELS) - 1 + degrees * (len(points) - 1)
    # A source that hands out a basis: each noise is a row of coefficients in independent normals.
    basis = InjectedNoise(torch.eye(count, dtype=torch.float64)[..., None])
    like = torch.zeros(count, 1, dtype=torch.float64)
    path = BrownianPath.refining(LEVELS, plan.intervals, like, basis)
    for place, (a, b) in enumerate(itertools.pairwise(LEVELS)):
        row = path([Interval(a, b, DATA, 1.0)], like)[0, :, 0]
        assert torch.allclose(row, torch.eye(count, dtype=torch.float64)[place], atol=1e-12)
    rows = path(plan.intervals, like)[..., 0]
    gram = torch.eye(len(rows), dtype=torch.float64)
    assert torch.allclose(rows @ rows.T, gram, atol=1e-12)


def test_runs_that_refine_the_same_levels_have_one_path_by_seed() -> None:
    like = torch.zeros(3, 2, dtype=torch.float64)
    noises = []
    for method, grid in (("seeds-1", [4.0, 1.0, 0.1]), ("seeds-3s", [4.0, 2.0, 0.7, 0.1])):
        plan = make_plan(method, grid)
        path = BrownianPath.refining(LEVELS, plan.intervals, like, SeededNoise([5, 6, 7]))
        noises.append(path.noise(DATA, 3.0, 0.4))
    assert torch.allclose(noises[0], noises[1], atol=1e-12)
    alone = BrownianPath.refining(LEVELS, plan.intervals, like[:1], SeededNoise([6]))
    assert torch.allclose(alone.noise(DATA, 3.0, 0.4)[0], noises[1][1], atol=1e-12)


def test_levels_to_refine_are_a_grid_and_hold_the_intervals() -> None:
    plan, like, source = make_plan("seeds-1", [4.0, 1.0]), torch.zeros(1, 1), SeededNoise([1])
    with pytest.raises(ParameterError, match="intervals of one eta"):
        BrownianPath.refining(LEVELS, [], like, source)
    with pytest.raises(GridError):
        BrownianPath.refining([1.0, 4.0], plan.intervals, like, source)
