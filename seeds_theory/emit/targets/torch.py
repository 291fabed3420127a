"""One file for k-diffusion and its users: a function with the signature of their samplers."""

from __future__ import annotations

from string import Template

from seeds_theory.emit import description
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.multistep import MultistepProgram
from seeds_theory.emit.program import Program
from seeds_theory.emit.python import Python
from seeds_theory.emit.targets import multistep_text, python_text

_FILE = Template('''\
$header
$module

from itertools import pairwise
from math import $math

import torch
$helpers

@torch.no_grad()
def $function(
$parameters
):
$summary

$meaning

$formula

$noise
$source

    model : model(u, sigma, **extra_args), with sigma of shape (batch,), returns the denoised u.
    x : states (batch, ...) at sigmas[0]; unit noise if that is infinite.
    sigmas : a tensor of noise levels that descend strictly; the last may be 0.
    eta, s_noise : 1 is the reverse SDE and 0 the ODE; what multiplies every normal.
$last
    """
    levels = sigmas.tolist()
    falls = sigmas.ndim == 1 and len(levels) > 1 and all(s > t >= 0 for s, t in pairwise(levels))
    if not falls or levels == [inf, 0]:
        raise ValueError(f"sigmas are two or more levels that descend strictly; got {levels}")
    if not (0 <= eta < inf and 0 <= s_noise < inf):
        raise ValueError(f"eta and s_noise are finite numbers >= 0; got {eta} and {s_noise}")
    extra_args = extra_args or {}
    ones = x.new_ones(len(x))

$normal

$loop
''')

_LOOP = Template("""\
    for i, (s, t) in enumerate(pairwise(levels)):
        D_1 = model(x, s * ones, **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": D_1})
        if t == 0:
            return D_1
        if s == inf:
            x = D_1 + t * ($unit if eta > 0 else x)
            continue
$step
    return x""")

_MEMORY = Template("""\
    def report(i, D):
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": D})

    last = inf
    for i, (s, t) in enumerate(pairwise(levels)):
        if last == inf or t == 0:
            D_1 = model(x, s * ones, **extra_args)
            report(i, D_1)
            last, before, D_2, beta = s, inf, D_1, 0.0
        if t == 0:
            return D_1
        if s == inf:
            x = D_1 + t * (normal() if eta > 0 else x)
            continue
$step
    return x""")

_VALUES = """\
    def normal(s, t):
        if eta == 0 or s_noise == 0:
            return 0.0
        if noise_sampler is None:
            return s_noise * torch.randn_like(x)
        return s_noise * noise_sampler(sigmas.new_tensor(s), sigmas.new_tensor(t))"""

_MOMENTS = """\
    def normal():
        return s_noise * torch.randn_like(x) if eta > 0 and s_noise > 0 else 0.0"""


def files(method: MethodProgram) -> dict[str, str]:
    """One file, of the name of its function."""
    values = method.degree == 1
    loop = _LOOP.substitute(
        unit="normal(s, t)" if values else "normal()",
        step=python_text.indented(_step(method), 8),
    )
    doc = python_text.docstring(method, indent=4)
    return _file(method, method.step.program, doc, loop, values)


def multistep_files(method: MultistepProgram) -> dict[str, str]:
    """The same for the method with memory."""
    normals = ["w_1, w_2 = normal(), normal()"]
    step = multistep_text.step_lines(
        method, normals, "model({u}, {s} * ones, **extra_args)", "report(i, D)"
    )
    loop = _MEMORY.substitute(step=python_text.indented(step, 8))
    doc = multistep_text.docstring(method, indent=4)
    return _file(method, method.program, doc, loop, values=False)


def _file(
    method: description.Named, program: Program, doc: dict[str, str], loop: str, values: bool
) -> dict[str, str]:
    """The file of a method, whose noise is made of values of the path or not."""
    function = f"sample_{description.identifier(method)}"
    helpers = python_text.helpers(program)
    last = [
        "callback, disable : as in k-diffusion, without a bar. Noise: torch.randn_like, unseeded here."
    ]
    if values:
        last.insert(
            0, "noise_sampler : noise_sampler(sigma, sigma_next) returns unit noise of a stretch."
        )
    text = _FILE.substitute(
        header=python_text.header(),
        module=python_text.module(
            method, "code that calls k-diffusion's samplers; needs torch alone"
        ),
        math=python_text.math_names(program, helpers, "inf"),
        helpers=helpers,
        function=function,
        parameters=_parameters(values),
        **doc,
        last="\n".join(f"    {line}" for line in last),
        normal=_VALUES if values else _MOMENTS,
        loop=loop,
    )
    return {f"{function}.py": text}


def _parameters(values: bool) -> str:
    names = ["model", "x", "sigmas", "extra_args=None", "callback=None", "disable=None"]
    names += ["eta=1.0", "s_noise=1.0"]
    if values:  # too long for a line
        return "\n".join(f"    {name}," for name in [*names, "noise_sampler=None"])
    return f"    {', '.join(names)}"


def _step(method: MethodProgram) -> list[str]:
    lines = [] if method.prediction == "data" else ["eps_1 = (x - D_1) / s"]
    lines += ["", *python_text.level_lines(method), *_normals(method)]
    return [*lines, *python_text.row_lines(method, "model({u}, {s} * ones, **extra_args)")]


def _normals(method: MethodProgram) -> list[str]:
    if method.degree == 1:
        written = Python().expression
        return [
            f"w_{m} = normal({written(start)}, {written(end)})"
            for m, (start, end) in enumerate(method.intervals, start=1)
        ]
    drawn = ", ".join(["normal()"] * method.normals)
    return [f"{python_text.normals(method)} = {drawn}"]
