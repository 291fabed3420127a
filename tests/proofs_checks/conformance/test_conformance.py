"""The vectors are what the library computes, and a program that differs from them is told where."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from proofs_checks.conformance import command as command_module
from proofs_checks.conformance import stored, vectors
from proofs_checks.conformance.check import TOLERANCE, Results, check
from proofs_checks.conformance.recording import chosen, mixture
from proofs_checks.pipe import NoiseRequest
from seeds_theory.errors import ParameterError, UnknownNameError
from seeds_theory.methods import METHODS
from seeds_theory.solver import SOLVERS, Solver

EXAMPLE = Path(__file__).parents[3] / "book" / "_static" / "seeds.py"
OFFERED = ("seeds-1", "seeds-2", "seeds-3")
CASES = vectors.load(stored.committed())


def near(found: object, expected: object) -> bool:
    """Whether two records agree, every number to the tolerance of the check."""
    if isinstance(expected, float | int) and not isinstance(expected, bool):
        assert isinstance(found, float | int)
        return abs(found - expected) <= TOLERANCE * max(1.0, abs(expected))
    if isinstance(expected, dict):
        assert isinstance(found, dict) and list(found) == list(expected)
        return all(near(found[name], value) for name, value in expected.items())
    if isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected)
        return all(near(a, b) for a, b in zip(found, expected, strict=True))
    return found == expected


# -------------------------------------------------------------------------------------- the vectors


@pytest.mark.parametrize("method", SOLVERS)
def test_the_committed_vectors_are_what_the_library_computes(method: str) -> None:
    committed = json.loads((stored.committed() / f"{method}.json").read_text())
    jsonschema.Draft202012Validator(json.loads(stored.schema())).validate(committed)
    assert near(json.loads(vectors.text(vectors.compute(method))), committed)


def test_every_sampler_has_vectors_and_the_copy_is_small() -> None:
    files = [file for file in stored.committed().iterdir() if file.name.endswith(".json")]
    names = [*SOLVERS, "schema"]
    assert sorted(file.name for file in files) == sorted(f"{name}.json" for name in names)
    assert len(SOLVERS) >= 40
    assert sum(len(file.read_bytes()) for file in files) < 600_000


def test_the_cases_are_those_that_go_wrong() -> None:
    counts = Counter(case.method for case in CASES)
    assert min(counts.values()) == 8
    for method in SOLVERS:
        cases = [case for case in CASES if case.method == method]
        assert {np.shape(case.x) for case in cases} == {(3, 2)}
        steps = {len(case.sigmas) - 1 for case in cases}
        assert 1 in steps and max(steps) >= 3
        assert {case.sigmas[-1] == 0 for case in cases} == {True, False}
        only = Solver(method).baseline and Solver(method).baseline.only_eta
        if only is None and method != "restart":  # whose eta is a whole number
            assert {case.options["eta"] for case in cases} == {0.0, 0.5, 1.0}
    degrees = {case.method: max((r.degree for r, _ in case.noise), default=0) for case in CASES}
    for method in METHODS:
        asked = max((r.degree for c in CASES if c.method == method for r, _ in c.noise), default=0)
        assert asked == {"seeds-2s": 2, "seeds-3s": 3, "seeds-4s": 3}.get(method, 1)
    assert degrees.keys() == set(SOLVERS)


@pytest.mark.parametrize("case", [c for c in CASES if c.method in ("seeds-3", "seeds-2m")])
def test_a_case_is_a_run(case: vectors.Case) -> None:
    """With its normals in order, whatever they are for, a run gives its states."""
    rows = torch.cat(
        [torch.tensor(values, dtype=torch.float64) for _, values in case.noise]
        or [torch.zeros(0, 3, 2, dtype=torch.float64)]
    )
    used, states = 0, []

    def source(intervals, like):
        nonlocal used
        used += len(intervals)
        return rows[used - len(intervals) : used]

    options = {name: value for name, value in case.options.items() if name != "method"}
    x = torch.tensor(case.x, dtype=torch.float64)
    solver = chosen(case.method, options)
    solver(mixture(case.model), x, case.sigmas, source, callback=lambda step: states.append(step.x))
    assert used == len(rows)
    for found, expected in zip(states, case.states, strict=True):
        assert torch.allclose(found, torch.tensor(expected).double(), rtol=1e-6, atol=1e-6)
        assert near(found.tolist(), expected)


def test_files_that_hold_no_vectors_are_one_typed_line(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no folder: seeds-conformance write"):
        vectors.load(tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="has no vectors: seeds-conformance write"):
        vectors.load(tmp_path)
    for text in (
        "[",
        "[]",
        "{}",
        '{"format": 1, "method": "a", "model": {}, "cases": [{}]}',
        "[" * 10**5,
    ):
        (tmp_path / "mine.json").write_text(text)
        with pytest.raises(ParameterError, match=r"mine.json holds no vectors"):
            vectors.load(tmp_path)
    (tmp_path / "mine.json").write_text('{"format": 2}')
    with pytest.raises(ParameterError, match="vectors of format 2; this version reads 1"):
        vectors.load(tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean 'mine'"):
        vectors.load(tmp_path, ["mime"])


MALFORMED = {
    ("x", '"abc"'): "case 'uniform': 'x' holds no numbers of shape (any, 2)",
    ("x", '[["a"]]'): "case 'uniform': 'x' holds no numbers of shape (any, 2)",
    ("x", "[[1, 2], [3]]"): "case 'uniform': 'x' holds no numbers of shape (any, 2)",
    ("x", "[[NaN, 2]]"): "NaN is no number of JSON",
    ("x", "[[1e999, 2]]"): "case 'uniform': 'x' has numbers that are not finite",
    ("options", "[1]"): "case 'uniform': 'options' is no object",
    ("sigmas", '["1"]'): "case 'uniform': 'sigmas' holds no numbers of shape (any)",
    ("sigmas", "[1]"): "case 'uniform': 'sigmas' are no levels that descend",
    ("sigmas", "[1, 2]"): "case 'uniform': 'sigmas' are no levels that descend",
    ("sigmas", "[1, -1]"): "case 'uniform': 'sigmas' are no levels that descend",
    ("states", "[]"): "case 'uniform': 'states' holds no numbers of shape (3, 3, 2)",
    ("states", "[[[NaN, 1], [1, 1], [1, 1]]]"): "NaN is no number of JSON",
    ("calls", '[{"sigma": "q", "x": []}]'): "case 'uniform': 'sigma' holds no numbers of shape ()",
    ("calls", "[3]"): "case 'uniform': 'sigma' is missing",
    ("noise", "[3]"): "case 'uniform': 'noise' has an entry that is no object",
    ("noise", '[{"from": 2, "to": 1, "degree": 1, "values": [[1, 2]]}]'): "of shape (1, 3, 2)",
    ("noise", '[{"from": "2", "to": 1, "degree": 1}]'): "case 'uniform': asks for noise in a way",
    ("name", "3"): "case 1: 'name' is no text",
    ("model", "{}"): "'means' is missing",
    ("weights", '["a", "b", "c"]'): "'weights' holds no numbers of shape (3)",
    ("weights", "[1, 1, 0]"): "'weights' and 'deviations' are not all larger than 0",
    ("cases", "[]"): "'cases' is empty",
    ("cases", "5"): "'cases' is no list",
    ("cases", "[5]"): "case 1: 'name' is missing",
}


@pytest.mark.parametrize("change", MALFORMED)
def test_a_malformed_file_names_its_case_in_one_line(
    change: tuple[str, str], tmp_path: Path
) -> None:
    name, text = change
    record = json.loads((stored.committed() / "seeds-1.json").read_text())
    owner = next(part for part in (record, record["model"], record["cases"][0]) if name in part)
    owner[name] = "HERE"
    (tmp_path / "mine.json").write_text(json.dumps(record).replace('"HERE"', text))
    with pytest.raises(ParameterError) as caught:
        vectors.load(tmp_path)
    assert str(caught.value).startswith("mine.json holds no vectors: ")
    assert MALFORMED[change] in str(caught.value) and "\n" not in str(caught.value)


def test_a_state_that_is_no_number_differs() -> None:
    (case,) = (c for c in CASES if c.method == "seeds-1" and c.name == "two-levels")
    states = ([[math.nan, 1.0], [1.0, 1.0], [1.0, 1.0]],)
    program = [sys.executable, "-S", str(EXAMPLE)]
    assert not check(program, [replace(case, states=states)], seconds=30).passed


# ---------------------------------------------------------------------------------------- the check


def checked(text: str, folder: Path, methods: tuple[str, ...] = OFFERED) -> Results:
    """The example as a program of other text, run on the vectors of those methods."""
    file = folder / "program.py"
    file.write_text(text)
    return check(
        [sys.executable, "-S", str(file)], vectors.load(stored.committed(), methods), seconds=30
    )


def test_an_implementation_in_plain_python_passes(tmp_path: Path) -> None:
    results = checked(EXAMPLE.read_text(), tmp_path, (*OFFERED, "seeds-2s", "euler"))
    assert results.passed
    assert results.faults == ()
    assert [name for name in results.variants if name not in results.not_offered] == list(OFFERED)
    assert {"seeds-2s", "euler", "seeds-3 (nodes [0.4, 0.8])"} <= set(results.not_offered)


@pytest.mark.slow
def test_every_sampler_of_the_library_passes_behind_a_pipe() -> None:
    command = [sys.executable, "-m", "proofs_checks.conformance.command", "serve"]
    results = check(command, CASES, seconds=60)
    assert [f"{o.case.method} {o.case.name}: {o.fault}" for o in results.faults] == []
    assert results.passed and not results.not_offered


WRONG = {
    # In the example's text, what is written instead, and what is said of the case "uniform" of seeds-3.
    ("a = k * h * e**2", "a = k * h * e"): "call 3, level 3.16195: its state is off by 0.06",
    ("exp(-e * h)\n", "exp(-0.7 * h)\n"): "noise request 2: 1 normal of 5.623118712 to 2.985054259",
    ("(b, d_l), (1, n)", "(b, d_l)"): "call 4, level 1.778: the state after step 1 is off by",
    ("spread = t *", "spread = 1.000001 * t *"): "call 2, level 5.62312: its state is off by",
    ("if t > 0 else model(x, s)", "if t > 0.1 else x"): "6 model calls instead of 9",
    ("model(u, l)", "model(u, 0.9 * l)"): "call 3: level 2.846 instead of 3.162",
    (
        "model(u, l)",
        "model(u, l * (1 + 1e-9))",
    ): "call 3: level 3.16194640858 instead of 3.16194640541",
    ("d_l = total((1, model(u, l))", "model(u, l); d_l = total((1, model(u, l))"): "call 4: level",
    ('{"result": x}', '{"result": total((1 + 1e-9, x))}'): "the result is off by 1e-09",
    (
        '"degree": 1',
        '"degree": 2',
    ): "noise request 1: 2 normals of 10 to 5.623118712 instead of 1 normal",
    ("if eta > 0:", "if False:"): "call 2, level 5.62312: its state is off by",
    ("x, sigmas, options):\n", "x, sigmas, options):\n    x = total((2, x))\n"): "call 1, level 10",
}


@pytest.mark.parametrize("change", WRONG)
def test_the_first_thing_that_differs_is_told(change: tuple[str, str], tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    assert change[0] in text
    results = checked(text.replace(*change), tmp_path, ("seeds-3",))
    assert not results.passed
    first = results.outcomes[0]
    assert first.case.name == "uniform"
    assert first.fault is not None and WRONG[change] in first.fault


def test_an_option_that_is_ignored_is_named(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("if options or", "if")
    (outcome,) = checked(text, tmp_path, ("seeds-1",)).faults  # without noise both are DDIM
    assert outcome.case.name == "uneven-noise-prediction"
    assert "(asked with prediction=noise: a program that has no such" in str(outcome.fault)


def test_noise_that_is_not_asked_for_is_missed(tmp_path: Path) -> None:
    text = (
        EXAMPLE.read_text()
        .replace("(spread, noise(s, t))", "(0, x)")
        .replace("x = METH", "_ = METH")
    )
    results = checked(text, tmp_path, ("seeds-1",))
    assert any("instead of" in str(outcome.fault) for outcome in results.faults)


def test_a_refused_case_of_a_method_that_is_offered_is_a_fault(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace("not eta >= 0", "not eta > 0")
    results = checked(text, tmp_path, ("seeds-1",))
    assert not results.passed
    assert {outcome.case.name for outcome in results.faults} == {"ode", "ode-to-zero"}
    assert all("answers with an error" in str(outcome.fault) for outcome in results.faults)


def test_a_program_that_offers_nothing_does_not_pass(tmp_path: Path) -> None:
    text = EXAMPLE.read_text().replace(
        '"seeds-1": seeds_1, "seeds-2": seeds_2, "seeds-3": seeds_3', ""
    )
    results = checked(text, tmp_path)
    assert not results.passed
    assert len(results.not_offered) == len(results.variants)


def test_a_program_that_breaks_is_given_up(tmp_path: Path) -> None:
    results = checked("import sys\nsys.exit('no luck')\n", tmp_path)
    assert not results.passed
    assert len(results.outcomes) == 3
    assert "given up after 3 runs" in str(results.ended)
    assert {o.fault for o in results.outcomes} == {
        "ends with status 1: no luck, in place of an answer"
    }
    # One that breaks in a single case goes on.
    text = EXAMPLE.read_text().replace(
        "if options or", "if len(sigmas) == 5 and not options: 1 / 0\n    if options or"
    )
    results = checked(text, tmp_path, ("seeds-1",))
    assert {outcome.case.name for outcome in results.faults} == {"uneven", "ode"}
    assert all("ZeroDivisionError" in str(outcome.fault) for outcome in results.faults)
    assert results.ended is None


@pytest.mark.slow
def test_a_program_that_stays_at_the_end_of_its_input_does_not_pass(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(EXAMPLE.read_text() + "    import time; time.sleep(60)\n")
    (case,) = (c for c in CASES if c.method == "seeds-1" and c.name == "two-levels")
    results = check([sys.executable, "-S", str(file)], [case], seconds=5)
    assert results.faults == ()
    assert "does not end within 5 s of the end of its input" in str(results.ended)
    assert not results.passed


def test_areas_and_paths_are_told_in_words() -> None:
    from proofs_checks.conformance.check import describe

    assert describe(NoiseRequest(2.0, 1.0, 2)) == "2 normals of 2 to 1"
    assert (
        describe(NoiseRequest(2.0, 1.0, path=3, area=True))
        == "1 normal of 2 to 1 (path 3, area True)"
    )


# -------------------------------------------------------------------------------------- the command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable:
    """The console script with arguments: its exit status, and what it prints."""
    monkeypatch.setenv("COLUMNS", "200")

    def ran(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["seeds-conformance", *arguments])
        with pytest.raises(SystemExit) as end:
            command_module.main()
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return ran


def test_the_command_checks_a_program(run: Callable, tmp_path: Path) -> None:
    program = ("--", sys.executable, "-S", str(EXAMPLE))
    status, out, _ = run("check", "--method", "seeds-1", "--method", "seeds-2", *program)
    assert status == 0
    assert "seeds-2 " in out and "not offered: seeds-1 (prediction noise)" in out
    status, out, _ = run("check", "--method", "seeds-1", "--method", "seeds-2s", *program)
    assert (status, "not offered: seeds-1 (prediction noise), seeds-2s" in out) == (1, True)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(EXAMPLE.read_text().replace("e**2", "e"))
    status, out, _ = run("check", "--method", "seeds-3", "--", sys.executable, "-S", str(wrong))
    assert status == 1
    assert "seeds-3, uniform: call 3, level 3.16195: its state is off by" in out
    for arguments, says in {
        ("check", "--method", "sedes-1", *program): "did you mean 'seeds-1'",
        ("check", "--", "./no-such-program"): "cannot start './no-such-program'",
        ("check", "--vectors", str(tmp_path / "none"), *program): "is no folder",
        ("serve", "--method", "sedes-1"): "did you mean 'seeds-1'",
    }.items():
        status, _, error = run(*arguments)
        assert status == 2
        assert says in error and error.count("\n") == 1


def test_a_served_line_that_is_none_is_answered_with_an_error() -> None:
    run = {"x": [[1.0, 2.0]], "sigmas": [1.0, 0.5], "options": {"method": "seeds-2", "eta": 0.0}}
    good = {"run": run}
    denoised = {"denoised": run["x"]}
    said = {
        "garbage": "no JSON",
        "[" * 10**5: "no JSON",
        "\xff": "no JSON",
        "[]": "'run' is missing",
        '{"run": 5}': "'run' is no object",
        '{"run": {"options": {}}}': "name a method in the options",
        json.dumps({"run": {**run, "x": [["a"]]}}): "'x' holds no numbers",
        json.dumps({"run": {**run, "x": [[math.nan, 1.0]]}}): "not finite",
        json.dumps({"run": {**run, "sigmas": 3}}): "'sigmas' holds no numbers",
        json.dumps({"run": {**run, "options": {"method": 5}}}): "name a method in the options",
        json.dumps({"run": {**run, "options": {"method": "seeds-9"}}}): "unknown",
        json.dumps({"run": {**run, "options": {**run["options"], "nodes": 5}}}): "'nodes' holds",
        json.dumps({"run": {**run, "options": {**run["options"], "eta": [1, 1]}}}): "",
    }
    wrong_answer = [json.dumps(good), json.dumps({"denoised": [[1.0]]})]
    lines = [*said, *wrong_answer, json.dumps(good), json.dumps(denoised), json.dumps(denoised)]
    done = subprocess.run(
        [sys.executable, "-m", "proofs_checks.conformance.command", "serve"],
        input="\n".join(lines).encode("latin-1") + b"\n",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer, text in zip(answers, said.values(), strict=False):
        assert text in answer["error"]
    asked, refused, *served = answers[len(said) :]
    assert "denoise" in asked and "'denoised' holds no numbers of shape (1, 2)" in refused["error"]
    assert [next(iter(answer)) for answer in served] == ["denoise", "denoise", "result"]


def test_the_command_writes_what_it_checks(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("seeds_theory.solver"), "SOLVERS", ("seeds-1", "ddim"))
    target = tmp_path / "mine"
    assert run("write", str(target))[:2] == (0, f"2 samplers in {target}\n")
    assert sorted(file.name for file in target.iterdir()) == [
        "ddim.json",
        "schema.json",
        "seeds-1.json",
    ]
    status, out, _ = run(
        "check", "--vectors", str(target), "--", sys.executable, "-S", str(EXAMPLE)
    )
    assert (status, "seeds-1" in out) == (0, True)
    status, _, error = run("write", str(target))
    assert status == 2 and "is there already" in error
    assert run("write", "--force", str(target))[0] == 0
    status, _, error = run("write", str(tmp_path / "no" / "folder"))
    assert status == 2 and "name another" in error


def test_a_case_that_is_changed_is_noticed(tmp_path: Path) -> None:
    """Each number of a case counts: the check is not satisfied by another one."""
    (case,) = (c for c in CASES if c.method == "seeds-2" and c.name == "two-levels")
    program = [sys.executable, "-S", str(EXAMPLE)]
    assert check(program, [case], seconds=30).passed
    level, states = case.calls[1]
    other = np.array(case.states[0])
    other[2, 1] *= 1 + 1e-9
    for changed in (
        replace(case, calls=(case.calls[0], (level * (1 + 1e-9), states))),
        replace(case, states=(other.tolist(),)),
        replace(case, calls=(*case.calls, case.calls[0])),
        replace(case, noise=(*case.noise, case.noise[0])),
        replace(case, noise=case.noise[::-1]),
        replace(case, sigmas=[2.0, 0.50001]),
    ):
        assert not check(program, [changed], seconds=30).passed
