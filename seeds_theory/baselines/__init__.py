"""Samplers that are loops and not plans, one screen each: published ones outside the family, in the notation
of their papers, and SEEDS-2M, which has memory.

All run through the conventions of `seeds_theory.baselines.run`, and are known by name in `BASELINES`.
"""

from seeds_theory.baselines.ddim import DDIM, DDPM
from seeds_theory.baselines.deis import DEIS_TAB2, DEIS_TAB3
from seeds_theory.baselines.dpm_multistep import (
    DPM_SOLVER_PP_2M,
    DPM_SOLVER_PP_3M,
    SDE_DPM_SOLVER_PP_2M,
    SDE_DPM_SOLVER_PP_3M,
)
from seeds_theory.baselines.dpm_solver import (
    DPM_SOLVER_2,
    DPM_SOLVER_3,
    DPM_SOLVER_PP_2S,
    SDE_DPM_SOLVER_PP_1,
    SDE_DPM_SOLVER_PP_2S,
)
from seeds_theory.baselines.edm import EDM_HEUN
from seeds_theory.baselines.er_sde import ER_SDE_1, ER_SDE_2, ER_SDE_3
from seeds_theory.baselines.euler import EULER, EULER_MARUYAMA
from seeds_theory.baselines.gddim import GDDIM
from seeds_theory.baselines.langevin import PREDICTOR_CORRECTOR
from seeds_theory.baselines.lawson import LAWSON_2, LAWSON_EULER, LAWSON_RK4
from seeds_theory.baselines.restart import RESTART
from seeds_theory.baselines.run import Baseline, Declared, Run
from seeds_theory.baselines.sa_solver import SA_SOLVER
from seeds_theory.baselines.seeds_multistep import SEEDS_2M
from seeds_theory.baselines.shark import LAWSON_SHARK, SHARK
from seeds_theory.baselines.sra1 import SRA1
from seeds_theory.baselines.stochastic_heun import STOCHASTIC_HEUN
from seeds_theory.baselines.unipc import UNIPC_2, UNIPC_3
from seeds_theory.registry import Registry

_ALL = (
    EULER,
    EULER_MARUYAMA,
    DDIM,
    DDPM,
    GDDIM,
    STOCHASTIC_HEUN,
    PREDICTOR_CORRECTOR,
    EDM_HEUN,
    RESTART,
    LAWSON_EULER,
    LAWSON_2,
    LAWSON_RK4,
    SRA1,
    SHARK,
    LAWSON_SHARK,
    DPM_SOLVER_2,
    DPM_SOLVER_3,
    DPM_SOLVER_PP_2S,
    DPM_SOLVER_PP_2M,
    DPM_SOLVER_PP_3M,
    SDE_DPM_SOLVER_PP_1,
    SDE_DPM_SOLVER_PP_2S,
    SDE_DPM_SOLVER_PP_2M,
    SDE_DPM_SOLVER_PP_3M,
    DEIS_TAB2,
    DEIS_TAB3,
    UNIPC_2,
    UNIPC_3,
    SA_SOLVER,
    ER_SDE_1,
    ER_SDE_2,
    ER_SDE_3,
    SEEDS_2M,
)

BASELINES = Registry("baseline", {baseline.name: baseline for baseline in _ALL})
"""The registry: name to `Baseline`."""

__all__ = ["BASELINES", "Baseline", "Declared", "Run"]
