"""Orders for noise of any intensity, and the discrete noise that has the moments of normals."""

import pytest
import sympy as sp
import torch

from proofs_checks import trees
from proofs_checks.clocks import CLOCKED, Arc, ClockStep
from proofs_checks.order_conditions import decided_orders, strong_order, weak_order
from proofs_checks.published import ThreePointNoise, last_stage_only, seeds_3_published_phi
from proofs_checks.published import with_noise as other_noise
from proofs_checks.taylor import LocalStep, method_weight, rates
from seeds_theory.errors import TableauError
from seeds_theory.exact import NOISE, eta
from seeds_theory.forms import DATA
from seeds_theory.methods import method, seeds_2a
from seeds_theory.plan import Interval
from seeds_theory.sources import GeneratorNoise


def test_with_the_intensity_of_noise_prediction_it_is_noise_prediction() -> None:
    """g_n = r^n with r = -1, forest by forest, exact weights and the method's."""
    any_noise, plain = (
        ClockStep(method("seeds-2"), CLOCKED),
        LocalStep(method("seeds-2"), rates(NOISE)),
    )
    derivatives = {g: (-1) ** n for n, g in enumerate(sp.symbols("g_1:5", real=True), start=1)}
    for grade in (1, 2):
        for forest in trees.forests(grade):
            for ours, theirs in (
                (any_noise.exact_weight(forest, 3), plain.exact_weight(forest, 3)),
                (method_weight(forest, any_noise, 3), method_weight(forest, plain, 3)),
            ):
                for power in (1, 2, 3):
                    difference = sp.sympify(ours.get(power, 0)).subs(derivatives) - theirs.get(
                        power, 0
                    )
                    assert sp.expand(difference) == 0


def test_a_wrong_weight_loses_the_order_in_a_clock_too() -> None:
    wrong = seeds_3_published_phi()
    assert weak_order(wrong, CLOCKED) == decided_orders(wrong, NOISE).weak < 2
    assert strong_order(wrong, CLOCKED) == 1


def test_other_noises_than_the_path_are_refused() -> None:
    with pytest.raises(TableauError, match="the path's values"):
        weak_order(other_noise(seeds_2a(sp.Rational(1, 2)), last_stage_only, "x"), CLOCKED)


def test_arc_is_closed_where_it_can_be() -> None:
    u = sp.Symbol("u", positive=True)
    assert Arc(0, u) == sp.atan(u) and Arc(1, u) == u / sp.sqrt(1 + u**2) and Arc(eta, 0) == 0
    for value in (0, 1):
        assert (
            sp.simplify(sp.diff(Arc(value, u), u) - sp.diff(Arc(eta, u), u).subs(eta, value)) == 0
        )


def test_three_points_have_the_moments_of_normals_up_to_the_fifth() -> None:
    source = ThreePointNoise(GeneratorNoise(torch.Generator().manual_seed(0)))
    count = 400_000
    draws = source([Interval(2.0, 1.0, DATA, 1.0)], torch.zeros(count, dtype=torch.float64))[0]
    assert set(draws.square().round().tolist()) == {0.0, 3.0}
    for power, exact in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0), (5, 0.0)):
        values = draws**power
        assert float((values.mean() - exact).abs()) < 4 * float(values.std()) / count**0.5
