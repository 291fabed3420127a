"""One function of numpy: it takes the denoiser, the states and the normals."""

from __future__ import annotations

from string import Template

from seeds_theory.emit import description
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.multistep import MultistepProgram
from seeds_theory.emit.program import Program
from seeds_theory.emit.targets import multistep_text, python_text

_FILE = Template('''\
$header
$module

from itertools import pairwise
from math import $math
$helpers

def sample(denoiser, x, sigmas, normals, eta=1.0):
$summary

$meaning

$formula

$noise
$source

    denoiser : denoiser(u, sigma), with a number sigma, returns the denoised u.
    x : states at sigmas[0], an array of any shape; unit noise if that level is infinite.
    sigmas : noise levels that descend strictly; the last may be 0.
    normals : for each step its unit noises, $count in time order: (steps, $count, *x.shape).
        A step from an infinite level uses the first; a step to 0, or eta = 0, uses none.
    eta : 1 is the reverse SDE, 0 the ODE.
    """
    levels = [float(level) for level in sigmas]
    falls = len(levels) > 1 and all(s > t >= 0 for s, t in pairwise(levels))
    if not falls or levels == [inf, 0]:
        raise ValueError(f"sigmas are two or more levels that descend strictly; got {levels}")
    if not 0 <= eta < inf:
        raise ValueError(f"eta is a finite number >= 0; got {eta}")
    for i, (s, t) in enumerate(pairwise(levels)):
        taken = ($count, 1)[s == inf] if eta > 0 and t > 0 else 0
        given = [] if normals is None or i >= len(normals) else normals[i][:taken]
        if len(given) < taken or any(w.shape != x.shape for w in given):
            raise ValueError(f"normals[{i}] is {taken} or more arrays of the shape {x.shape} of x")

$loop
''')

_LOOP = Template("""\
    for i, (s, t) in enumerate(pairwise(levels)):
        D_1 = denoiser(x, s)
        if t == 0:
            return D_1
        if s == inf:
            x = D_1 + t * (normals[i][0] if eta > 0 else x)
            continue
$step
    return x""")

_MEMORY = Template("""\
    last = inf
    for i, (s, t) in enumerate(pairwise(levels)):
        if last == inf or t == 0:
            D_1 = denoiser(x, s)
            last, before, D_2, beta = s, inf, D_1, 0.0
        if t == 0:
            return D_1
        if s == inf:
            x = D_1 + t * (normals[i][0] if eta > 0 else x)
            continue
$step
    return x""")


def files(method: MethodProgram) -> dict[str, str]:
    """One file, of the name of the method."""
    loop = _LOOP.substitute(step=python_text.indented(_step(method), 8))
    doc = python_text.docstring(method, indent=4)
    return _file(method, method.step.program, doc, loop, method.normals)


def multistep_files(method: MultistepProgram) -> dict[str, str]:
    """The same for the method with memory."""
    normals = ["w_1, w_2 = normals[i] if eta > 0 else (0.0, 0.0)"]
    step = multistep_text.step_lines(method, normals, "denoiser({u}, {s})")
    loop = _MEMORY.substitute(step=python_text.indented(step, 8))
    doc = multistep_text.docstring(method, indent=4)
    return _file(method, method.program, doc, loop, count=2)


def _file(
    method: description.Named, program: Program, doc: dict[str, str], loop: str, count: int
) -> dict[str, str]:
    helpers = python_text.helpers(program)
    text = _FILE.substitute(
        header=python_text.header(),
        module=python_text.module(method, "arrays of numpy; needs the standard library alone"),
        math=python_text.math_names(program, helpers, "inf"),
        helpers=helpers,
        **doc,
        count=count,
        loop=loop,
    )
    return {f"{description.identifier(method)}.py": text}


def _step(method: MethodProgram) -> list[str]:
    none = ", ".join(["0.0"] * method.normals) + "," * (method.normals == 1)
    lines = [] if method.prediction == "data" else ["eps_1 = (x - D_1) / s"]
    lines += ["", *python_text.level_lines(method)]
    lines.append(f"{python_text.normals(method)} = normals[i] if eta > 0 else ({none})")
    return [*lines, *python_text.row_lines(method, "denoiser({u}, {s})")]
