"""Exports that are read and not run: a plan as JSON, a method on a page of LaTeX."""

from __future__ import annotations

import collections
import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from exported import GRIDS, VARIANTS, program, text

from seeds_theory import make_plan
from seeds_theory.emit.targets import json as plan_json
from seeds_theory.errors import GridError, ParameterError

SCHEMA = json.loads(plan_json.SCHEMA.read_text())


def document(name: str, prediction: str, sigmas: list[float], eta: float) -> dict[str, Any]:
    (written,) = plan_json.files(program(name, prediction), sigmas, eta).values()

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(written, parse_constant=refused)


@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_a_plan_is_written_digit_by_digit(name: str, prediction: str, eta: float) -> None:
    for sigmas in GRIDS.values():
        found = document(name, prediction, sigmas, eta)
        jsonschema.validate(found, SCHEMA, jsonschema.Draft202012Validator)
        plan = make_plan(name, sigmas, eta=eta, prediction=prediction)
        assert [float(sigma) for sigma in found["sigmas"]] == sigmas
        assert (found["method"], found["eta"]) == (name, eta)
        assert found["initial_scale"] == plan.initial_scale
        for step, expected in zip(found["steps"], plan.steps, strict=True):
            assert (float(step["sigma"]), step["sigma_next"]) == (
                expected.sigma,
                expected.sigma_next,
            )
            calls = [(call["skip"], call["out"]) for call in step["integrands"]]
            assert calls == list(expected.integrands)
            stretches = [(float(i["from"]), i["to"], i["power"]) for i in step["intervals"]]
            assert stretches == [(i.sigma, i.sigma_next, i.degree) for i in expected.intervals]
            for row, numbers in zip(step["rows"], expected.rows, strict=True):
                assert (row["sigma"], row["state"]) == (numbers.sigma, numbers.state)
                assert (tuple(row["drift"]), tuple(row["noise"])) == (numbers.drift, numbers.noise)


def test_the_schema_is_one_and_refuses_what_is_no_plan() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    found = document("seeds-2", "data", [2.0, 1.0], 1.0)
    for wrong in ({**found, "eta": -1}, {**found, "sigmas": ["Infinity", 1]}, {**found, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)
    del found["steps"][0]["rows"][0]["noise"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA)


def test_a_plan_needs_levels() -> None:
    with pytest.raises(ParameterError, match="--sigmas"):
        plan_json.files(program("seeds-1", "data"))
    with pytest.raises(GridError):
        plan_json.files(program("seeds-1", "data"), [1.0, math.inf])


@pytest.mark.parametrize(("name", "prediction"), VARIANTS)
def test_a_page_is_whole(name: str, prediction: str) -> None:
    file, page = text(name, prediction, "latex")
    assert file.endswith(".tex")
    opened: list[str] = []
    for kind, environment in re.findall(r"\\(begin|end)\{(\w+\*?)\}", page):
        if kind == "begin":
            opened.append(environment)
        else:
            assert opened.pop() == environment
    assert opened == []
    count = collections.Counter(page)
    assert count["{"] == count["}"]
    assert count["$"] % 2 == 0
    rows = page.split(r"\begin{array}")[1].split(r"\end{array}")[0].splitlines()[1:]
    calls = program(name, prediction).calls
    assert {row.count("&") for row in rows if row != r"\hline"} == {calls}
    assert page.count(r"\paragraph") == 7
    assert all(rf"\texttt{{{claim}}}" in page for claim in program(name, prediction).claims)
    assert page.count("seeds-export") == 1
    assert "SPDX-License-Identifier: MIT" in page


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
@pytest.mark.parametrize("name", ["seeds-3", "seeds-3s", "seeds-4s"])
def test_a_page_is_one_page(name: str, tmp_path: Path) -> None:
    file, page = text(name, "data", "latex")
    (tmp_path / file).write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file]
    end = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stdout
    assert "(1 page," in end.stdout
    assert "Overfull" not in end.stdout
