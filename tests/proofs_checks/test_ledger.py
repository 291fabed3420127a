import json

import pytest
import sympy as sp
from typer.testing import CliRunner

from proofs_checks import Claim, Verdict, all_claims, decide
from proofs_checks.ledger import NotSymbolicError, measure, measure_at_most, prove
from proofs_checks.verdicts import ledger, run
from proofs_checks.verify import app, main

x, y = sp.symbols("x y", positive=True)


def test_an_identity_is_proved_and_a_wrong_one_refuted():
    assert prove([((x + y) ** 2, x**2 + 2 * x * y + y**2)], "").verdict is Verdict.proved
    assert prove([(sp.exp(x) * sp.exp(y), sp.exp(x + y))], "").verdict is Verdict.proved
    wrong = prove([(x, x), (sp.exp(x), 1 + x + x**2 / 2)], "")
    assert wrong.verdict is Verdict.refuted
    assert "differs from" in wrong.summary


def test_a_proof_takes_no_rounded_numbers():
    with pytest.raises(NotSymbolicError):
        prove([(0.5 * x, x / 2)], "")


def test_a_proof_of_nothing_is_open():
    assert prove([], "").verdict is Verdict.open


def test_measurements_carry_their_uncertainty():
    found = measure(1.04, 0.01, 1.0, 0.05, "order")
    assert (found.verdict, found.figure, found.uncertainty) == (Verdict.measured, 1.04, 0.01)
    assert measure(1.06, 0.01, 1.0, 0.05, "order").verdict is Verdict.refuted
    assert measure(float("nan"), 0.0, 1.0, 0.05, "order").verdict is Verdict.refuted
    assert measure(1.0, 0.5, 1.0, 0.05, "order").verdict is Verdict.refuted
    assert measure(None, 0.0, 1.0, 0.05, "order").figure is None
    assert measure_at_most([2e-14, 0.0], 1e-14, "error").verdict is Verdict.refuted
    assert measure_at_most([0.0, float("nan")], 1e-14, "error").verdict is Verdict.refuted
    assert measure_at_most([], 1e-14, "error").verdict is Verdict.refuted
    assert measure_at_most([3e-15, 1e-16], 1e-14, "error").figure == 3e-15


def test_a_decision_that_breaks_down_leaves_the_claim_open():
    def breaks() -> None:
        raise RuntimeError("no such formula")

    record = decide(Claim("x-y", "", "", Verdict.proved, breaks))
    assert record.verdict is Verdict.open
    assert "no such formula" in record.evidence.summary
    assert not record.as_expected


def test_every_claim_states_itself():
    for claim in all_claims().values():
        assert claim.statement.endswith(".")
        assert claim.statement.count("$") % 2 == 0
        assert claim.source
        assert claim.expected is not Verdict.open


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["phi", "exact", "noise", "methods", "emitted"])
def test_the_theory_holds(chapter):
    surprises = [r for r in run([chapter], jobs=1) if not r.as_expected]
    assert not surprises, surprises


def test_the_leading_constants_hold():
    names = [f"orders-defect-{name}-data" for name in ("seeds-1", "seeds-2", "seeds-3")]
    assert all(record.verdict is Verdict.proved for record in run(names, jobs=1))


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json(tmp_path):
    out = tmp_path / "claims.json"
    result = CliRunner().invoke(app, ["phi-recurrence", "phi-taylor", "--json", str(out)])
    assert result.exit_code == 0
    assert "2 claims: 2 proved; 0 not as expected" in result.stdout
    found = json.loads(out.read_text())
    keys = {"id", "statement", "source", "expected", "verdict", "evidence", "seconds"}
    assert [set(record) for record in found] == [keys, keys]


def test_a_surprise_is_exit_status_one(monkeypatch):
    wrong = Claim("phi-taylor", "It is not.", "nobody", Verdict.proved, lambda: prove([(x, y)], ""))
    monkeypatch.setattr("proofs_checks.verdicts.all_claims", lambda: {"phi-taylor": wrong})
    result = CliRunner().invoke(app, ["phi-taylor"])
    assert result.exit_code == 1
    assert "refuted" in result.stdout


def test_an_unknown_claim_is_exit_status_two(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["seeds-verify", "nothing"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("seeds-verify: no claim is named 'nothing'")


def test_a_ledger_file_newer_than_the_code_is_read_as_it_is(tmp_path):
    path = tmp_path / "ledger.json"
    path.write_text('[{"id": "kept"}]')
    assert ledger(path) == [{"id": "kept"}]
