"""What is emitted ahead of time into `seeds_theory.emitted`: the code that the library's own plans run.

``python -m seeds_theory.emit.library`` (``make emitted``) writes it anew. Each file says what it was made
from: a hash of the formulas in symbols. A test makes all of it again and compares.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import sympy as sp

from seeds_theory.emit.compiled import NUMPY, SPECIAL
from seeds_theory.emit.function import FunctionProgram, function_program
from seeds_theory.emit.multistep import node_function, step_function
from seeds_theory.emit.python import Python
from seeds_theory.emit.step import step_program
from seeds_theory.exact import (
    CLOCK,
    DATA,
    FORMS,
    GAUSSIAN,
    INCREMENTS,
    NOISE,
    F,
    SemilinearForm,
    eta,
    lam_s,
    lam_t,
)
from seeds_theory.forms import FACTORS, identifier
from seeds_theory.formula import average_formula, degrees, paths, step_formula
from seeds_theory.methods import METHODS, Family
from seeds_theory.multistep import best_node, d, multistep_formula
from seeds_theory.noise import h, moment_factor
from seeds_theory.prediction import PREDICTIONS, alpha, sigma, sigma_data
from seeds_theory.tableau import Tableau

FOLDER = Path(__file__).parents[1] / "emitted"
"""Where the files are."""

EMITTED_FORMS = (DATA, NOISE, F, GAUSSIAN, INCREMENTS, CLOCK)
"""The forms whose code is in the package."""

_RATE = sp.Symbol("rate", real=True)


def files() -> dict[str, str]:
    """Every file of `FOLDER` but its ``__init__.py``: name and text."""
    return {
        "predictions.py": _predictions(),
        "forms.py": _forms(),
        "moments.py": _moments(),
        "methods.py": _methods(),
        **{f"{identifier(name)}.py": _method(name) for name in METHODS},
        "seeds_2m.py": _multistep(),
    }


def _predictions() -> str:
    symbols = (alpha, sigma, sigma_data)
    functions = [
        (function_program(name, symbols, (p.skip, p.out)), f"Skip and out of a {name} prediction.")
        for name, p in PREDICTIONS.items()
    ]
    made_from = [(p.skip, p.out) for p in PREDICTIONS.values()]
    about = (
        "What networks predict: D = skip x + out F at one noise level (`seeds_theory.prediction`)."
    )
    return _file(about, "seeds_theory.prediction.PREDICTIONS", made_from, functions)


def _forms() -> str:
    functions = [each for form in EMITTED_FORMS for each in form_functions(form)]
    made_from = [
        (form.propagator(lam_t, lam_s), form.noise_kernel(lam_t, lam_s)) for form in EMITTED_FORMS
    ]
    about = (
        "Propagators, noise kernels and noise rates of the semilinear forms (`seeds_theory.exact`)."
    )
    return _file(about, "seeds_theory.exact", made_from, functions)


def form_functions(form: SemilinearForm) -> Iterator[tuple[FunctionProgram, str]]:
    """The functions that `seeds_theory.forms.Form` needs of a form, with their docstrings."""
    t, s, parameter = (sp.Symbol(name, real=True) for name in ("t", "s", "parameter"))
    names = {lam_t: t, lam_s: s, **{symbol: parameter for symbol in form.parameters}}
    for what in ("propagator", "noise_kernel"):
        formula = getattr(form, what)(lam_t, lam_s).subs(names, simultaneous=True)
        name = f"{identifier(form.name)}_{what}"
        yield (
            function_program(name, (t, s, eta, parameter), formula),
            f"{what.replace('_', ' ').capitalize()} of the {form.name} form; t and s are log-SNRs.",
        )
    if not form.parameters:
        name = f"{identifier(form.name)}_rate"
        yield (
            function_program(name, (eta,), form.noise_rate),
            f"The rate of the noise of the {form.name} form.",
        )


def form_text(form: SemilinearForm) -> str:
    """The same as text, for a form that is not among those of `seeds_theory.exact`."""
    return "\n\n".join(Python().function(function) for function, _ in form_functions(form))


def _moments() -> str:
    functions = [(_factor(count), _FACTOR) for count in range(1, FACTORS + 1)]
    average = function_program("average", (h, eta), average_formula())
    functions.append((average, "`seeds_theory.formula.average_formula`."))
    made_from = [moment_factor(_RATE, FACTORS, h), average_formula()]
    about = "The joint law of white-noise moments on one stretch (`seeds_theory.noise`)."
    return _file(about, "seeds_theory.noise.moment_factor", made_from, functions)


_FACTOR = "`seeds_theory.noise.moment_factor` of a noise rate on a stretch of length h."


def _factor(count: int) -> FunctionProgram:
    matrix = moment_factor(_RATE, count, h)
    return function_program(f"factor_{count}", (_RATE, h), matrix.tolist())


def factor_text(count: int) -> str:
    """The code of a joint law of more moments than were emitted."""
    return Python().function(_factor(count))


# -------------------------------------------------------------------------------------- the methods


def variants(family: Family) -> Iterator[tuple[str, tuple[int, ...], Tableau]]:
    """A method at symbolic nodes, once for each order in time that its nodes may have.

    Yields what the order adds to a function's name, the places of the nodes in time, and the tableau. The
    symbols ascend: c_2 < c_3 < ... < 1.
    """
    free = len(family.nodes)
    symbols = [sp.Symbol(f"c_{j}", positive=True) for j in range(2, 2 + free)]
    for places in itertools.permutations(range(free)):
        suffix = "" if list(places) == sorted(places) else "_" + "".join(map(str, places))
        yield suffix, places, family.build(*(symbols[place] for place in places))


def step_texts(name: str, family: Family) -> Iterator[str]:
    """The functions of a method's step."""
    for suffix, places, tableau in variants(family):
        for prediction in tableau.predictions:
            function = f"{prediction}{suffix}"
            order = "" if not suffix else f"; its stages are at {_stages(places)}"
            doc = f"The rows of {name}, {prediction} prediction, from level s to t{order}."
            yield Python().step(step_program(tableau, FORMS[prediction], function), doc)


def _stages(places: Iterable[int]) -> str:
    return ", ".join(f"c_{place + 2}" for place in places)


def _method(name: str) -> str:
    family = METHODS[name]
    tableaux = [tableau for _, _, tableau in variants(family)]
    made_from = [
        step_formula(tableau, FORMS[prediction])
        for tableau in tableaux
        for prediction in tableau.predictions
    ]
    about = (
        f"One step of {name}: for each row its level, and the weights of state, integrands and normals.\n\n"
        f"Inputs: noise levels s > t, numbers or arrays, eta{_nodes_said(family)}."
    )
    return _joined(
        about,
        f"seeds_theory.methods ({tableaux[0].reference})",
        made_from,
        step_texts(name, family),
    )


def _nodes_said(family: Family) -> str:
    names = [f"c_{j}" for j in range(2, 2 + len(family.nodes))]
    return f", nodes {' < '.join(names)} <= 1" if names else ""


def _multistep() -> str:
    functions = [
        (
            node_function(),
            "The best node, if the last stage is d steps before the start of this one.",
        ),
        (
            step_function(),
            "From level s to t: s_m, the weights of stage and step, N_1, (M_1, M_2).",
        ),
    ]
    formula = multistep_formula()
    made_from = [best_node(d), *(getattr(formula, field.name) for field in fields(formula))]
    about = (
        "One step of seeds-2m: the level of its stage, and the weights of state, estimates and normals.\n\n"
        "Inputs: noise levels s > t, eta, the node c_m of the stage, and in units of the step how far the\n"
        "last stage is before s, and the one before that before the last; gap is infinite in a first step."
    )
    return _file(about, "seeds_theory.multistep.multistep_formula", made_from, functions)


def _methods() -> str:
    entries = []
    for name, family in METHODS.items():
        tableau = family.build(*family.nodes)
        counts = {degrees(tableau, FORMS[p]) for p in tableau.predictions}
        joint = {paths(tableau, FORMS[p]) for p in tableau.predictions}
        assert len(counts) == 1 and joint == {(0,)}
        free = ", ".join(f"Fraction({c.p}, {c.q})" for c in family.nodes)
        fixed = ", ".join(f"Fraction({c.p}, {c.q})" for c in tableau.nodes[len(family.nodes) :])
        cuts = tableau.noise_nodes is None
        entries.append(
            f'    "{name}": Emitted(\n'
            f"        nodes=({free}{',' * (len(family.nodes) == 1)}),\n"
            f"        fixed=({fixed}{',' * (len(tableau.nodes) - len(family.nodes) == 1)}),\n"
            f"        predictions={tableau.predictions!r},\n"
            f"        degrees={counts.pop()},\n"
            f"        cuts_at_nodes={cuts},\n"
            f"    ),\n".replace("'", '"')
        )
    text = (
        '"""The registered methods, by name: what a plan needs beside the numbers of a step."""\n\n'
        "from __future__ import annotations\n\n"
        "from fractions import Fraction\n\n"
        "from seeds_theory.scheme import Emitted\n\n"
        f"EMITTED = {{\n{''.join(entries)}}}\n"
    )
    return _HEADER.format(source="seeds_theory.methods.METHODS", hash=_hash(entries)) + text


_HEADER = "# Made by `make emitted` from {source}.\n# Made from: sha256 {hash}\n"


def _hash(formulas: object) -> str:
    return hashlib.sha256(_canonical(formulas).encode()).hexdigest()[:32]


def _canonical(part: object) -> str:
    """Nested formulas as text that does not depend on the process."""
    if isinstance(part, sp.MatrixBase):
        return _canonical(part.tolist())
    if isinstance(part, list | tuple):
        return f"({', '.join(map(_canonical, part))})"
    return sp.srepr(part) if isinstance(part, sp.Basic) else repr(part)


def _file(
    about: str, source: str, formulas: object, functions: Iterable[tuple[FunctionProgram, str]]
) -> str:
    return _joined(about, source, formulas, [Python().function(f, doc) for f, doc in functions])


def _joined(about: str, source: str, formulas: object, texts: Iterable[str]) -> str:
    body = "\n\n".join(texts)
    header = _HEADER.format(source=source, hash=_hash(formulas))
    imports = _imports(body)
    return f'{header}"""{about}"""\n\n{imports}{chr(10) * 2 if imports else ""}{body}'


def _imports(body: str) -> str:
    called = set(re.findall(r"\b(\w+)\(", body))
    lines = [
        f"from {module} import {', '.join(names)}"
        for module, names in (
            ("numpy", sorted(called & NUMPY)),
            ("seeds_theory.special_functions", sorted(called & SPECIAL)),
        )
        if names
    ]
    return "\n\n".join(lines) + "\n" if lines else ""


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
