"""A folder of custom nodes for ComfyUI, all methods of the library in it."""

from __future__ import annotations

import math

from seeds_theory.baselines.run import Declared
from seeds_theory.emit.description import Named, header, identifier, origin
from seeds_theory.emit.method import MethodProgram, method_program
from seeds_theory.emit.multistep import NOISES, MultistepProgram, multistep_program
from seeds_theory.emit.targets.comfyui_workflows import few_steps_workflow, workflow
from seeds_theory.emit.targets.python_math import functions
from seeds_theory.emit.targets.template import template
from seeds_theory.errors import ParameterError
from seeds_theory.methods import METHODS
from seeds_theory.settings import settings
from seeds_theory.version import __version__

PUBLISHER = "your-publisher-id"
"""Stands for the account of ComfyUI's registry that publishes the folder: put yours."""

REPOSITORY = f"https://github.com/{PUBLISHER}/seeds-samplers"
"""Stands for the repository that it is published from, with the folder's files at the top: put yours."""

_NAMES = (
    *("README.md", "__init__.py", "nodes.py", "samplers.py", "coefficients.py", "few_steps.py"),
    *("web/docs/SamplerSEEDS.md", "web/docs/SEEDSFewStepsSigmas.md"),
    *("icon.svg", "pyproject.toml", "requirements.txt", "LICENSE"),
)


def files(method: MethodProgram) -> dict[str, str]:
    """The folder; the method is the default of the node.

    Raises
    ------
    ParameterError : noise prediction, in which not all methods of the node exist.
    """
    if method.prediction != "data":
        raise ParameterError(
            f"the node has methods in data prediction; got {method.prediction!r}: leave it out"
        )
    methods = {name: method_program(name) for name in METHODS} | {method.name: method}
    memory = multistep_program()
    every: list[Named] = [*methods.values(), memory]
    grids = {(kind, calls): of for (calls, kind), of in settings().items() if kind != "best"}
    raw = REPOSITORY.replace("github.com", "raw.githubusercontent.com")
    values = {
        "header": header("# "),
        "origin": origin()[-1],
        "version": __version__,
        "method": method.name,
        "names": ", ".join(f"`{one.name}`" for one in every),
        "listed": ", ".join(f"`{listed_name(one)}`" for one in every),
        "methods": "\n".join(map(_entry, every)),
        "functions": functions(*methods.values(), memory=memory),
        "table": "\n".join(map(_described, every)),
        "grids": "\n".join(
            f'    ("{kind}", {calls}): '
            f'({of.steps}, {of.sigma_max!r}, {of.sigma_min!r}, {of.rho}, "{of.solver}"),'
            for (kind, calls), of in grids.items()
        ),
        "grids_table": "\n".join(
            f"| {kind} | {calls} | {of.steps} | {of.sigma_max:.3g} | {of.sigma_min:.3g} | "
            f"{'' if of.rho is None else of.rho} | {of.solver} |"
            for (kind, calls), of in grids.items()
        ),
        "publisher": PUBLISHER,
        "repository": REPOSITORY,
        "icon": f"{raw}/main/icon.svg",
        "paths": _paths(),
    }
    texts = {name: template(f"comfyui/{name}.txt", **values) for name in _NAMES}
    for name, graph in (("seeds", workflow(method.name)), ("few_steps", few_steps_workflow())):
        texts[f"example_workflows/{name}.json"] = graph.for_the_screen()
        texts[f"example_workflows/api/{name}.json"] = graph.for_the_server()
    return texts


def listed_name(method: Named) -> str:
    """Its name in the KSampler's list, which has samplers of ComfyUI's own that begin with seeds."""
    return identifier(method, with_nodes=True).replace("seeds_", "seeds_theory_")


def _entry(method: Named) -> str:
    """Of the table of methods: a noise sampler gives values of the path, one for each row of a step."""
    if isinstance(method, MultistepProgram):
        normals, asks = len(NOISES) - 1, 0
    else:
        normals, asks = method.normals, method.calls if method.degree == 1 else 0
    function = identifier(method, with_nodes=True)
    return f'    "{method.name}": (coefficients.{function}, {normals}, {asks}),'


def _described(method: Named) -> str:
    if isinstance(method, MultistepProgram):
        calls, orders = 1, method.declared
    else:
        calls, orders = method.calls, Declared.of(method.tableau.orders)
    figures = (calls, orders.weak, f"{orders.strong:g}", orders.ode)
    return " | ".join([f"| `{method.name}`", *map(str, figures)]) + " |"


def _paths() -> str:
    """Five paths from noise to one point of two, each a line that wavers less and less."""
    lines = []
    for k, colour in enumerate(("#7fd1ae", "#58b2c9", "#f2c14e", "#e98a6b", "#c98bdb")):
        end, start = (140 if k % 2 else 260), 80 + 60 * k
        points = []
        for n in range(41):
            u = n / 40
            waver = 26 * (1 - u) * math.sin(9 * u + 2.1 * k) * math.cos(23 * u + k)
            points.append(f"{50 + 300 * u:.0f},{start + (end - start) * u * u + waver:.0f}")
        style = f'fill="none" stroke="{colour}" stroke-width="11" stroke-linecap="round"'
        lines.append(f'  <polyline {style} points="{" ".join(points)}"/>')
    return "\n".join(lines)
