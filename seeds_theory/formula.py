r"""The step of a tableau in symbols: what the book prints, and what the emitter makes numbers of.

One row per stage and one for the result (`Row`), with standard normals :math:`z_m`, one per interval between
consecutive nodes, in time order (more of an interval, if the method's noise rule has moments of higher power,
and again for each further path, if it has independent ones).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from seeds_theory.errors import TableauError
from seeds_theory.exact import DATA, SemilinearForm, lam_s
from seeds_theory.extras import optional_imports
from seeds_theory.noise import Moment, Normal, h, moment_factor, noise_scale, path_averages
from seeds_theory.row import Row
from seeds_theory.tableau import Tableau, z

with optional_imports():
    import sympy as sp


@dataclass(frozen=True)
class OpenRow:
    r"""A row as the tableau has it, before :math:`z = \zeta h` is put in.

    time : log-SNR at its node. state : as of `Row`.
    scale : the drift's common factor, :math:`B(\lambda_j)\,h = \mathrm{scale}`, with z for zeta h.
    total : the weight of a constant integrand. weights : of F_2 - F_1, F_3 - F_1, ..., in z.
    noise : weights of the normals in units of the noise scale at its node.
    """

    time: sp.Expr
    state: sp.Expr
    scale: sp.Expr
    total: sp.Expr
    weights: tuple[sp.Expr, ...]
    noise: tuple[sp.Expr, ...]


@lru_cache(maxsize=256)
def open_step(tableau: Tableau, form: SemilinearForm) -> tuple[OpenRow, ...]:
    r"""The rows of one step in z, h and :math:`\lambda_s`; arguments and errors as of `step_formula`."""
    tableau.require_form(form)
    rate, noises = form.noise_rate, tableau.noises(form.noise_rate)
    lengths = tableau.lengths
    factors = [moment_factor(rate, degrees(tableau, form), length) for length in lengths]
    rows = []
    for (node, integrals), noise in zip(tableau.rows, noises, strict=True):
        time = lam_s + node * h
        if any(moment.rate != rate for moment in noise.terms):
            raise TableauError(
                f"a step draws moments of the form's own noise; {tableau.name!r} asks for another rate"
            )
        weights = [
            sp.Add(
                noise.terms.get(Normal(rate, degree, interval, path), 0) * sp.sqrt(length),
                *(
                    noise.terms.get(Moment(rate, power, interval, path), 0) * factor[power, degree]
                    for power in range(degree, factor.rows)
                ),
            )
            for path in paths(tableau, form)
            for interval, (length, factor) in enumerate(zip(lengths, factors, strict=True))
            for degree in range(factor.rows)
        ]
        while weights and weights[-1] == 0:
            weights.pop()
        rows.append(
            OpenRow(
                time=time,
                state=form.propagator(time, lam_s),
                scale=sp.simplify(form.drift(time) / form.drift_rate) * z,
                total=sp.Add(*integrals),
                weights=integrals[1:],
                noise=tuple(weights),
            )
        )
    return tuple(rows)


@lru_cache(maxsize=256)
def step_formula(tableau: Tableau, form: SemilinearForm) -> tuple[Row[sp.Expr], ...]:
    r"""The rows of one step in symbols: :math:`\lambda_s`, h, eta, and the nodes if symbolic.

    Raises
    ------
    TableauError : the method's noise is not made of moments of the form's noise.
    """
    rows = []
    for row in open_step(tableau, form):
        at = form.drift_rate * h
        scale = sp.simplify(row.scale / z * form.drift_rate) * h
        drift = (row.total - sp.Add(*row.weights), *row.weights)
        rows.append(
            Row(
                sigma=sp.exp(-row.time),
                state=row.state,
                drift=tuple(scale * weight.subs(z, at) for weight in drift),
                noise=tuple(noise_scale(row.time) * weight for weight in row.noise),
            )
        )
    return tuple(rows)


@lru_cache(maxsize=256)
def paths(tableau: Tableau, form: SemilinearForm) -> tuple[int, ...]:
    """The Brownian paths that a method's noise is made of: 0 alone for all of SEEDS."""
    noises = tableau.noises(form.noise_rate)
    return tuple(sorted({moment.path for noise in noises for moment in noise.terms}))


@lru_cache(maxsize=256)
def degrees(tableau: Tableau, form: SemilinearForm) -> int:
    """The number of normals of each interval: 1 for all of SEEDS, more for averages of the path."""
    noises = tableau.noises(form.noise_rate)
    return 1 + max((moment.power for noise in noises for moment in noise.terms), default=0)


@cache
def average_formula() -> tuple[tuple[sp.Expr, ...], ...]:
    r"""The noise N of data prediction over a step of length h and its average M, in the step's two normals.

    Their weights, in units of :math:`\sqrt{2\eta}\,e^{-\lambda_t}`.
    """
    rate, averages = DATA.noise_rate, path_averages()
    factor = moment_factor(rate, 2, h)
    rows = []
    for name in ("N", "M"):
        terms = averages[name].terms.items()
        row = (sp.Add(*(w * factor[m.power, degree] for m, w in terms)) for degree in range(2))
        rows.append(tuple(row))
    return tuple(rows)
