"""One scheduler file in the style of diffusers, for orders 1 to 3."""

from __future__ import annotations

from seeds_theory.emit.description import header
from seeds_theory.emit.method import MethodProgram, method_program
from seeds_theory.emit.targets.python_math import functions
from seeds_theory.emit.targets.template import template
from seeds_theory.errors import unknown

_METHODS = ("seeds-1", "seeds-2", "seeds-3")  # by their orders
_INTEGRALS = {"data": "predicted clean samples", "noise": "predicted noises"}
_INTEGRANDS = {
    "data": "",
    "noise": """\
        if not math.isinf(self._levels[self._step_index]) and self._levels[self._step_index + 1] > 0:
            # Steps from pure noise and to zero have no finite length: what they take is the clean sample.
            alpha, sigma = self._alpha_sigma(self._levels[self._step_index])
            value = (x - alpha * value) / sigma
""",
}


def files(method: MethodProgram) -> dict[str, str]:
    """The scheduler, with all three orders; that of the method is the default.

    Raises
    ------
    UnknownNameError : the method is none of the three that the scheduler chooses from by their orders.
    """
    if method.name not in _METHODS:
        remark = ": it chooses from these by their orders, at their own nodes"
        raise unknown("method of a diffusers scheduler", method.name, _METHODS, remark)
    methods = [method_program(name, method.prediction) for name in _METHODS]
    text = template(
        "scheduling_seeds.py.txt",
        header=header("# "),
        integrals=_INTEGRALS[method.prediction],
        coefficients=functions(*methods),
        order=str(method.calls),
        integrand=_INTEGRANDS[method.prediction],
    )
    return {"scheduling_seeds.py": text}
