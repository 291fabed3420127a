r"""Restart: Heun's method down the grid, and one stretch of it several times.

The ODE is followed from grid point to grid point. When the lower end :math:`t_{min}` of an interval is
reached, noise is added to bring the state back to its upper end, and it goes down again:

.. math::  x \leftarrow x + \sqrt{t_{max}^2 - t_{min}^2}\,z, \qquad
           x \leftarrow \mathrm{Heun}(x; t_{max} \to t_{min}), \qquad K \text{ times.}

Both moves keep the marginals, up to the error of Heun's method: the law has order 2. There is no SDE
that the paths could converge to. But K repeats do at once what raising the noise by :math:`\eta h` in every
step of the interval does little by little (`edm`): over its whole length they add K log(t_max/t_min) of
log-SNR. So :math:`K = \eta`, a whole number; eta = 0 is Heun's method.

The interval consists of the grid's own points, so its ends are the outermost of those in [t_min, t_max].

Reference: Xu et al., arXiv 2306.14878.
"""

from __future__ import annotations

import itertools
import math

from torch import Tensor

from seeds_theory.baselines.edm import heun_step
from seeds_theory.baselines.run import Baseline, Declared, Run, require_option
from seeds_theory.errors import ParameterError


def restart(
    run: Run, t_min: float = 0.06, t_max: float = 0.3, repeats: int | None = None
) -> Tensor:
    """Heun's method in sigma with one restart interval.

    Parameters
    ----------
    t_min, t_max : the interval, 0 < t_min < t_max, in noise levels. Nothing is repeated if fewer than
        two points of the grid lie in it.
    repeats : K of the paper, by default eta.

    Raises
    ------
    ParameterError : an option outside its range, or a K that is no whole number.
    """
    require_option("t_min", t_min, 0)
    require_option("t_max", t_max, t_min)
    K = run.eta if repeats is None else repeats
    require_option("repeats", K, 0, closed=True)
    if K % 1 != 0:
        raise ParameterError(f"'restart' repeats K = eta times, a whole number; got {K!r}")
    inside = [level for level in run.sigmas if t_min <= level <= t_max]
    x = run.x
    for s, t in run.steps:
        x, D = heun_step(run, x, s, t)
        if len(inside) > 1 and t == inside[-1]:
            top = inside[0]
            for k in range(1, int(K) + 1):
                (z,) = run.normals(top, t, path=k, eta=float(K))
                x = x + math.sqrt((top - t) * (top + t)) * z
                for a, b in itertools.pairwise(inside):
                    x, _ = heun_step(run, x, a, b)
        x = run.step(x, s, t, D)
    return run.to_zero(x)


RESTART = Baseline(
    "restart",
    restart,
    Declared(strong=None, weak=2, ode=2),
    "Xu et al. 2023, arXiv 2306.14878",
    noise_options=("repeats",),
    along=False,
)
