r"""The official code of DPM-Solver-v3, thu-ml/DPM-Solver-v3 at ba16871:
codebases/edm/samplers/dpm_solver_v3.py.

Its states are x and its times levels, as in EDM. It rests on three statistics of a network, functions of
:math:`\lambda`, which it loads as tables; any values make a solver of the declared order, and those of the
network a small constant. From the network of a Gaussian they would make it exact, and nothing would be seen
of the order. So ``l``, ``s`` and ``b`` are constants here, options. With l = 1, s = b = 0, which it calls
``degenerated``, it is DPM-Solver++.

The tables have `STATISTICS` points in a shortest step of the grid; the levels inside it are rounded to
these points, as the solver does itself. A table with a fixed number of points would leave an error of its
quadrature. It runs on the host, not on a graphics card, and after the last positive level the estimate
there follows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known, to_zero_by_estimate
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.running import Estimates, OnTheHost, numbers_of, quiet
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "thu-ml/DPM-Solver-v3", "ba168717cef161d3b0b0fae1d69f8ff66838aee3", "codebases/edm"
)

STATISTICS = 100

_OPTIONS: dict[str, Any] = {
    **{"l": 1.0, "s": 0.0, "b": 0.0},
    **{"order": 3, "use_corrector": True, "p_pseudo": False, "c_pseudo": True},
    "lower_order_final": True,
}


def names() -> tuple[str, ...]:
    """The one sampler."""
    return ("multistep",)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """The solver, with constants for the statistics ``l``, ``s`` and ``b`` and the options of ``sample``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of DPM-Solver-v3")
    require_options(name, options, tuple(_OPTIONS))
    solver_class = quiet(CHECKOUT.module("samplers.dpm_solver_v3")).DPM_Solver_v3
    schedule = CHECKOUT.module("samplers.utils").NoiseScheduleEDM()

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **chosen: Any,
    ) -> Tensor:
        estimates = Estimates(model, sigmas, extra_args, callback)
        lambdas = -sigmas.double().log()
        length, shortest = lambdas[-1] - lambdas[0], lambdas.diff().min()
        points = STATISTICS * int((length / shortest).round())
        statistics = {name: np.full((points + 1, 1, 1, 1), chosen.pop(name)) for name in "lsb"}

        def predict(state: Tensor, t: Tensor) -> Tensor:
            return (state - estimates(state, t)) / t[0]

        with tempfile.TemporaryDirectory() as folder, numbers_of(x), OnTheHost():
            np.savez(Path(folder) / "l.npz", l=statistics["l"])
            np.savez(Path(folder) / "sb.npz", s=statistics["s"], b=statistics["b"])
            solver = solver_class(
                folder,
                schedule,
                steps=len(sigmas) - 1,
                t_start=float(sigmas[0]),
                t_end=float(sigmas[-1]),
                device="cpu",
            )
            solver.indexes = solver.convert_to_indexes(sigmas)
            solver.timesteps = solver.convert_to_timesteps(solver.indexes, "cpu")
            return solver.sample(predict, x, **chosen)

    return Adapted(name, to_zero_by_estimate(solve), {**_OPTIONS, **options})
