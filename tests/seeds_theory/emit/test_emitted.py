"""The code that plans run is the emitter's and up to date; a tableau of one's own is emitted too."""

import copy
import math
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

from proofs_checks.emission import cases, names_and_predictions, worst_error
from seeds_theory.emit import library
from seeds_theory.emit.lower import Lowering
from seeds_theory.emit.program import Call, Name
from seeds_theory.emit.python import Python
from seeds_theory.emit.step import step_program
from seeds_theory.errors import TableauError
from seeds_theory.exact import DATA, splitting
from seeds_theory.forms import FORM_NUMBERS, PREDICTION_NAMES
from seeds_theory.loop import follow
from seeds_theory.methods import METHODS, method, seeds_3s
from seeds_theory.nodes import listed_nodes
from seeds_theory.noise import h
from seeds_theory.phi import Phi
from seeds_theory.plan import Interval, make_plan
from seeds_theory.prediction import PREDICTIONS
from seeds_theory.scheme import named_scheme, registered, tableau_scheme
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise
from seeds_theory.tableau import Orders, Tableau, z

GRID = [8.0, 3.0, 1.0, 0.2, 0.0]


@pytest.fixture(scope="module")
def emitted():
    return library.files()


def test_the_emitted_code_is_up_to_date(emitted):
    on_disk = {path.name for path in library.FOLDER.glob("*.py")} - {"__init__.py"}
    assert on_disk == set(emitted), "run `make emitted`"
    for name, text in emitted.items():
        assert (library.FOLDER / name).read_text() == text, f"{name} is stale: run `make emitted`"


def test_every_file_says_what_it_was_made_from(emitted):
    hashes = {
        name: re.findall(r"^# Made from: sha256 ([0-9a-f]{32})$", text, re.M)
        for name, text in emitted.items()
    }
    assert all(len(found) == 1 for found in hashes.values())
    assert len({found[0] for found in hashes.values()}) == len(emitted)


def test_a_changed_formula_has_another_hash_and_another_text(emitted, monkeypatch):
    family = METHODS["seeds-2"]
    wrong = replace(
        family, build=lambda c: replace(family.build(c), weights=(Phi(1, z) / (3 * c),))
    )
    monkeypatch.setitem(METHODS, "seeds-2", wrong)
    changed, original = library.files()["seeds_2.py"], emitted["seeds_2.py"]
    assert changed.splitlines()[1] != original.splitlines()[1]
    assert "b_2 = -growth / (3 * c_2)" in changed and "b_2 = -growth / (2 * c_2)" in original


def test_names_that_are_written_down_twice_agree():
    assert tuple(registered()) == tuple(METHODS)
    assert tuple(PREDICTIONS) == PREDICTION_NAMES
    assert [form.name for form in FORM_NUMBERS.values()] == list(FORM_NUMBERS)


@pytest.mark.parametrize(("name", "prediction"), names_and_predictions())
def test_emitted_numbers_have_their_digits(name, prediction):
    for case in cases(name):
        assert worst_error(case, prediction) <= 1e-14


@pytest.mark.parametrize(("name", "prediction"), names_and_predictions())
@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_a_tableau_of_ones_own_takes_the_same_way(name, prediction, eta):
    """The same tableau under another name is emitted in the process, at its numeric nodes."""
    own = replace(method(name), name="own")
    ours = make_plan(own, GRID, eta=eta, prediction=prediction)
    plan = make_plan(name, GRID, eta=eta, prediction=prediction)
    assert (ours.method, ours.orders) == ("own", method(name).orders)
    for mine, step in zip(ours.steps, plan.steps, strict=True):
        assert [i.degree for i in mine.intervals] == [i.degree for i in step.intervals]
        for a, b in zip(mine.rows, step.rows, strict=True):
            assert a.sigma == pytest.approx(b.sigma, rel=1e-14)
            assert a.drift == pytest.approx(b.drift, rel=1e-13, abs=1e-14)
            assert a.noise == pytest.approx(b.noise, rel=1e-13)


@pytest.mark.parametrize("nodes", ["1/3,2/3", "2/3,1/3", "1/2,1", "1,1/2", "0.3,0.8"])
@pytest.mark.parametrize("name", ["seeds-3", "seeds-3b"])
@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_nodes_in_any_order_are_those_of_the_tableau(name, nodes, prediction):
    full = f"{name}@{nodes}"
    emitted_now = replace(method(full), name="own")
    a, b = (
        make_plan(m, [5.0, 0.5], eta=0.7, prediction=prediction).steps[0]
        for m in (full, emitted_now)
    )
    assert len(a.intervals) == len(b.intervals)
    for one, other in zip(a.intervals, b.intervals, strict=True):
        assert (one.sigma, one.sigma_next) == pytest.approx((other.sigma, other.sigma_next))
    for mine, row in zip(a.rows, b.rows, strict=True):
        assert mine.noise == pytest.approx(row.noise, rel=1e-13)
        assert mine.drift == pytest.approx(row.drift, rel=1e-13, abs=1e-14)


def test_a_method_as_a_tableau_is_the_registered_one():
    assert make_plan(method("seeds-3"), GRID) == make_plan("seeds-3", GRID)
    assert tableau_scheme(method("seeds-2@0.7"), "data") is named_scheme("seeds-2@0.7", "data")


def test_the_node_without_a_method_is_refused_with_and_without_symbols():
    for refused in (
        lambda: named_scheme("seeds-3s@2/3", "data"),
        lambda: named_scheme("seeds-3s@0.666666667", "data"),
        lambda: named_scheme("seeds-3s@0.6674", "data"),
        lambda: seeds_3s(sp.Rational(2, 3)),
        lambda: seeds_3s(sp.Float(2 / 3)),
    ):
        with pytest.raises(TableauError, match="no node 2/3"):
            refused()
    assert named_scheme("seeds-3s@0.665", "data").nodes[0] == 0.665
    assert seeds_3s(sp.Symbol("c", positive=True)).name == "seeds-3s"
    assert listed_nodes("seeds-2@0.7", "0.7", 1) == (Fraction(7, 10),)


def test_a_method_that_is_added_in_the_process_has_a_name(monkeypatch):
    """As the book's chapter on the methods adds one: it is emitted when its first plan is made."""
    monkeypatch.setitem(METHODS, "mine", METHODS["seeds-2"])
    x = torch.ones(2, 1, dtype=torch.float64)
    ends = [
        Solver(f"{name}@0.7")(lambda y, _: y / 2, x, GRID, SeededNoise([1, 2]))
        for name in ("mine", "seeds-2")
    ]
    assert torch.allclose(*ends, rtol=1e-13)


# ------------------------------------------------------------------- pickled, copied, compared


def _own():
    return make_plan(replace(method("seeds-3s"), name="own"), GRID, eta=0.5)


@pytest.mark.parametrize(
    "plan",
    [
        *(make_plan(name, [math.inf, *GRID], eta=0.5) for name in METHODS),
        make_plan("seeds-3@0.4,0.9", GRID, prediction="noise"),
        make_plan("seeds-2", GRID).scaled(lambda level: 1 / (1 + level)),
        _own(),
    ],
    ids=lambda plan: plan.method,
)
def test_a_plan_is_pickled_copied_and_compared(plan):
    for twin in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan)):
        assert twin == plan and hash(twin) == hash(plan)
        x = torch.ones(2, 3, dtype=torch.float64)
        runs = [follow(lambda y, _: y / 2, x, each, SeededNoise([1, 2])) for each in (plan, twin)]
        assert torch.equal(*runs)
    assert plan != replace(plan, eta=0.25)


@pytest.mark.parametrize(
    "form", [*FORM_NUMBERS.values(), splitting(sp.Rational(1, 2)).numbers], ids=str
)
def test_a_form_is_pickled_with_its_numbers(form):
    twin = pickle.loads(pickle.dumps(form))
    assert twin == form
    assert twin.propagator(0.3, 0.1, 0.5, 2.0) == form.propagator(0.3, 0.1, 0.5, 2.0)


def test_a_form_of_ones_own_is_emitted_when_it_is_asked_for():
    """Rate 1/2: over a stretch h the noise has the variance 2 eta sigma^2 (1 - e^{-h})."""
    interval = Interval(2.0, 1.0, splitting(sp.Rational(1, 2)), 0.7)
    assert interval.deviation == pytest.approx(math.sqrt(2 * 0.7 * 0.5))
    assert Interval(2.0, 1.0, DATA, 0.7) == Interval(2.0, 1.0, DATA.numbers, 0.7)


# ------------------------------------------------------------------------ what the emitter takes


def own(weight, **changed):
    tableau = Tableau("own", (), (), (), Orders(Fraction(1), 1, 1), "", row_sums=(weight,))
    return replace(tableau, **changed)


@pytest.mark.parametrize(
    ("weight", "value"),
    [
        (sp.exp(z / 2), lambda z: math.exp(z / 2)),
        (sp.sqrt(1 + z**2), lambda z: math.hypot(1, z)),
        (sp.log(2 - z), lambda z: math.log(2 - z)),
        (Phi(1, z) ** sp.Rational(1, 3), lambda z: (math.expm1(z) / z) ** (1 / 3)),
        (1 / (1 - z) ** 2, lambda z: (1 - z) ** -2),
        (sp.pi, lambda z: math.pi),
    ],
)
def test_weights_may_hold_roots_logarithms_and_powers(weight, value):
    (step,) = make_plan(own(weight), [2.0, 1.0], eta=0.5).steps
    argument = -1.5 * math.log(2)
    assert step.rows[0].drift[0] == pytest.approx(-argument * value(argument), rel=1e-14)


def test_a_function_that_no_language_has_is_refused():
    with pytest.raises(TableauError, match=r"'own' has sin in sin\(z\)"):
        make_plan(own(sp.sin(z)), [2.0, 1.0])


@pytest.mark.parametrize("symbol", ["s", "t", "q", "z_2"])
def test_a_foreign_symbol_is_refused_whatever_its_name(symbol):
    with pytest.raises(TableauError, match=f"the symbol {symbol}"):
        make_plan(own(sp.Symbol(symbol) * Phi(1, z)), [2.0, 1.0])


@pytest.mark.parametrize(
    "number",
    [
        sp.Float("1e-310"),
        sp.Float("1e300"),
        sp.Float("0.1", 40),
        sp.Rational(10**400 + 1, 10**400),
        sp.Rational(10**20 + 1, 3),
    ],
)
def test_numbers_of_any_size_that_doubles_have_are_taken(number):
    (step,) = make_plan(own(number * Phi(1, z)), [2.0, 1.0], eta=0.5).steps
    expected = -math.expm1(-1.5 * math.log(2)) * float(number)
    assert step.rows[0].drift[0] == pytest.approx(expected, rel=1e-13, abs=0)


@pytest.mark.parametrize(
    "number",
    [sp.Float("1e400"), sp.Rational(1, 10**400), -(10**400)],
    ids=["float", "small", "whole"],
)
def test_a_number_that_is_no_double_is_refused(number):
    with pytest.raises(TableauError, match=r"'own' has the number -?1\.00E[+-]400"):
        make_plan(own(number * Phi(1, z)), [2.0, 1.0])


@pytest.mark.parametrize(
    ("name", "home"),
    [("eta", "seeds_theory.exact"), ("z", "seeds_theory.tableau"), ("h", "seeds_theory.noise")],
)
def test_a_symbol_that_is_only_called_alike_is_told_from_the_right_one(name, home):
    with pytest.raises(TableauError, match=f"symbol {name} of its own: import {name} from {home}"):
        make_plan(own(sp.Symbol(name) * Phi(1, z)), [2.0, 1.0])


@pytest.mark.parametrize(
    "weight", [sp.I * Phi(1, z), 1 + sp.I, sp.exp(sp.I * z), sp.sqrt(-(z**2) - 1) * sp.I]
)
def test_the_imaginary_unit_is_refused(weight):
    with pytest.raises(TableauError, match=r"'own' has (the imaginary unit|ImaginaryUnit) in"):
        make_plan(own(weight), [2.0, 1.0])


def test_a_root_of_a_negative_number_is_refused():
    with pytest.raises(TableauError, match="a root of a negative number"):
        make_plan(own(sp.Integer(-2) ** sp.Rational(1, 3) * Phi(1, z)), [2.0, 1.0])


@pytest.mark.parametrize("weight", [sp.sqrt(z), z ** sp.Rational(1, 3), sp.log(z)])
def test_shorter_steps_are_not_advised_where_they_do_not_help(weight):
    with pytest.raises(TableauError, match=r"nor for one of 0\.000693") as refused:
        make_plan(own(weight), [2.0, 1.0])
    assert "shorter" not in str(refused.value)
    assert make_plan(own(sp.sqrt(-z)), [2.0, 1.0]).nfe == 1


@pytest.mark.parametrize("k", [6, sp.Rational(1, 2), sp.Symbol("k")])
def test_a_phi_function_of_another_order_is_refused(k):
    with pytest.raises(TableauError, match=r"'own' has (Phi|the symbol k)"):
        make_plan(own(Phi(k, z)), [2.0, 1.0])
    with pytest.raises(TableauError, match="whole number from 0 to 5"):
        Lowering("own")(Phi(k, z))


def test_the_first_rule_of_the_emitter():
    """u phi_1(u) is expm1(u), but not where eta or h would be left below the line."""
    lower = Lowering("test")
    u = sp.Symbol("u", real=True)
    assert lower(u * Phi(1, u)) == Call("expm1", Name("u"))
    assert "phi(1, h)" in Python().expression(lower(Phi(1, h)))
    assert Python().expression(lower(sp.sqrt(h) * sp.sqrt(Phi(1, u)))) == "sqrt(h * phi(1, u))"
    assert (
        Python().expression(lower(sp.sqrt(h) * sp.sqrt(Phi(1, -2 * h))))
        == "sqrt(-expm1(-2 * h) / 2)"
    )


def test_a_value_that_occurs_twice_is_computed_once():
    text = Python().step(step_program(method("seeds-3b"), DATA, "step"))
    assert text.count("phi(3, z)") == text.count("expm1(z)") == 1
    names = re.findall(r"^    (\w+) =", text, re.M)
    assert len(names) == len(set(names))


# ----------------------------------------------------------------------------- without the mathematics

WITHOUT = """
import sys
import numpy as np, torch
from seeds_theory.loop import follow
from seeds_theory.plan import make_plan
from seeds_theory.solver import Solver
from seeds_theory.solver import Solver
from seeds_theory.sources import SeededNoise
from seeds_theory.kdiffusion import sample_seeds_3
from seeds_theory.brownian import BrownianPath
x = torch.ones(2, 3, dtype=torch.float64)
for name in (
    "seeds-1", "seeds-3@0.8,0.3", "seeds-2s", "seeds-3s", "seeds-4s", "seeds-2m", "sa-solver", "shark"
):
    Solver(name)(lambda y, s: y / 2, x, [5.0, 1.0, 0.2, 0.0], SeededNoise([1, 2]))
plan = make_plan("seeds-3s", [5.0, 1.0, 0.2])
follow(lambda y, s: y / 2, x, plan, BrownianPath.serving(plan.intervals, x))
sample_seeds_3(lambda y, s, **k: y / 2, x, torch.tensor([1.0, 0.4, 0.0]), flow=True)
found = sorted({"sympy", "mpmath", "scipy", "matplotlib", "tqdm.notebook"} & set(sys.modules))
sys.exit(f"imported: {found}" if found else 0)
"""


def test_running_a_registered_method_imports_no_mathematics():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rows_of_a_scheme_are_of_arrays_too():
    scheme = named_scheme("seeds-3", "data")
    s, t = np.array([3.0, 2.0]), np.array([2.0, 0.5])
    both, alone = scheme.rows(s, t, 0.5), scheme.rows(2.0, 0.5, 0.5)
    for row, single in zip(both, alone, strict=True):
        assert np.asarray(row[0])[1] == pytest.approx(single[0], rel=1e-15)
