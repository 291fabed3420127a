from dataclasses import replace
from fractions import Fraction

import pytest
import sympy as sp

from proofs_checks import trees
from proofs_checks.order_conditions import (
    decided_orders,
    explain,
    ode_order,
    path_defects,
    stiff_order,
    strong_constant,
    strong_order,
    weak_defects,
    weak_order,
)
from proofs_checks.published import CLASSICAL, PUBLISHED
from proofs_checks.taylor import PLAIN, LocalStep, exact_weight, product, rates, series
from seeds_theory import METHODS, method
from seeds_theory.errors import ParameterError, TableauError
from seeds_theory.exact import DATA, FORMS, NOISE
from seeds_theory.methods import symbolic
from seeds_theory.noise import h, interval_lengths, path_values, step_moment
from seeds_theory.phi import Phi
from seeds_theory.tableau import Orders, Tableau, z

half, third = sp.Rational(1, 2), sp.Rational(1, 3)


def test_the_contracted_forests_of_the_first_grades():
    assert [len(trees.forests(grade)) for grade in (1, 2, 3)] == [2, 7, 28]
    assert {trees.differential(forest) for forest in trees.forests(2)} == {
        r"\varphi^{(4)}(e_a, e_a, e_b, e_b)",
        r"\varphi'''(f, e_a, e_a)",
        r"\varphi''(f, f)",
        r"\varphi''(f'(e_a), e_a)",
        r"\varphi'(f''(e_a, e_a))",
        r"\varphi'(\dot f)",
        r"\varphi'(f'(f))",
    }


def test_trees_without_noise_and_time_are_the_rooted_trees():
    def plain(tree):
        return isinstance(tree, tuple) and all(map(plain, tree))

    counts = [sum(map(plain, trees.trees(2 * order))) for order in (1, 2, 3, 4)]
    assert counts == [1, 1, 2, 4]


def test_two_contractions_that_coincide_on_the_line_are_two_conditions_for_systems():
    across, within = ((1, (1, 2)), 2), (((1, 1), 2), 2)
    assert trees.canonical(across) != trees.canonical(within)


def test_a_forest_does_not_depend_on_how_its_pairs_are_numbered():
    assert trees.canonical(((2, 1), 1, 2)) == trees.canonical((2, 1, (1, 2)))


def test_multiplicities_count_pairings_over_symmetries():
    assert trees.multiplicity((1, 1, 2, 2)) == Fraction(3, 24)
    assert trees.multiplicity(trees.canonical(((1,), 1))) == 1


def test_exact_weights_are_iterated_integrals_of_covariances():
    zero = sp.Integer(0)
    assert exact_weight(((1,), 1), zero, 2) == {2: half}  # the integral of l dl
    assert exact_weight(((1,), (1,)), zero, 3) == {3: third}  # of min(k, l) over the square
    assert exact_weight((((),),), zero, 2) == {2: half}
    r = sp.Symbol("r")
    assert exact_weight((1, 1), r, 2) == {1: sp.Integer(1), 2: r}  # (e^{2rh} - 1)/(2r)


@pytest.mark.parametrize(
    "expression",
    [
        sp.exp(-3 * h) * Phi(2, -h) / (h + 2),
        sp.sqrt(Phi(1, -2 * h) / Phi(1, h)),
        (Phi(1, h) - 2) / h,
        sp.sqrt(1 - sp.exp(-h)) * sp.sqrt(1 - sp.exp(-2 * h)) / h**3,
        h**2 * (1 + Phi(3, h / 2)) ** 2,
    ],
)
def test_series_agree_with_the_expression(expression):
    found = sp.Add(*(c * h**n for n, c in series(expression).items()))
    at = sp.Rational(1, 1000)
    assert abs(sp.N((expression - found).subs(h, at), 30)) < 1e-11


def test_a_closed_form_with_a_pole_loses_no_terms():
    closed = (sp.exp(h) - sum(h**k / sp.factorial(k) for k in range(5))) / h**5
    assert series(closed) == series(Phi(5, h))


def test_roots_are_expanded_together():
    ratio = sp.sqrt(1 - sp.exp(-h)) / sp.sqrt(1 - sp.exp(-2 * h))
    assert series(ratio)[0] == sp.sqrt(2) / 2


def test_half_powers_of_h_are_refused():
    with pytest.raises(ParameterError, match="no series in integer powers"):
        series(sp.sqrt(h))


def test_products_keep_the_powers_that_a_pole_brings_back():
    pole, long = {-1: sp.Integer(1)}, {n: sp.Integer(1) for n in range(5)}
    assert product([long, pole], 1) == {n: 1 for n in (-1, 0, 1)}
    assert product([pole, long], 1) == {n: 1 for n in (-1, 0, 1)}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param(name, form, marks=[pytest.mark.slow] if name == "seeds-4s" else [])
        for name in METHODS
        for form in method(name).predictions
    ],
)
def test_every_declared_order_is_what_the_engine_decides(name, form):
    declared = replace(method(name).orders, linear=None)
    assert decided_orders(method(name), FORMS[form]) == declared


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_declared_order_of_a_variant_is_what_the_engine_decides(name):
    # The two departures of the code are for one prediction each.
    form = {"noise": NOISE}.get(name, DATA)
    assert decided_orders(PUBLISHED[name], form) == PUBLISHED[name].orders


def test_a_wrong_declaration_is_noticed():
    wrong = replace(method("seeds-3"), orders=Orders(Fraction(3, 2), 3, 3))
    assert decided_orders(wrong, DATA) == Orders(Fraction(1), 2, 3)


def test_the_first_violated_condition_is_named_with_its_value():
    defect = next(weak_defects(CLASSICAL["euler-maruyama"], PLAIN, 2))
    assert (defect.differential, defect.value) == (r"\varphi''(f'(e_a), e_a)", -half)
    strongest = path_defects(method("seeds-2"), rates(DATA))[0]
    assert (strongest.differential, strongest.power) == ("f'(e_a)", 3)
    assert strongest.value == sp.Rational(1, 12)


def test_strong_order_three_halves_needs_the_average_of_the_path():
    assert strong_order(CLASSICAL["sra1"], PLAIN) == Fraction(3, 2)
    assert strong_constant(CLASSICAL["sra1"], PLAIN) == 0
    first = path_defects(CLASSICAL["sra1"], PLAIN)[0]
    assert (first.differential, first.power) == ("f''(e_a, e_b)", 4)


def test_a_singular_weight_is_followed_to_its_consequences():
    tableau = PUBLISHED["phi"]
    assert LocalStep(tableau, rates(DATA)).singular
    assert not LocalStep(method("seeds-3"), rates(DATA)).singular
    assert weak_order(tableau, rates(DATA)) == 1
    assert ode_order(tableau, rates(DATA)) == 1
    assert stiff_order(tableau) == 0


def test_a_singular_stage_can_spoil_the_path_where_the_average_is_right():
    """Average noise at 3/4, as in SRA1, but a stage before it that grows like 1/h."""

    def noise(rate, nodes):
        first, second, _, end = path_values(rate, nodes)
        average = step_moment(rate, interval_lengths(nodes), 3, power=1)
        return first, second, sp.Rational(3, 2) / h * average, end

    nodes = (sp.Rational(1, 4), half, sp.Rational(3, 4))
    growing = (1 / (2 * z), -1 / (4 * z))
    tableau = Tableau(
        "growing",
        nodes,
        ((), (sp.Integer(0),), growing),
        (sp.Integer(0), sp.Integer(0), sp.Rational(2, 3)),
        Orders(Fraction(1), 1, 1),
        "a test",
        noise=noise,
    )
    first = path_defects(tableau, rates(DATA))[0]
    assert (first.differential, first.power) == ("f'(f'(e_a))", 3)


@pytest.mark.parametrize("weight", [1 / z**2, 1 / z])
def test_weights_that_grow_too_fast_or_in_the_last_row_are_refused(weight):
    tableau = replace(method("seeds-2"), name="too singular", weights=(weight,))
    with pytest.raises(TableauError, match="no order is decided"):
        weak_order(tableau, rates(DATA))


def test_the_ode_is_the_limit_eta_0_and_not_a_generic_eta():
    assert ode_order(symbolic("seeds-3"), rates(DATA)) == 2
    assert ode_order(method("seeds-3"), rates(DATA)) == 3


def test_an_order_beyond_the_examined_powers_is_an_error_not_a_guess(monkeypatch):
    monkeypatch.setattr("proofs_checks.order_conditions.LIMIT", 2)
    with pytest.raises(ParameterError, match=r"all conditions up to h\^2"):
        weak_order(replace(method("seeds-2"), name="examined to 2"), rates(DATA))


def test_the_explanation_names_the_condition_that_binds():
    found = explain(method("seeds-2"), DATA)
    lines = str(found).splitlines()
    assert lines[0] == "strong order 1: in the mean square, f'(e_a) is wrong at h^3 by 1/12"
    assert lines[1].startswith("weak order 2: in the mean, ")
    inconsistent = replace(method("seeds-1"), row_sums=(Phi(1, z) * sp.Rational(9, 10),))
    assert str(explain(inconsistent, DATA)).startswith("strong order 0: in the mean, phi'(f) is")


def test_the_explanation_is_latex_on_a_page_and_has_none_in_a_terminal():
    found = explain(method("seeds-3s"), DATA)
    page = found._repr_markdown_().splitlines()
    assert page[0].startswith("* strong order 3/2: in the m") and page[0].count("$") == 6
    assert not set("$\\{}") & set(str(found))
    assert trees.plain(r"\varphi''(\dot f, \partial_l^3 f)") == "phi''(d_l f, d_l^3 f)"


def test_rounded_numbers_and_other_things_than_forms_are_refused():
    with pytest.raises(ParameterError, match="exact arithmetic"):
        series(1.5 * h)
    with pytest.raises(ParameterError, match="orders are of a form, DATA or NOISE"):
        decided_orders(method("seeds-2"), "data")
    with pytest.raises(TableauError, match="orders are of a Tableau"):
        decided_orders("seeds-2", DATA)


def test_an_order_at_one_eta_only():
    assert rates(DATA, sp.Integer(1)).drift == -2
    assert weak_order(method("seeds-2"), rates(DATA, sp.Integer(1))) == 2
