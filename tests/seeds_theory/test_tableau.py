"""Tableaux and the registry of methods: what is accepted, what is derived, what is refused."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp

from seeds_theory.errors import SeedsError, TableauError, UnknownNameError
from seeds_theory.methods import METHODS, method, symbolic
from seeds_theory.phi import Phi
from seeds_theory.tableau import Orders, Tableau, z

ORDERS = Orders(Fraction(1), 1, 1)
CUSTOM_NODES = ["seeds-2@0.7", "seeds-2b@1", "seeds-3@0.9,0.2", "seeds-3b@1/4,1", "seeds-3b@1,0.3"]

every_method = pytest.mark.parametrize("name", [*METHODS, *CUSTOM_NODES])


def build(nodes: tuple, stages: tuple, weights: tuple) -> Tableau:
    return Tableau("custom", nodes, stages, weights, ORDERS, "a test")


@every_method
def test_rows_integrate_a_constant_exactly(name: str) -> None:
    """The weights of each row sum to c phi_1(c z)."""
    for node, weights in method(name).rows:
        assert sp.simplify(sp.Add(*weights) - node * Phi(1, node * z)) == 0


@every_method
def test_rows_are_explicit_and_end_with_the_step(name: str) -> None:
    tableau = method(name)
    assert [len(weights) for _, weights in tableau.rows] == list(range(1, tableau.calls + 1))
    assert [node for node, _ in tableau.rows] == [*tableau.nodes, 1]


@pytest.mark.parametrize("name", ["seeds-2b@0.7", "seeds-3", "seeds-3@0.9,0.2", "seeds-3b@0.3,1"])
@pytest.mark.parametrize("argument", [-1.3, 0.8])
def test_interpolating_weights_are_integrals_of_lagrange_polynomials(
    name: str, argument: float
) -> None:
    """b_i = int_0^1 e^{(1 - theta) z} L_i(theta) dtheta on the nodes that the row interpolates at."""
    tableau = method(name)
    used = [i for i, weight in enumerate(tableau.weights) if weight != 0]
    nodes = [0.0, *(float(tableau.nodes[i]) for i in used)]

    def lagrange(i: int, theta: mpmath.mpf) -> mpmath.mpf:
        others = (node for j, node in enumerate(nodes) if j != i)
        return mpmath.fprod((theta - node) / (nodes[i] - node) for node in others)

    for position, i in enumerate(used, start=1):
        exact = mpmath.quad(
            lambda theta, p=position: mpmath.exp((1 - theta) * argument) * lagrange(p, theta),
            [0, 1],
        )
        value = float(sp.N(tableau.weights[i].subs(z, argument)))
        assert value == pytest.approx(float(exact), rel=1e-12)


@every_method
def test_weights_are_consistent_with_classical_second_order(name: str) -> None:
    """At z = 0: sum b_i c_i = 1/2 for all methods of two stages and more."""
    tableau = method(name)
    if not tableau.nodes:
        return
    pairs = zip(tableau.weights, tableau.nodes, strict=True)
    assert sum(weight.subs(z, 0) * node for weight, node in pairs) == sp.Rational(1, 2)


@pytest.mark.parametrize(
    ("name", "ode"),
    [
        ("seeds-1", 1),
        ("seeds-2", 2),
        ("seeds-2b@0.3", 2),
        ("seeds-3", 3),
        ("seeds-3b", 3),
        ("seeds-3@0.9,2/3", 3),
        ("seeds-3@0.5,1", 2),
        ("seeds-3b@2/3,1/3", 2),
    ],
)
def test_declared_orders(name: str, ode: int) -> None:
    weak = 1 if name == "seeds-1" else 2
    assert method(name).orders == Orders(Fraction(1), weak, ode)


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("seeds-1", ()),
        ("seeds-2", ("1/2",)),
        ("seeds-2b", ("1/2",)),
        ("seeds-3", ("1/3", "2/3")),
        ("seeds-3b", ("1/3", "2/3")),
        ("seeds-2@0.7", ("7/10",)),
        ("seeds-2@1", ("1",)),
        ("seeds-3@2/3, 1/3", ("2/3", "1/3")),
        ("seeds-3@1e-3,1", ("1/1000", "1")),
    ],
)
def test_names_are_read_exactly(name: str, nodes: tuple[str, ...]) -> None:
    tableau = method(name)
    assert tableau.name == name
    assert tableau.nodes == tuple(sp.Rational(node) for node in nodes)
    assert tableau.calls == 1 + len(nodes)


def test_default_nodes_written_out_give_the_same_numbers() -> None:
    default, written = method("seeds-3"), method("seeds-3@1/3,2/3")
    assert (default.nodes, default.stages, default.weights, default.orders) == (
        written.nodes,
        written.stages,
        written.weights,
        written.orders,
    )


@every_method
def test_every_method_has_a_reference(name: str) -> None:
    assert method(name).reference


def test_tableaux_are_values() -> None:
    assert method("seeds-2") == method("seeds-2")
    assert hash(method("seeds-2")) == hash(method("seeds-2"))
    assert method("seeds-2") != method("seeds-2b")


def test_symbolic_nodes_are_admissible() -> None:
    c = sp.Symbol("c_2", positive=True)
    tableau = METHODS["seeds-2"].build(c)
    assert tableau.rows[0][1] == (c * Phi(1, c * z),)


@pytest.mark.parametrize("name", ["seeds-4", "SEEDS-2", "", "@0.5", "seeds-4@0.5", "midpoint"])
def test_unknown_methods_list_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        method(name)
    assert isinstance(caught.value, SeedsError)
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in METHODS)


@pytest.mark.parametrize(
    ("name", "offence"),
    [
        ("seeds-2@0", "got 0"),
        ("seeds-2@-0.5", "got -1/2"),
        ("seeds-2@1.5", "got 3/2"),
        ("seeds-3@0.5,2", "got 2"),
        ("seeds-3@0.5,1/2", "got 1/2, 1/2"),
        ("seeds-3b@1,1", "got 1, 1"),
        ("seeds-2@", "got ''"),
        ("seeds-2@half", "got 'half'"),
        ("seeds-2@1/0", "got '1/0'"),
        ("seeds-2@nan", "got 'nan'"),
        ("seeds-2@inf", "got 'inf'"),
        ("seeds-3@0.5,", "got '0.5,'"),
        ("seeds-2@0.5@0.5", "got '0.5@0.5'"),
        ("seeds-3@0.5", "got 1 in 'seeds-3@0.5'"),
        ("seeds-2@0.3,0.6", "got 2 in 'seeds-2@0.3,0.6'"),
        ("seeds-1@0.5", "got 1 in 'seeds-1@0.5'"),
    ],
)
def test_nodes_that_no_method_can_have(name: str, offence: str) -> None:
    with pytest.raises(TableauError) as caught:
        method(name)
    assert isinstance(caught.value, SeedsError)
    assert offence in str(caught.value)


HALF, ONE = sp.Rational(1, 2), sp.Integer(1)


@pytest.mark.parametrize(
    ("parts", "offence"),
    [
        (((HALF,), (), (ONE,)), "rows of []"),
        (((HALF, ONE), ((), ()), (ONE, ONE)), "rows of [0, 0]"),
        (((HALF,), ((ONE,),), (ONE,)), "rows of [1]"),
        (((HALF,), ((),), ()), "one weight per node, 1; got 0"),
        (((HALF,), ((),), (ONE, ONE)), "one weight per node, 1; got 2"),
        (((-HALF,), ((),), (ONE,)), "got -1/2"),
        (((HALF, HALF), ((), (ONE,)), (ONE, ONE)), "got 1/2, 1/2"),
    ],
)
def test_tableaux_of_the_wrong_shape_are_refused(parts: tuple, offence: str) -> None:
    with pytest.raises(TableauError) as caught:
        build(*parts)
    assert offence in str(caught.value)


def test_row_sums_are_what_a_constant_is_weighted_with() -> None:
    sums = (sp.exp(z / 2) / 2, sp.exp(z))
    tableau = Tableau(
        "lawson-midpoint", (sp.Rational(1, 2),), ((),), (sp.exp(z / 2),), ORDERS, "", row_sums=sums
    )
    assert [
        sp.simplify(sp.Add(*weights) - s)
        for (_, weights), s in zip(tableau.rows, sums, strict=True)
    ] == [0, 0]
    with pytest.raises(TableauError, match="needs one row sum per row, 2; got 1"):
        Tableau("short", (sp.Rational(1, 2),), ((),), (z,), ORDERS, "", row_sums=(z,))


def test_a_method_at_symbolic_nodes_becomes_the_method_at_numbers() -> None:
    general, special = symbolic("seeds-3b"), method("seeds-3b@0.2,0.9")
    at = dict(zip(general.nodes, special.nodes, strict=True))
    for (_, ours), (_, theirs) in zip(general.rows, special.rows, strict=True):
        assert all(sp.simplify(a.subs(at) - b) == 0 for a, b in zip(ours, theirs, strict=True))


def test_rounded_weights_become_the_exact_numbers_they_mean() -> None:
    tableau = build((0.7,), ((),), (Phi(1, z) / (2 * 0.7),))
    assert tableau.weights == (Phi(1, z) * sp.Rational(5, 7),)
    assert build((0.5,), ((),), (1,)).weights == (sp.Integer(1),)


@pytest.mark.parametrize(
    ("parts", "offence"),
    [
        ((sp.Rational(1, 2), ((),), (z,)), "are sequences of numbers or sympy expressions"),
        (((0.5,), ((),), z), "are sequences of numbers or sympy expressions"),
        (((0.5,), ((),), (sp.Symbol("z"),)), "a symbol z of its own: import z"),
    ],
)
def test_entries_of_the_wrong_kind_are_refused(parts: tuple, offence: str) -> None:
    with pytest.raises(TableauError, match=offence):
        build(*parts)


@pytest.mark.parametrize("rule", [lambda rate, nodes: (), lambda rate, nodes: (1, 2)])
def test_a_noise_rule_gives_every_row_a_functional(rule) -> None:
    tableau = Tableau("odd", (0.5,), ((),), (z,), ORDERS, "a test", noise=rule)
    with pytest.raises(TableauError, match="returns a Functional for each of 2 rows"):
        tableau.noises(sp.Integer(1))


def test_a_tableau_prints_as_one():
    assert str(method("seeds-3")).splitlines() == [
        "seeds-3: order strong 1, weak 2, ODE 3; 3 model calls a step",
        "  0 |",
        "1/3 | phi_1(z/3)/3",
        "2/3 | 2*phi_1(2*z/3)/3 - 4*phi_2(2*z/3)/3  4*phi_2(2*z/3)/3",
        "----+" + 68 * "-",
        "    | phi_1(z) - 3*phi_2(z)/2              0                 3*phi_2(z)/2",
        "noise: values of one path; z = zeta h, the drift's rate times the step",
    ]


@every_method
def test_a_printed_row_has_its_weights(name):
    tableau = method(name)
    functions = {f"phi_{k}": lambda argument, k=k: Phi(k, argument) for k in (1, 2, 3)}
    printed = str(tableau).splitlines()[2:-1]
    rows = [line.partition(" | ")[2] for line in printed if "-+-" not in line]
    for row, (_, weights) in zip(rows, tableau.rows, strict=True):
        read = [sp.sympify(text, {"z": z, **functions}) for text in row.split("  ") if text.strip()]
        assert read == list(weights)
