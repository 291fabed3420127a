import ast
import fnmatch
import json
from pathlib import Path

import pytest

from proofs_checks.catalogue import claim_names
from proofs_checks.changes import changes, places
from proofs_checks.source_mutation import (
    ROOT,
    SUBJECTS,
    killer,
    run,
    sample,
    source_mutants,
    unexplained,
)
from seeds_theory.errors import UnknownNameError

RECORD = json.loads((Path(__file__).parents[2] / "book" / "mutations.json").read_text())


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("x = 2", ["x = 3"]),
        ("x = y + 1", ["x = y + 2", "x = y - 1"]),
        ("x = -y", ["x = +y"]),
        ("x = y < z", ["x = y <= z"]),
        ("x = y and z", ["x = y or z"]),
        ("x = not y", ["x = not not y"]),
        ("x = min(y, z)", ["x = max(y, z)"]),
        ("x = math.exp(y)", ["x = math.expm1(y)"]),
        ("x: Literal[1] = True", ["x: Literal[1] = False"]),
        ("def f(x: int) -> int:\n    raise Error(f'{x + 1}')", []),
        ("x = zip(y, z, strict=True)", []),
    ],
)
def test_each_kind_of_place_is_changed_and_nothing_that_only_people_read(text, changed):
    tree = ast.parse(text)
    found = [ast.unparse(new) for place, *_ in places(tree) for new, _ in changes(tree, place)]
    assert sorted(found) == sorted(changed)
    assert ast.unparse(tree) == ast.unparse(ast.parse(text))


def test_a_place_has_the_name_that_it_is_in_and_a_decision_that_of_its_claim():
    text = '@claim("a-b", 1)\ndef _():\n    return 1\nclass C:\n    n = 2\nx = 3\nfor i in (4,):\n    pass'
    assert {name for _, name, _ in places(ast.parse(text))} == {"x", "a-b", "", "C"}


@pytest.mark.parametrize("module", SUBJECTS)
def test_whoever_is_asked_exists(module):
    subject = SUBJECTS[module]
    for pattern in subject.claims:
        assert fnmatch.filter(claim_names(), pattern), pattern
    assert all((ROOT / file).exists() for file in subject.tests)
    assert sample(module, 5) == sample(module, 5)
    assert set(sample(module, 5)) <= set(source_mutants(module))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "change", "noticed"),
    [
        ("seeds_theory.exact", "diffusion", "2 * eta -> 2 / eta", True),
        ("seeds_theory.emitted.moments", "average", "2 -> 3", True),
        ("proofs_checks.growth", "exact_gain", "-sp.log(level) -> +sp.log(level)", True),
        ("proofs_checks.claims.exact", "exact-marginals", "True -> False", False),
    ],
)
def test_a_change_is_noticed_if_it_has_an_effect(module, name, change, noticed):
    mutant, *_ = (m for m in source_mutants(module) if m.name == name and m.change == change)
    assert (killer(mutant) is not None) == noticed


def test_an_unknown_module_is_refused():
    with pytest.raises(UnknownNameError, match=r"seeds_theory\.exact"):
        next(run(1, ["seeds_theory.exakt"]))


def test_the_record_explains_whatever_nobody_noticed():
    assert unexplained(RECORD) == []
    assert {record["module"] for record in RECORD} <= set(SUBJECTS)
    assert not [record for record in RECORD if record["by"] and record["why"]]
