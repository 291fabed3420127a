"""Published variants: what each of them changes, and what it leaves alone."""

import pytest
import sympy as sp
import torch

from proofs_checks.claims.published import LEADING, VARIANTS
from proofs_checks.leading import local_defect
from proofs_checks.order_conditions import decided_orders
from proofs_checks.published import (
    PUBLISHED,
    ReseededNoise,
    SignNoise,
    independent_stages,
    last_stage_only,
    lawson_2,
    reread_intervals,
    reversed_intervals,
    sign_moment,
)
from seeds_theory import follow, make_plan, uniform_log_snr
from seeds_theory.errors import NoiseError
from seeds_theory.exact import NOISE
from seeds_theory.methods import method
from seeds_theory.noise import h, interval_lengths, path_values
from seeds_theory.sources import GeneratorNoise
from seeds_theory.tableau import z
from toy_models import Gaussian

rate = sp.Symbol("r", positive=True)
NODES = (sp.Rational(1, 4), sp.Rational(2, 3))


def covariances(rows, nodes):
    """The matrix of covariances of the rows' noises."""
    lengths = interval_lengths(nodes)
    return sp.Matrix([[a.covariance(b, lengths).doit() for b in rows] for a in rows])


def vanishes(matrix):
    numbers = matrix.subs({rate: sp.Rational(3, 2), h: sp.Rational(1, 2)})
    return all(abs(sp.N(entry, 30)) < 1e-25 for entry in numbers)


@pytest.mark.parametrize("nodes", [NODES, (sp.Rational(7, 10),), (sp.Integer(1),)])
def test_the_published_rule_has_all_variances_right(nodes):
    ours, exact = (
        covariances(rule(rate, nodes), nodes) for rule in (reversed_intervals, path_values)
    )
    assert vanishes((ours - exact).diagonal())
    assert not vanishes(ours - exact)


def test_at_the_last_node_1_the_published_noises_are_independent():
    stage, end = reversed_intervals(rate, (sp.Integer(1),))
    assert stage.covariance(end, interval_lengths((sp.Integer(1),))) == 0


def test_independent_stages_have_the_exact_variances_and_no_covariances():
    ours, exact = (
        covariances(rule(rate, NODES), NODES) for rule in (independent_stages, path_values)
    )
    assert vanishes(ours - sp.diag(*exact.diagonal()))


def test_noise_in_the_last_line_is_the_exact_one():
    *stages, end = last_stage_only(rate, NODES)
    assert [stage.terms for stage in stages] == [{}, {}]
    assert end == path_values(rate, NODES)[-1]


def test_another_reading_of_the_rule_has_the_exact_noise_of_the_step():
    c2 = sp.Rational(7, 10)
    nodes = (1 - c2, c2)
    _, stage, end = reread_intervals(rate, nodes)
    assert end == path_values(rate, nodes)[-1]
    published = covariances(reversed_intervals(rate, (c2,)), (c2,))
    assert vanishes(covariances((stage, end), nodes) - published)


def test_each_departure_of_seeds_3_changes_one_thing():
    exact, phi, noise = method("seeds-3"), PUBLISHED["phi"], PUBLISHED["noise"]
    assert (phi.nodes, phi.weights, phi.noise) == (exact.nodes, exact.weights, exact.noise)
    assert phi.stages != exact.stages
    assert (noise.nodes, noise.weights, noise.stages) == (exact.nodes, exact.weights, exact.stages)
    assert noise.noise is not exact.noise


def test_lawsons_method_has_the_classical_weights_at_z_0():
    c2 = sp.Rational(2, 3)
    rows = [[weight.subs(z, 0) for weight in row] for _, row in lawson_2(c2).rows]
    assert rows == [[c2], [sp.Rational(1, 4), sp.Rational(3, 4)]]


@pytest.mark.slow
def test_every_variant_of_the_book_is_registered_with_its_decided_orders():
    assert VARIANTS.keys() == PUBLISHED.keys()
    for name, variant in VARIANTS.items():
        if name not in ("rule-2", "rule-3", "rule-3-skew"):  # decided by their claims, slowly
            for form in variant.forms:
                assert decided_orders(PUBLISHED[name], form) == PUBLISHED[name].orders


@pytest.mark.slow
def test_the_defect_of_the_published_noise_is_found_by_expansion_too():
    *lower, last = local_defect(PUBLISHED["noise"], NOISE)
    assert lower == [0, 0, 0]
    assert sp.simplify(last - LEADING["noise"]) == 0


# ------------------------------------------------------------------------------- noise sources


@pytest.fixture
def plan():
    return make_plan("seeds-2", uniform_log_snr(4.0, 0.5, 3))


def test_reseeded_noise_is_that_of_calls_with_a_generator_of_one_seed(plan):
    data = Gaussian.scalar(1.0)
    start = data.marginal(4.0).sample(6, torch.Generator().manual_seed(0))
    together = follow(data, start, plan, ReseededNoise(2))
    for first in (0, 2, 4):
        own = GeneratorNoise(torch.Generator().manual_seed(7))
        assert torch.equal(
            follow(data, start[first : first + 2], plan, own), together[first : first + 2]
        )


@pytest.mark.parametrize("count", [1, 3])
def test_reseeded_noise_wants_whole_batches(plan, count):
    with pytest.raises(NoiseError, match="whole number of batches of 2"):
        ReseededNoise(2)(plan.steps[0].intervals, torch.zeros(count, 1))


def test_sign_noise_compares_its_normals_with_the_threshold(plan):
    normals = torch.tensor([[[0.4], [0.6]], [[-0.1], [0.1]]])

    def fixed(intervals, like):
        return normals

    like = torch.zeros(2, 1)
    assert SignNoise(fixed)(plan.steps[0].intervals, like).flatten().tolist() == [-1, 1, -1, -1]
    centred = SignNoise(fixed, threshold=0.0)(plan.steps[0].intervals, like)
    assert centred.flatten().tolist() == [1, 1, -1, 1]


def test_moments_of_the_sign():
    half = sp.Rational(1, 2)
    assert float(sign_moment(1, half)) == pytest.approx(-0.38292492254802624)
    assert sign_moment(2, half) == sign_moment(4, half) == 1
    assert sign_moment(1, sp.Integer(0)) == sign_moment(3, sp.Integer(0)) == 0
