"""What is imported when: seen in sys.modules, in processes of their own, not by the clock."""

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from seeds_theory.baselines import BASELINES
from seeds_theory.catalogue import (
    METHOD_NAMES,
    SAMPLER_NAMES,
    require_method_name,
    require_sampler_name,
)
from seeds_theory.errors import SeedsError
from seeds_theory.extras import EXTRAS
from seeds_theory.methods import METHODS
from seeds_theory.solver import SOLVERS, Solver

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LAZY = (
    "seeds_theory",
    "seeds_theory.baselines",
    "toy_models",
    "proofs_checks",
    "proofs_checks.audit",
    "proofs_checks.exercises",
    "gpu_runs",
)
HEAVY = ("torch", "numpy", "sympy", "scipy", "matplotlib")
OPTIONAL = ("sympy", "mpmath", "scipy", "matplotlib", "rich", "typer", "tqdm")
UNUSED = ("sympy", "mpmath", "scipy", "matplotlib", "tqdm.notebook")  # torch imports tqdm itself

# A console script as the shell runs it; the last line of stdout has the heavy modules of the process.
SCRIPT = f"""
import importlib, sys
target, *sys.argv = sys.argv[1:]
module, _, function = target.partition(":")
try:
    getattr(importlib.import_module(module), function)()
except SystemExit as end:
    status = end.code
print()
print(status or 0, *(name for name in {HEAVY} if name in sys.modules))
"""


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "300", **environment},
    )


def start(line, **environment):
    """Exit status, heavy modules, stdout and stderr of a command line."""
    script, *arguments = line.split(" ")
    done = python(SCRIPT, PROJECT["scripts"][script], script, *arguments, **environment)
    *printed, last = done.stdout.splitlines()
    status, *heavy = last.split()
    return int(status), heavy, "\n".join(printed), done.stderr


@pytest.mark.parametrize(
    "line",
    [
        *PROJECT["scripts"],
        *(f"seeds-tune {name}" for name in ("fit", "show", "settings", "compare")),
        *(f"seeds-fid {name}" for name in ("stats", "score")),
        *(f"seeds-bench {name}" for name in ("run", "plot", "presets", "micro", "tuned")),
    ],
)
def test_help_is_light(line):
    status, heavy, text, _ = start(f"{line} --help")
    assert (status, heavy) == (0, [])
    assert "Example:" in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seeds-order seeds-1 seeds-9", "unknown sampler 'seeds-9'"),
        ("seeds-order seeds-1 --predicion noise", "No such option"),
        ("seeds-order seeds-1 --target image", "'image' is not one of"),
        ("seeds-tune fit sa_solver", "unknown sampler 'sa_solver' (did you mean 'sa-solver'?)"),
        ("seeds-tune fti", "No such command"),
        ("seeds-mutate seeds3", "unknown method 'seeds3'"),
        ("seeds-verify phy", "no claim is named 'phy'"),
        ("seeds-audit seeds-2 seeds-9?eta=1", "unknown sampler 'seeds-9'"),
        ("seeds-audit seeds-2 --fail-on never", "'never' is not one of"),
        ("seeds-audit seeds-2 --expect second", "weak=2,strong=1"),
        ("seeds-audit seeds-2 --skip callbak", "unknown check 'callbak'"),
        ("seeds-audit seeds-2 --accept pyproject.toml", "no record of known findings"),
        (
            "seeds-generate --network fashion --method seeds-2 --steps 3 --seeds 0 --out x",
            "fashion",
        ),
        (
            "seeds-generate --network fashion-mnist --method seeds-9 --steps 3 --seeds 0 --out x",
            "unknown sampler 'seeds-9'",
        ),
        (
            "seeds-generate --network fashion-mnist --method ddim --steps 3 --seeds 0 --out x --grid lin",
            "unknown grid 'lin'",
        ),
        (
            "seeds-generate --pipeline no --prompts x --method ddim --steps 3 --seeds 0 --out x",
            "there is no folder no",
        ),
        (
            "seeds-generate --pipeline book --prompts no --method ddim --steps 3 --seeds 0 --out x",
            "there is no file of prompts no",
        ),
        (
            "seeds-generate --pipeline book --method ddim --steps 3 --seeds 0 --out x --grid edm",
            "--grid has no effect with --pipeline",
        ),
        (
            "seeds-inspect fashion",
            "fashion (did you mean 'fashion-mnist'?); embedded: fashion-mnist",
        ),
        ("seeds-bench run edm-cifar", "unknown preset 'edm-cifar'"),
        ("seeds-bench micro seeds-9", "unknown sampler 'seeds-9'"),
        ("seeds-export seeds-9 --to torch", "unknown method 'seeds-9'"),
        ("seeds-export seeds-3 --to trch", "unknown target 'trch'"),
        ("seeds-conformance check --method seeds-9 -- cat", "unknown method 'seeds-9'"),
        ("seeds-conformance serve --method seeds-9", "unknown sampler 'seeds-9'"),
        ("seeds-fid score x", "Missing option '--ref'"),
    ],
)
def test_a_name_that_is_not_known_is_refused_before_anything_heavy(line, message):
    status, heavy, _, error = start(line)
    assert (status, heavy) == (2, [])
    assert message in error


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("seeds-order seeds-3", [name for name in SOLVERS if name.startswith("seeds-3")]),
        ("seeds-order --prediction ", ["data", "noise"]),
        ("seeds-tune fit unipc", ["unipc-2", "unipc-3"]),
        ("seeds-mutate ", list(METHODS)),
        ("seeds-verify noise-join", ["noise-joining", "noise-joining-averages"]),
        ("seeds-audit seeds-2 edm", ["edm-heun"]),
        ("seeds-audit --skip short", ["short-grids"]),
        ("seeds-generate --precision t", ["tf32"]),
        ("seeds-inspect ", ["fashion-mnist"]),
        ("seeds-fid stats ", ["fashion-mnist", "fashion-mnist-test"]),
        ("seeds-bench run edm-imagenet", ["edm-imagenet-64x64-cond-adm"]),
    ],
)
def test_completion_is_light(line, names):
    script, *words = line.split(" ")
    asked = {
        f"_{script.replace('-', '_').upper()}_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    status, heavy, text, _ = start(script, **asked)
    assert (status, heavy) == (0, [])
    assert text.split() == names


@pytest.mark.parametrize("package", LAZY)
@pytest.mark.slow
def test_a_package_is_light_and_loads_its_names_on_first_use(package):
    code = f"""
import sys, {package} as package
before = [name for name in {HEAVY + OPTIONAL} if name in sys.modules]
assert not before, before
assert set(package.__all__) <= set(dir(package))
from {package} import *
missing = [name for name in package.__all__ if name not in globals()]
assert not missing, missing
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", LAZY)
def test_no_public_name_is_a_module_of_its_package(package):
    # Whichever is imported last would be what the name stands for.
    module = importlib.import_module(package)
    modules = {path.stem for path in Path(module.__file__).parent.iterdir()}
    assert modules.isdisjoint(module.__all__)


@pytest.mark.parametrize("package", LAZY)
def test_a_stub_has_imports_alone(package):
    stub = Path(importlib.import_module(package).__file__).with_suffix(".pyi")
    for node in ast.parse(stub.read_text()).body:
        assert isinstance(node, ast.ImportFrom)
        assert all(alias.name == alias.asname for alias in node.names)


def test_a_module_of_a_package_is_an_attribute_and_a_wrong_name_is_none():
    import seeds_theory

    assert seeds_theory.grids.rho_grid is seeds_theory.rho_grid
    with pytest.raises(AttributeError, match="module 'seeds_theory' has no attribute 'sampel'"):
        _ = seeds_theory.sampel


def test_the_catalogue_has_the_names_of_the_registries():
    assert tuple(METHODS) == METHOD_NAMES
    assert SOLVERS == SAMPLER_NAMES


@pytest.mark.parametrize("name", ["seeds-9", "sa_solver", "seeds-1@x@", "", "SEEDS-1"])
def test_a_light_check_says_what_the_sampler_says(name):
    def said(function):
        try:
            function(name)
        except SeedsError as error:
            return type(error), str(error)
        return None

    known = name.partition("@")[0] in METHODS
    assert said(require_sampler_name) == (None if known else said(Solver))
    assert said(require_method_name) == said(METHODS.__getitem__)


def test_a_baseline_is_listed_under_its_own_name():
    assert [baseline.name for baseline in BASELINES.values()] == list(BASELINES)


# Finds none of the libraries that an environment with the core alone has not got.
BARE = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {tuple(EXTRAS)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize("script", PROJECT["scripts"])
def test_a_command_without_its_extra_is_one_line_and_status_2(script):
    done = python(BARE + SCRIPT, PROJECT["scripts"][script], script, "--help")
    assert done.stdout == "\n2\n"
    assert done.stderr.startswith(f"{script}: ")
    assert "is not installed: pip install '.[commands]'" in done.stderr
    assert done.stderr.count("\n") == 1


WITHOUT_EXTRAS = {
    "from toy_models import gaussian_study": "toys",
    "import toy_models.few_steps": "toys",
    "import toy_models.plots": "toys",
    "import proofs_checks; proofs_checks.all_claims()": "theory",
    "import proofs_checks.order_conditions": "theory",
    "from gpu_runs import load_checkpoint": "checkpoints",
    "import gpu_runs.files.images": "checkpoints",
    "import seeds_theory.exact": "theory",
    "seeds_theory.sample(identity, 'euler', shape=(1,), seeds=[0], progress=True)": "commands",
}


@pytest.fixture(scope="module")
def without_extras():
    """What each of these statements raises, in one process, for they end before they do anything."""
    code = """
import seeds_theory

def identity(x, sigma):
    return x

for statement in sys.argv[1:]:
    try:
        exec(statement)
    except Exception as error:
        print(type(error).__name__, error)
    else:
        print("nothing")
"""
    done = python(BARE + code, *WITHOUT_EXTRAS)
    assert done.returncode == 0, done.stderr
    return dict(zip(WITHOUT_EXTRAS, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("statement", WITHOUT_EXTRAS)
def test_a_library_that_is_missing_names_its_extra(statement, without_extras):
    said, extra = without_extras[statement], WITHOUT_EXTRAS[statement]
    assert said.startswith("LibraryError ")
    assert f"is not installed: pip install '.[{extra}]'" in said


def test_the_table_of_extras_is_that_of_the_project():
    extras = PROJECT["optional-dependencies"]
    for module, extra in EXTRAS.items():
        package = {"PIL": "pillow"}.get(module, module)
        for name in (extra, "all"):
            assert any(line.startswith(f"{package}>=") for line in extras[name]), (module, name)
    assert [line.partition(">")[0] for line in PROJECT["dependencies"]] == ["torch", "numpy"]


RUN = f"""
import sys
import torch
import seeds_theory, seeds_theory.comfyui
from seeds_theory.catalogue import METHOD_NAMES
from seeds_theory.kdiffusion import as_k_diffusion

def model(x, sigma):
    return x / 2

for name in METHOD_NAMES:
    seeds_theory.sample(model, name, shape=(2,), seeds=[0, 1], steps=4)
    as_k_diffusion(name)(model, torch.ones(2, 1), torch.tensor([2.0, 1.0, 0.5, 0.0]))
print(*(name for name in {UNUSED} if name in sys.modules))
"""

# diffusers imports sympy for its own ends: the scheduler has to do without the symbols of this library.
SCHEDULER = """
import sys
import torch
from seeds_theory.catalogue import METHOD_NAMES
from seeds_theory.diffusers import SEEDSScheduler

for name in METHOD_NAMES:
    scheduler = SEEDSScheduler(method=name)
    scheduler.set_timesteps(4)
    x = torch.ones(1, 1, 2, 2)
    for t in scheduler.timesteps:
        x = scheduler.step(x, t, x).prev_sample
own = [name for name in sys.modules if name.startswith("seeds_theory")]
print(*(name for name in own if {"sp", "mpmath", "tqdm", "mpl"} & vars(sys.modules[name]).keys()))
"""


@pytest.mark.parametrize(
    "code", [RUN, pytest.param(SCHEDULER, marks=pytest.mark.slow)], ids=["own", "diffusers"]
)
def test_a_run_of_the_registered_methods_is_free_of_symbols_and_plots(code):
    if code == SCHEDULER:
        pytest.importorskip("diffusers")
    done = python(code)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
