"""Imports go down: between the packages, and between the rooms of seeds_theory."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("seeds_theory", "toy_models", "proofs_checks", "gpu_runs")
MAY_USE = {
    "seeds_theory": (),
    "toy_models": ("seeds_theory",),
    "proofs_checks": ("seeds_theory", "toy_models"),
    "gpu_runs": ("seeds_theory", "toy_models"),
}
# The wings of gpu_runs, each with those below it. Commands are above all of them, GROUND below.
WINGS = {
    "machine": (),
    "files": (),
    "checkpoints": ("machine", "files"),
    "generation": ("machine", "files", "checkpoints"),
    "scores": ("machine", "files"),
    "benchmarks": ("machine", "files", "checkpoints", "generation", "scores"),
    "training": ("machine", "files", "checkpoints"),
}
GROUND = {"errors", "names"}
MATHEMATICS = {"phi", "prediction", "exact", "noise", "tableau", "methods", "formula", "multistep"}
HOSTS = {"kdiffusion", "comfyui", "diffusers"}
# What runs before anything heavy is loaded, or is shared by all rooms.
COMMANDS = {"command", "interruption", "launcher", "processes"}


def room(module):
    """The room of a module of seeds_theory: the mathematics, the emitter, the run or the hosts."""
    first = module.split(".")[1] if "." in module else ""
    if first in MATHEMATICS:
        return "mathematics"
    if first in HOSTS:
        return "hosts"
    return "emit" if first == "emit" else "commands" if first in COMMANDS else "run"


def imported(path):
    """The modules that a file imports when it is imported itself: (line, name)."""
    pending, found = list(ast.parse(path.read_text()).body), []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, node.module or ""))
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif isinstance(node, ast.If | ast.Try | ast.With):
            pending += [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)
            ]
            pending += [stmt for handler in getattr(node, "handlers", []) for stmt in handler.body]
    return found


def modules(package):
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_from_those_below_only(package):
    forbidden = set(PACKAGES) - {package, *MAY_USE[package]}
    for module, path in modules(package):
        wrong = [(line, name) for line, name in imported(path) if name.split(".")[0] in forbidden]
        assert not wrong, f"{module}: {wrong}"


def wing(module):
    """The wing of a module of gpu_runs, "ground" or "commands"."""
    second = [*module.split("."), ""][1]
    return second if second in WINGS else "ground" if second in GROUND else "commands"


def test_every_folder_of_gpu_runs_with_code_is_a_wing():
    assert {path.parent.name for path in (ROOT / "gpu_runs").glob("*/*.py")} == set(WINGS)


@pytest.mark.parametrize("name", ["ground", *WINGS])
def test_wings_import_from_those_below_only(name):
    may = {"ground", name, *WINGS.get(name, ())}
    for module, path in modules("gpu_runs"):
        if wing(module) == name:
            names = [(line, n) for line, n in imported(path) if n.startswith("gpu_runs.")]
            wrong = [(line, n) for line, n in names if wing(n) not in may]
            assert not wrong, f"{module}: {wrong}"


def test_the_run_and_the_hosts_import_no_mathematics_and_no_emitter():
    for module, path in modules("seeds_theory"):
        if room(module) in ("run", "hosts"):
            names = [(n, line) for line, n in imported(path)]
            wrong = [
                (line, name)
                for name, line in names
                if name.split(".")[0] in ("sympy", "mpmath", "scipy", "matplotlib")
                or (name.startswith("seeds_theory.") and room(name) in ("mathematics", "emit"))
            ]
            assert not wrong, f"{module}: {wrong}"


def test_nothing_but_a_host_imports_a_host():
    # The commands of other packages and the interface of ComfyUI build on k-diffusion's signature.
    for module, path in modules("seeds_theory"):
        if room(module) != "hosts":
            wrong = [
                n for _, n in imported(path) if n.startswith("seeds_theory.") and room(n) == "hosts"
            ]
            assert not wrong, f"{module}: {wrong}"


def test_the_mathematics_imports_no_emitter_and_no_run_but_numbers():
    numbers = {
        "special_functions",
        "forms",
        "nodes",
        "orders",
        "row",
        "errors",
        "registry",
        "extras",
    }
    for module, path in modules("seeds_theory"):
        if room(module) == "mathematics":
            names = {n.split(".")[1] for _, n in imported(path) if n.startswith("seeds_theory.")}
            assert names <= MATHEMATICS | numbers, f"{module}: {names - MATHEMATICS - numbers}"
