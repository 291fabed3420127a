"""A pull request to diffusers: the scheduler in its place, tests in that library's form, a page, the text."""

from __future__ import annotations

from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.targets import diffusers
from seeds_theory.emit.targets.template import template
from seeds_theory.errors import ParameterError

_PLACES = {
    "PULL_REQUEST.md": "diffusers_pr/pull_request.md.txt",
    "docs/source/en/api/schedulers/seeds.md": "diffusers_pr/seeds.md.txt",
    "tests/schedulers/test_scheduler_seeds.py": "diffusers_pr/test_scheduler_seeds.py.txt",
}


def files(method: MethodProgram) -> dict[str, str]:
    """The files where they go in a checkout of diffusers, and the text; orders as of `diffusers.files`.

    Raises
    ------
    UnknownNameError : the method is none of the three that the scheduler has.
    ParameterError : noise prediction, which needs many steps.
    """
    (scheduler,) = diffusers.files(method).values()
    if method.prediction != "data":
        raise ParameterError(
            f"the pull request is for data prediction; got {method.prediction!r}: leave it out"
        )
    order = str(method.calls)
    placed = {name: template(file, order=order) for name, file in _PLACES.items()}
    return {"src/diffusers/schedulers/scheduling_seeds.py": scheduler, **placed}
