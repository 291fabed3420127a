r"""Steps of a method in the clock of a prediction (`seeds_theory.clocks`): F, v, flow or score.

The weights of the integrands are those of noise prediction with w for the level; the noises of the rows are
the values of one path of the exact noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seeds_theory.clocks import CLOCKS, ClockForm, frame_coefficients
from seeds_theory.errors import ParameterError, TableauError
from seeds_theory.plan import Interval, Step
from seeds_theory.row import Row
from seeds_theory.scheme import Scheme, scheme_of

if TYPE_CHECKING:
    from seeds_theory.tableau import Tableau

_APART = 1e-8  # of a clock's value: a smaller difference has fewer than eight digits


def clock_form(prediction: str, sigma_data: float) -> ClockForm:
    """The form of a prediction with a clock; v has sigma_data = 1, flow and score do not depend on it."""
    return ClockForm(prediction, sigma_data=sigma_data if prediction == "F" else 1.0)


def clock_scheme(method: str | Tableau, prediction: str) -> Scheme:
    """A method as the numbers of its noise prediction.

    Raises
    ------
    TableauError : its noises are not the values of one path at its nodes, in noise prediction; and as of
        `scheme_of`.
    """
    scheme = scheme_of(method, "noise")
    cuts = 2.0 ** -np.array(scheme.cuts)  # the levels of a step from 1 to 1/2
    exact = np.sqrt(-np.diff(cuts**2))
    for node, (*_, noise) in zip(scheme.nodes, scheme.rows(1.0, 0.5, 1.0), strict=True):
        row = np.array([*noise, *[0.0] * len(exact)])[: len(exact)]
        same = np.allclose(row, np.where(np.array(scheme.cuts[1:]) <= node, exact, 0.0))
        if not same or scheme.paths != (0,) or scheme.degrees != 1:
            raise TableauError(
                f"{prediction!r} prediction serves methods whose noises are the path's values at their "
                f"nodes; those of {scheme.name!r} are others: take 'data' or 'noise'"
            )
    return scheme


def clock_steps(
    scheme: Scheme, form: ClockForm, sigmas: Sequence[float], etas: Sequence[float]
) -> list[Step]:
    """The steps between finite levels above 0: of a method, as numbers of its noise prediction.

    Raises
    ------
    ParameterError : a clock differs by less than 1e-8 of its value over a step, as at very high or very low
        levels: the difference is lost in rounding.
    """
    with np.errstate(invalid="ignore"):  # the noise of noise prediction, at eta = 0, is not used
        return [
            _step(scheme, form, s, t, eta)
            for (s, t), eta in zip(itertools.pairwise(sigmas), etas, strict=True)
        ]


def _step(scheme: Scheme, form: ClockForm, s: float, t: float, eta: float) -> Step:
    clock, at = CLOCKS[form.name], (eta, form.sigma_data)
    start, end = (float(clock.level(sigma, *at)) for sigma in (s, t))
    _require_apart(start, end, s, t)
    rows = list(scheme.rows(start, end, eta))
    nodes = dict(zip(scheme.nodes, rows, strict=True))
    levels = {0.0: s, 1.0: t}
    for node, (level, *_) in nodes.items():
        levels.setdefault(node, clock.node(float(level), *at, below=min(s, t)))
    growth = {node: float(clock.growth(sigma, *at)) for node, sigma in levels.items()}
    stretches = list(itertools.pairwise(scheme.cuts)) if eta > 0 else []
    q = {node: float(clock.noise(levels[node], *at)) for node in scheme.cuts}
    for a, b in stretches:
        _require_apart(q[a], q[b], levels[a], levels[b])
    deviations = [math.sqrt(q[b] - q[a]) for a, b in stretches]
    return Step(
        sigma=s,
        rows=tuple(
            Row(
                sigma=levels[node],
                state=growth[node] / growth[0.0],
                drift=tuple(-clock.sign * growth[node] * float(weight) for weight in drift),
                noise=tuple(
                    growth[node] * d
                    for (_, stop), d in zip(stretches, deviations, strict=True)
                    if stop <= node
                ),
            )
            for node, (_, _, drift, _) in zip(scheme.nodes, rows, strict=True)
        ),
        intervals=tuple(Interval(levels[a], levels[b], form, eta) for a, b in stretches),
        integrands=tuple(
            frame_coefficients(form.name, levels[node], form.sigma_data)
            for node in (0.0, *scheme.nodes[:-1])
        ),
    )


def _require_apart(start: float, end: float, s: float, t: float) -> None:
    """Two values of a clock, at levels s and t, whose difference is not lost in rounding."""
    if not abs(end - start) >= _APART * max(abs(start), abs(end)):
        raise ParameterError(
            f"the prediction's clock does not tell noise levels {s:g} and {t:g} apart to rounding: take "
            "'data' or 'noise' prediction"
        )
