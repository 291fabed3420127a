"""Does anything notice a wrong line? Change the sources that the ledger rests on; ask what concerns them.

A mutant is a module of this project with one change of its text (`proofs_checks.changes`). A process of its
own has it instead of the module, decides the claims and runs the tests that concern it, the quick ones
first, and says what failed. The modules are the engine and its helpers, the formulas that it judges, the
baselines, emitted code that all methods share, and the claims themselves: a claim whose own arithmetic may be
changed unnoticed decides nothing.
"""

from __future__ import annotations

import ast
import contextlib
import fnmatch
import functools
import gc
import importlib
import importlib.util
import inspect
import multiprocessing
import os
import random
import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TypedDict

from proofs_checks import claims
from proofs_checks.changes import changes, places
from seeds_theory.errors import SeedsError, unknown

PACKAGES = ("seeds_theory", "toy_models", "proofs_checks")
ROOT = Path(__file__).parents[1]
PRELOADED = ("pytest", *(f"proofs_checks.claims.{chapter}" for chapter in claims.CHAPTERS))
"""What every process has before it begins."""

MADE_AT_IMPORT = ("seeds_theory.exact", "seeds_theory.noise")
"""Modules that others make constants with while they are imported, which therefore are imported anew."""

SECONDS = 900
"""The processor time after which a mutant is given up: who waits for what does not end notices it."""


@dataclass(frozen=True)
class Subject:
    """A module and what concerns it: claims by patterns of their ids, and files of tests."""

    module: str
    claims: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


_TAYLOR = ("tests/proofs_checks/test_taylor.py",)
_CLOCKS = ("tests/seeds_theory/test_clocks.py",)
_CLOCK_ORDERS = ("tests/proofs_checks/test_clocks_orders.py",)
_ENGINE = (
    "taylor-euler-maruyama",
    "taylor-sra*",
    "taylor-orders-seeds-2",
    "taylor-expansion-*",
    "convergence-weak-three",
    "convergence-step-covariance",
    "taylor-strong-constant",
    "taylor-stiff",
    "taylor-step",
)
_MEMORY = (
    "memory-first-step",
    "memory-adds",
    "memory-orders-*",
    "memory-ode-unipc-2",
    "memory-strong-constant",
    "memory-*-seeds-2m",
)
_BASELINES = {
    "adams": (("baselines-adams", "baselines-order-sa-solver"), "test_adams test_sa_solver"),
    "coordinates": (("baselines-order-edm-heun",), "test_edm"),
    "ddim": (("baselines-dd*", "baselines-eta", "baselines-order-dd*"), "test_euler_ddim"),
    "deis": (("baselines-order-deis-*",), "test_deis"),
    "dpm_multistep": (
        ("baselines-2m", "baselines-3m*", "baselines-order-*2m", "baselines-order-*3m"),
        "test_dpm_multistep",
    ),
    "dpm_solver": (
        ("baselines-dpm-solver-*", "baselines-order-dpm-solver*", "baselines-order-sde-*s"),
        "test_dpm_solver_lawson",
    ),
    "edm": (("baselines-churn", "baselines-order-edm-heun"), "test_edm"),
    "er_sde": (("baselines-er-sde-*", "baselines-order-er-sde-*"), "test_er_sde"),
    "euler": (("baselines-midpoint", "baselines-order-euler*"), "test_euler_ddim"),
    "flow_sde": (("baselines-order-flow-sde",), "test_flow_sde"),
    "gddim": (("baselines-ddim-gddim", "baselines-order-gddim"), "test_euler_ddim"),
    "ipndm": (
        ("baselines-order-ipndm-*", "baselines-order-lms", "baselines-order-gradient-estimation"),
        "test_ipndm",
    ),
    "langevin": (
        ("baselines-corrector-*", "baselines-order-predictor-corrector"),
        "test_langevin_restart",
    ),
    "lawson": (("baselines-lawson*", "baselines-order-lawson-*"), "test_dpm_solver_lawson"),
    "restart": (("baselines-order-restart",), "test_langevin_restart"),
    "sa_solver": (("baselines-order-sa-solver", "baselines-adams"), "test_sa_solver"),
    "seeds_adams": (("baselines-order-seeds-ab",), "test_seeds_adams"),
    "seeds_multistep": (
        ("beyond-*-seeds-2m", "baselines-order-seeds-2m", "memory-*-seeds-2m"),
        "test_seeds_multistep",
    ),
    "shark": (
        ("beyond-shark-telescopes", "baselines-order-*shark"),
        "test_additive_noise",
    ),
    "sra1": (("baselines-order-sra1",), "test_additive_noise"),
    "stochastic_heun": (("baselines-order-stochastic-heun",), "test_additive_noise"),
    "unipc": (("baselines-unipc", "baselines-order-unipc-*"), "test_unipc"),
}
CHAPTERS = (
    "exact",
    "noise",
    "methods",
    "orders",
    "taylor",
    "convergence",
    "behaviour",
    "beyond",
    "linear",
    "memory",
    "baselines",
)
"""The chapters whose claims are changed, too: those with the theorems."""

SUBJECTS = {
    subject.module: subject
    for subject in (
        Subject("proofs_checks.taylor", _ENGINE, _TAYLOR),
        Subject("proofs_checks.trees", _ENGINE, _TAYLOR),
        Subject("proofs_checks.order_conditions", _ENGINE, _TAYLOR),
        Subject("proofs_checks.leading", ("orders-defect-*", "orders-telescoping")),
        Subject(
            "proofs_checks.growth",
            (
                "behaviour-gain-*",
                "behaviour-posterior-gaussian",
                "behaviour-relative-variance",
                "behaviour-formulas",
            ),
            ("tests/proofs_checks/test_behaviour.py",),
        ),
        Subject(
            "proofs_checks.densities",
            ("exact-marginals", "behaviour-martingale", "behaviour-noise-*"),
        ),
        Subject(
            "proofs_checks.misfit", ("behaviour-*",), ("tests/proofs_checks/test_behaviour.py",)
        ),
        Subject("proofs_checks.trace", ("baselines-*", "beyond-shark-*", "beyond-noise-seeds-2m")),
        Subject("proofs_checks.multistep", ("emitted-*-seeds-2m",)),
        *(
            Subject(
                f"proofs_checks.{name}", _MEMORY, ("tests/proofs_checks/test_memory_orders.py",)
            )
            for name in ("memory", "memory_trace", "laurent")
        ),
        Subject("proofs_checks.weak_three", ("memory-weak-3*",)),
        Subject(
            "proofs_checks.emission",
            ("emitted-functions", "emitted-*-seeds-1", "emitted-*-seeds-2"),
            ("tests/proofs_checks/test_mutation.py",),
        ),
        Subject(
            "proofs_checks.published", ("published-*",), ("tests/proofs_checks/test_published.py",)
        ),
        Subject("proofs_checks.ledger", ("exact-frame",), ("tests/proofs_checks/test_ledger.py",)),
        Subject(
            "proofs_checks.measured", ("orders-strong-seeds-1-data", "orders-predictions-agree")
        ),
        Subject(
            "seeds_theory.exact",
            ("exact-*", "emitted-functions"),
            ("tests/seeds_theory/test_exact.py",),
        ),
        Subject(
            "seeds_theory.noise",
            ("noise-[!c]*", "beyond-noise-*"),
            ("tests/seeds_theory/test_noise.py",),
        ),
        Subject(
            "seeds_theory.plan",
            ("methods-numbers", "orders-response", "baselines-order-shark"),
            (
                "tests/seeds_theory/test_plan.py",
                "tests/seeds_theory/test_eta_schedule.py",
                "tests/seeds_theory/test_brownian.py",
            ),
        ),
        Subject("proofs_checks.clocks", ("linear-clock-*",), _CLOCK_ORDERS),
        Subject("seeds_theory.clocks", ("linear-clock-*",), _CLOCKS),
        Subject("seeds_theory.clock_plan", ("linear-curved-*",), _CLOCKS),
        Subject(
            "seeds_theory.shifted", ("linear-shift-*",), ("tests/seeds_theory/test_shifted.py",)
        ),
        *(
            Subject(
                f"seeds_theory.baselines.{name}",
                claims,
                tuple(f"tests/seeds_theory/baselines/{file}.py" for file in files.split()),
            )
            for name, (claims, files) in _BASELINES.items()
        ),
        *(
            Subject(f"seeds_theory.emitted.{name}", ("emitted-functions",))
            for name in ("forms", "moments", "predictions")
        ),
        *(Subject(f"proofs_checks.claims.{chapter}", (f"{chapter}-*",)) for chapter in CHAPTERS),
    )
}
"""By module: what is changed, and who is asked."""


@dataclass(frozen=True)
class SourceMutant:
    """A module with one change, at a place of its syntax tree, inside a top-level name or a claim."""

    module: str
    name: str
    place: int
    change: str


class Unsound(SeedsError):
    """A module fails what concerns it before anything is changed."""


def _path(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def source_mutants(module: str) -> list[SourceMutant]:
    """All mutants of a module."""
    return [
        SourceMutant(module, name, place, change) for place, name, change in places(_tree(module))
    ]


def sample(module: str, count: int) -> list[SourceMutant]:
    """So many mutants of a module at random, always the same, in their order; all if there are fewer."""
    found = source_mutants(module)
    chosen = random.Random(module).sample(range(len(found)), min(count, len(found)))
    return [found[i] for i in sorted(chosen)]


class Record(TypedDict):
    """A mutant and who noticed it: a claim, a file of tests, "import", "time" or None; then why is said."""

    module: str
    name: str
    change: str
    by: str | None
    why: str


def run(
    count: int,
    modules: Sequence[str] = (),
    known: Sequence[Record] = (),
    progress: bool = False,
) -> Iterator[Record]:
    """So many mutants of each of these modules (all for none), and who noticed each; known ones are left out.

    Raises
    ------
    UnknownNameError : nothing is known to concern a module.
    Unsound : one of those who are asked fails on the module as it is.
    """
    from seeds_theory.progress import with_bar

    for module in modules:
        if module not in SUBJECTS:
            raise unknown("module", module, SUBJECTS)
    done = {(record["module"], record["name"], record["change"]) for record in known}
    for module in modules or SUBJECTS:
        found = [m for m in sample(module, count) if (module, m.name, m.change) not in done]
        all_noticed = bool(found)
        for mutant in with_bar(found, show=progress, desc=module, leave=False):
            by = killer(mutant)
            all_noticed = all_noticed and by is not None
            yield Record(module=module, name=mutant.name, change=mutant.change, by=by, why="")
        # If one was not noticed, then neither would be the module as it is.
        if all_noticed and (by := _asked(module, None)) is not None:
            raise Unsound(f"{module} fails as it is: {by}")


def unexplained(records: Iterable[Record]) -> list[Record]:
    """Those that nobody noticed and of which the record does not say why."""
    return [record for record in records if record["by"] is None and not record["why"]]


def killer(mutant: SourceMutant) -> str | None:
    """The first claim or test that fails on a mutant; "import" or "time" if it does not get so far."""
    return _asked(mutant.module, mutant)


def _asked(module: str, mutant: SourceMutant | None) -> str | None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(module, mutant, there))
    process.start()
    there.close()
    with here:
        try:
            by: str | None = here.recv()
        except EOFError:  # it was ended
            by = "time"
    process.join()
    return by


def _answer(module: str, mutant: SourceMutant | None, result: Connection) -> None:
    """In a process of its own: the first to fail, or None."""
    import torch

    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    try:
        if mutant:
            _install(mutant)
        for pattern in SUBJECTS[module].claims:
            importlib.import_module(f"proofs_checks.claims.{pattern.partition('-')[0]}")
        importlib.import_module(module)
    except Exception:
        result.send("import")
    else:
        result.send(_first_to_fail(SUBJECTS[module], mutant.name if mutant else ""))


def _install(mutant: SourceMutant) -> None:
    """Change the module where it is loaded, or if more than a function differs, load everything anew."""
    original = _tree(mutant.module)
    ((changed, _),) = changes(original, mutant.place)
    path = str(importlib.import_module(mutant.module).__file__)
    old, new = (compile(tree, path, "exec") for tree in (original, changed))
    pairs = list(_differing(old, new))
    found = [(function, b) for a, b in pairs if b for function in _functions(a)]
    if mutant.module in MADE_AT_IMPORT or len(found) < len(pairs):
        for loaded in list(sys.modules):
            if loaded.split(".")[0] in PACKAGES:
                del sys.modules[loaded]
        sys.meta_path.insert(0, _Finder(mutant.module, new))
        return
    for function, code in found:
        function.__code__ = code
    for thing in gc.get_objects():
        if isinstance(thing, functools._lru_cache_wrapper):
            thing.cache_clear()


def _differing(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType | None]]:
    """The functions and methods whose code differs; None for one whose place in its module does."""
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new)]
    without = [
        tuple(c for c in code.co_consts if not isinstance(c, CodeType)) for code in (old, new)
    ]
    if old.co_code != new.co_code or repr(without[0]) != repr(without[1]):
        yield old, None
    for a, b in zip(*inner, strict=True):
        if a != b:
            # Not optimised are the bodies of classes.
            yield from [(a, b)] if a.co_flags & inspect.CO_OPTIMIZED else _differing(a, b)


def _functions(code: CodeType) -> list[FunctionType]:
    """The function that has this code: it may be wrapped, a property or a claim's decision."""
    return [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, FunctionType)
        and (thing.__code__.co_filename, thing.__code__.co_qualname, thing.__code__.co_firstlineno)
        == (code.co_filename, code.co_qualname, code.co_firstlineno)
    ]


class _Finder:
    """Finds the changed module where its name is imported, and nothing else."""

    def __init__(self, module: str, code: CodeType) -> None:
        self.module, self.code = module, code

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The module's specification, if it is the one."""
        if name != self.module:
            return None
        loader = _Loader(name, str(_path(name)))
        loader.code = self.code
        return importlib.util.spec_from_file_location(name, _path(name), loader=loader)


class _Loader(SourceFileLoader):
    """Loads a module from code that is there already."""

    code: CodeType

    def get_code(self, fullname: str) -> CodeType:
        """The code."""
        return self.code


def _first_to_fail(subject: Subject, name: str) -> str | None:
    ledger = importlib.import_module("proofs_checks.ledger")
    claims = [
        claim
        for pattern in subject.claims
        for claim in ledger.registered()
        if fnmatch.fnmatchcase(claim.id, pattern)
    ]
    if ".claims." in subject.module and name:
        claims = _readers(subject.module, name, claims)
    for claim in claims:
        if not ledger.decide(claim).as_expected:
            return str(claim.id)
    return next((file for file in subject.tests if _test_fails(file)), None)


def _readers(module: str, name: str, claims: Sequence[Any]) -> list[Any]:
    """The claims whose decisions use a name of their module; all if none does: it was used to make them."""
    own = [claim for claim in claims if claim.id == name]
    namespace = vars(sys.modules[module])
    found = own or [claim for claim in claims if name in _names_read(claim.decide, namespace)]
    return found or list(claims)


def _names_read(function: Any, namespace: dict[str, Any]) -> set[str]:
    """The names of a module that a function, and what it calls there, reads; its own is among them."""
    names: set[str] = set()
    pending = [function]
    while pending:
        value = pending.pop()
        if isinstance(value, partial):
            pending += [value.func, *value.args]
        elif isinstance(value, FunctionType):
            pending.append(value.__code__)
            names.add(value.__name__)
        elif isinstance(value, type):
            pending += [
                member for member in vars(value).values() if isinstance(member, FunctionType)
            ]
        elif isinstance(value, CodeType):
            pending += [constant for constant in value.co_consts if isinstance(constant, CodeType)]
            for name in set(value.co_names) & namespace.keys() - names:
                names.add(name)
                pending.append(namespace[name])
    return names


def _test_fails(file: str) -> bool:
    import pytest

    with contextlib.chdir(ROOT):
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        return pytest.main([*options, file]) != pytest.ExitCode.OK
