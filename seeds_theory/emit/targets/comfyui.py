"""A folder of ComfyUI's custom nodes: the sampler node, with all methods of the library."""

from __future__ import annotations

from importlib.metadata import version

from seeds_theory.emit.description import header, identifier, origin
from seeds_theory.emit.method import MethodProgram, method_program
from seeds_theory.emit.targets.python_math import functions
from seeds_theory.emit.targets.template import template
from seeds_theory.errors import ParameterError
from seeds_theory.methods import METHODS

_NAMES = (
    *("__init__.py", "samplers.py", "coefficients.py"),
    *("README.md", "pyproject.toml", "LICENSE"),
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
    values = {
        "header": header("# "),
        "origin": origin()[-1],
        "version": version("seeds-theory"),
        "method": method.name,
        "names": ", ".join(f"`{name}`" for name in methods),
        "methods": "\n".join(
            f'    "{name}": (coefficients.{identifier(one, with_nodes=True)}, {one.normals}),'
            for name, one in methods.items()
        ),
        "functions": functions(*methods.values()),
    }
    return {name: template(f"comfyui/{name}.txt", **values) for name in _NAMES}
