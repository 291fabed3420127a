"""C, Rust and JavaScript: what is exported is compiled, run, and compared with the library's own loop."""

import json
import math
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from string import Template

import mpmath
import numpy as np
import pytest
import torch
from tools import tool

from proofs_checks.audit import assert_order
from proofs_checks.conformance.check import check
from proofs_checks.conformance.stored import committed
from proofs_checks.conformance.vectors import load
from seeds_theory import InjectedNoise, follow, make_plan
from seeds_theory.emit.description import identifier
from seeds_theory.emit.method import method_program
from seeds_theory.emit.targets import target
from seeds_theory.emit.targets.template import template

LANGUAGES = ("c", "rust", "javascript")
SUFFIX = {"c": "c", "rust": "rs", "javascript": "mjs"}
HERE = Path(__file__).parent / "native"

QUICK = [("seeds-1", "noise"), ("seeds-3", "data"), ("seeds-2s", "data")]
SLOW = [
    *((name, p) for name in ("seeds-2", "seeds-2b", "seeds-3b") for p in ("data", "noise")),
    ("seeds-1", "data"),
    ("seeds-3", "noise"),
    *((name, "data") for name in ("seeds-3s", "seeds-4s")),
    # Stages at the end of the step, and stages out of order.
    *((name, "data") for name in ("seeds-2@1", "seeds-3@2/3,1/3", "seeds-3@1/2,1")),
    ("seeds-3@2/3,1/3", "noise"),
]
METHODS = [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]

INF = math.inf
GRIDS = {
    "usual": [80.0, 12.0, 3.0, 0.5, 0.05],
    "small steps": [1.0, 1 - 1e-9, 0.999, 0.99],
    "large steps": [20.0, 1.0, 0.05],
    "huge steps": [1e4, 1.0, 1e-4],
    "to zero": [20.0, 1.5, 0.2, 0.0],
    "one step to zero": [0.7, 0.0],
    "from infinity": [INF, 30.0, 1.0, 0.1],
    "both": [INF, 5.0, 0.5, 0.0],
    "one step from infinity": [INF, 2.0],
}
ETAS = (0.0, 0.5, 1.0, 2.0)


class Exported:
    """A method's files in a folder, and what was made of them."""

    def __init__(self, folder: Path, language: str, name: str, prediction: str) -> None:
        method = method_program(name, prediction)
        self.folder, self.language, self.name = folder, language, identifier(method)
        folder.mkdir()
        for file, text in target(language).files(method).items():
            (folder / file).write_text(text)

    def solver(self, suffix: str) -> Path:
        return self.folder / f"{self.name}{suffix}"

    def main(self, *flags: str) -> list[str]:
        """The program that speaks the pipe."""
        return compiled(
            self.language, self.folder, f"main.{SUFFIX[self.language]}", self.name, *flags
        )

    def driver(self) -> list[str]:
        """The program that takes cases on its input."""
        if self.language == "javascript":
            return [tool("node"), str(HERE / "driver.mjs"), str(self.solver(".mjs"))]
        source = f"driver.{SUFFIX[self.language]}"
        text = (HERE / source).read_text()
        if self.language == "rust":
            text = Template(text).substitute(path=self.solver(".rs"))
        (self.folder / source).write_text(text)
        named = f'-DHEADER="{self.name}.h" -DNAME={self.name} -DUPPER={self.name.upper()}'
        flags = named.split() if self.language == "c" else []
        return compiled(self.language, self.folder, source, self.name, *flags)


def compiled(language: str, folder: Path, source: str, also: str, *flags: str) -> list[str]:
    """The command of a program made of a source and, in C, the method's; warnings are errors."""
    program = folder / Path(source).stem
    if language == "javascript":
        return [tool("node"), str(folder / source)]
    if language == "c":
        strict = [
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-Wshadow",
            "-Wconversion",
        ]
        own = [f"{also}.c"] if also else []
        command = [tool("gcc"), *strict, *flags, "-o", str(program), source, *own, "-lm"]
    else:
        command = [tool("rustc"), "--edition", "2021", "-D", "warnings", "-o", str(program), source]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [str(program)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Exported]:
    """Makes exports, each once."""
    made: dict[tuple[str, str, str], Exported] = {}

    def of(language: str, name: str, prediction: str = "data") -> Exported:
        key = (language, name, prediction)
        if key not in made:
            made[key] = Exported(tmp_path_factory.mktemp("exports") / "of", *key)
        return made[key]

    return of


def run(command: list[str], given: str, status: int = 0) -> list[str]:
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout.splitlines()


def words(values: list[float]) -> str:
    listed = ["Infinity" if v == INF else repr(v) for v in values]
    return " ".join([str(len(values)), *listed])


def denoiser(x: torch.Tensor, sigma: float) -> torch.Tensor:
    return x / (1.0 + x.abs()) + 1.0 / (1.0 + sigma)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("name", "prediction"), METHODS)
def test_a_run_is_that_of_the_library(exported, language, name, prediction):
    generator = torch.Generator().manual_seed(5)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    given, expected = [], []
    for grid, sigmas in GRIDS.items():
        if grid == "huge steps" and prediction == "noise":
            continue  # each step multiplies rounding by s / t: no two programs agree
        for eta in ETAS:
            plan = make_plan(name, sigmas, eta=eta, prediction=prediction)
            x, normals = plan.initial_scale * drawn(5), drawn(plan.normals, 5)
            given.append(
                f"{eta} {words(sigmas)} {words(x.tolist())} {words(normals.flatten().tolist())}"
            )
            expected.append(follow(denoiser, x, plan, InjectedNoise(normals)).numpy())
    lines = run(exported(language, name, prediction).driver(), "\n".join(given))
    for line, due in zip(lines, expected, strict=True):
        found = np.array(line.split(), dtype=float)
        np.testing.assert_allclose(found, due, rtol=0, atol=1e-13 * abs(due).max())


BAD = {
    "1.0 1 5.0": "two or more noise levels",
    "1.0 2 Infinity 0.0": "two or more noise levels",
    "1.0 3 5.0 1.0 1.0": "descend strictly",
    "1.0 2 1.0 5.0": "descend strictly",
    "1.0 2 1.0 -1.0": "between 1e-100 and 1e100",
    "1.0 2 1e200 1.0": "between 1e-100 and 1e100",
    "1.0 3 1.0 0.0 -1.0": "between 1e-100 and 1e100",
    "-1.0 2 5.0 1.0": "eta is a finite number >= 0",
    "Infinity 2 5.0 1.0": "eta is a finite number >= 0",
    "1.0 2 5.0 1.0": "normals",  # none are given
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_call_is_an_error(exported, language):
    lines = run(exported(language, "seeds-3").driver(), "\n".join(f"{bad} 1 7.0 0" for bad in BAD))
    for line, message in zip(lines, BAD.values(), strict=True):
        assert line.startswith("error: ")
        assert message in line


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_runs(exported, language, tmp_path):
    made = exported(language, "seeds-3")
    first = made.solver({"c": ".h", "rust": ".rs", "javascript": ".mjs"}[language])
    heading = first.read_text().partition("Example")[2]
    prefix = "//! " if language == "rust" else r" \*     "
    start = r"(?:mod|#include|import)"
    found = re.search(rf"^({prefix}{start}.*\n(?:(?:{prefix}).*\n)*)", heading, re.MULTILINE)
    assert found
    example = re.sub(rf"^{prefix}", "", found[0], flags=re.MULTILINE).partition("```")[0]
    shutil.copytree(made.folder, tmp_path / "of")
    source = f"example.{SUFFIX[language]}"
    (tmp_path / "of" / source).write_text(example)
    [line] = run(compiled(language, tmp_path / "of", source, made.name), "")
    x, normals = torch.tensor([7.0]).double(), torch.tensor([[0.5], [0.0], [0.0]]).double()
    plan = make_plan("seeds-3", [10.0, 1.0, 0.0])
    due = follow(lambda x, sigma: x / (1 + sigma**2), x, plan, InjectedNoise(normals))
    assert float(line) == pytest.approx(due.item(), rel=1e-14)


def exact(k: int, z: float) -> mpmath.mpf:
    return mpmath.hyp1f1(1, k + 1, mpmath.mpf(z)) / mpmath.factorial(k)


@pytest.mark.parametrize("language", LANGUAGES)
def test_phi_is_accurate(language, tmp_path):
    head = {
        "c": "#include <math.h>\n#include <stdio.h>\n",
        "rust": "",
        "javascript": "const { abs, exp, expm1 } = Math;\n",
    }[language]
    source = f"phi.{SUFFIX[language]}"
    parts = [template(source), template(f"damped_{source}"), (HERE / source).read_text()]
    (tmp_path / source).write_text(head + "".join(parts))
    edges = [3.0, math.nextafter(3.0, 0), math.nextafter(3.0, 4), 1e-300]
    sizes = np.concatenate([edges, np.logspace(-18, 2.8, 80), np.linspace(0.05, 40, 120)])
    pairs = [(k, z) for k in range(1, 6) for z in [0.0, *sizes, *-sizes]]
    given = "\n".join(f"{k} {z!r}" for k, z in ((k, float(z)) for k, z in pairs))
    lines = run(compiled(language, tmp_path, source, ""), given)
    for (k, z), line in zip(pairs, lines, strict=True):
        with mpmath.workdps(40):
            value, damped = (mpmath.mpf(word) for word in line.split())
            due = exact(k, z)
            assert abs(value / due - 1) < 1e-14, (k, z)
            if z >= 0:  # where it is meant for
                assert abs(damped / (due * mpmath.exp(-mpmath.mpf(float(z)))) - 1) < 1e-14, (k, z)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "prediction", "options"),
    [
        ("seeds-3", "data", {}),
        ("seeds-2s", "data", {}),
        ("seeds-1", "noise", {"prediction": "noise"}),
        pytest.param("seeds-3s", "data", {}, marks=pytest.mark.slow),
        pytest.param("seeds-3@0.4,0.8", "data", {"nodes": [0.4, 0.8]}, marks=pytest.mark.slow),
        pytest.param("seeds-3b", "noise", {"prediction": "noise"}, marks=pytest.mark.slow),
    ],
)
def test_the_program_passes_the_vectors(exported, language, name, prediction, options):
    method = name.partition("@")[0]
    cases = load(committed(), (method,))
    results = check(exported(language, name, prediction).main(), cases)
    assert results.passed, results
    served = {outcome.case.variant for outcome in results.outcomes if not outcome.refused}
    assert served == {
        case.variant
        for case in cases
        if options == {k: v for k, v in case.options.items() if k not in ("method", "eta")}
    }


RUN = '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0], "options": %s}}'
WRONG_RUNS = [
    "",
    "null",
    "[1, 2]",
    "{",
    '{"run"',
    '{"run": {}}',
    '{"run": 3}',
    '{"denoised": [[1.0]]}',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0]} trailing',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0]}} {}',
    '{"run": {"x": [], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[1.0, 2.0], [1.0]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[null]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [["1.5"]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[1e999]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[NaN]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[01.5]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[1.5,]], "sigmas": [2.0, 0.0]}}',
    '{"run": {"x": [[1.5]], "sigmas": [2.0]}}',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 3.0]}}',
    '{"run": {"x": [[1.5]], "sigmas": {"a": 1}}}',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0], "more": "open}}',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0], "more": "\\u12"}}',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0], "more": "\\q"}}',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0], "more": "\\',
    '{"run": {"x": [[1.5]], "sigmas": [2.0, 0.0], \0 "more": 1}}',
    '{"run": {"x": ' + "[" * 100_000,
    RUN % '{"method": "seeds-2"}',
    RUN % '{"method": "seeds-3b"}',
    RUN % '{"method": 3}',
    RUN % '{"eta": -1}',
    RUN % '{"eta": "1"}',
    RUN % '{"eta": [1]}',
    RUN % '{"nodes": [0.5]}',
    RUN % '{"nodes": [0.5, 0.6]}',
    RUN % '{"nodes": 0.5}',
    RUN % '{"prediction": "noise"}',
    RUN % '{"s_churn": 1}',
    RUN % "[]",
]
GOOD_RUNS = [
    RUN % "{}",
    RUN % '{"method": "seeds-3", "eta": 0, "prediction": "data"}',
    RUN % '{"nodes": [0.3333333333333333, 0.6666666666666666]}',
    ' { "run" : { "more": [true, false, null, {"a": "\\u00e9\\n{\\"}"}],'
    ' "sigmas":[2e0,0],"x":[[15E-1]] } } \r',
]
WRONG_ANSWERS = [
    '{"denoised": [[1.0, 2.0]]}',
    '{"denoised": [1.0]}',
    '{"denoised": [[null]]}',
    '{"denoised": [[1e400]]}',
    '{"noise": [[[1.0]]]}',
    "[[1.0]]",
    "nonsense",
    "",
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_malformed_input_is_answered_with_an_error(exported, language):
    sanitizers = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    command = exported(language, "seeds-3").main(*(sanitizers if language == "c" else ()))
    given = list(WRONG_RUNS)
    for answer in ('{"denoised": [[0.25]]}', *WRONG_ANSWERS):
        given += [GOOD_RUNS[0], answer]
    for good in GOOD_RUNS[1:]:
        given += [good, '{"denoised": [[0.1]]}']
    given.append(GOOD_RUNS[0])  # and the end of the input in place of an answer
    answers = [json.loads(line) for line in run(command, "\n".join(given) + "\n")]
    errors, rest = answers[: len(WRONG_RUNS)], answers[len(WRONG_RUNS) :]
    assert [list(answer) for answer in errors] == [["error"]] * len(WRONG_RUNS)
    assert all(isinstance(answer["error"], str) for answer in errors)
    asked, ended = rest[::2], rest[1::2]
    assert asked == [{"denoise": {"x": [[1.5]], "sigma": 2.0}}] * len(asked)
    wrong = [["error"]] * len(WRONG_ANSWERS)
    right = [["result"]] * (len(GOOD_RUNS) - 1)
    assert [list(answer) for answer in ended] == [["result"], *wrong, *right, ["error"]]
    assert ended[0]["result"] == [[0.25]]
    assert [answer["result"] for answer in ended[-len(GOOD_RUNS) : -1]] == [[[0.1]]] * 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_that_breaks_down_ends_the_run(exported, language):
    """Estimates as large as they get: the next state is not finite, and is not printed."""
    start = '{"run": {"x": [[1e308]], "sigmas": [2.0, 1.0], "options": {"eta": 0}}}'
    estimate = '{"denoised": [[-1.7e308]]}'
    lines = run(exported(language, "seeds-3", "noise").main(), f"{start}\n{estimate}\n")
    assert list(json.loads(lines[1])) == ["error"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_large_batch(exported, language):
    x = np.random.default_rng(3).standard_normal((16384, 4)) * 2.0
    message = {"run": {"x": x.tolist(), "sigmas": [2.0, 0.0], "options": {}}}
    answer = {"denoised": (x / 5).tolist()}
    given = f"{json.dumps(message)}\n{json.dumps(answer)}\n"
    asked, ended = (json.loads(line) for line in run(exported(language, "seeds-3").main(), given))
    assert asked["denoise"]["x"] == x.tolist()
    assert ended["result"] == (x / 5).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "prediction"),
    [("c", "data"), ("rust", "data"), ("javascript", "data")],
)
def test_the_program_has_the_orders_of_its_method(exported, language, prediction):
    """The audit runs the program behind a pipe, and finds what the method declares.

    Of SEEDS-1: the orders of the others settle on finer grids than numbers go through a pipe in a test.
    """
    command = shlex.join(exported(language, "seeds-1", prediction).main())
    assert_order(f"pipe:{command}", weak=1, strong=1)
