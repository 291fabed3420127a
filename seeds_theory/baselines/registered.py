"""The registry of baselines: their names, and where each is; its module is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seeds_theory.registry import Elsewhere, Registry

if TYPE_CHECKING:
    from seeds_theory.baselines.run import Baseline

_PLACES = {
    "euler": ("euler", "EULER"),
    "euler-maruyama": ("euler", "EULER_MARUYAMA"),
    "ddim": ("ddim", "DDIM"),
    "ddpm": ("ddim", "DDPM"),
    "gddim": ("gddim", "GDDIM"),
    "flow-sde": ("flow_sde", "FLOW_SDE"),
    "stochastic-heun": ("stochastic_heun", "STOCHASTIC_HEUN"),
    "predictor-corrector": ("langevin", "PREDICTOR_CORRECTOR"),
    "edm-heun": ("edm", "EDM_HEUN"),
    "restart": ("restart", "RESTART"),
    "lawson-euler": ("lawson", "LAWSON_EULER"),
    "lawson-2": ("lawson", "LAWSON_2"),
    "lawson-rk4": ("lawson", "LAWSON_RK4"),
    "sra1": ("sra1", "SRA1"),
    "shark": ("shark", "SHARK"),
    "lawson-shark": ("shark", "LAWSON_SHARK"),
    "dpm-solver-2": ("dpm_solver", "DPM_SOLVER_2"),
    "dpm-solver-3": ("dpm_solver", "DPM_SOLVER_3"),
    "dpm-solver++-2s": ("dpm_solver", "DPM_SOLVER_PP_2S"),
    "dpm-solver++-2m": ("dpm_multistep", "DPM_SOLVER_PP_2M"),
    "dpm-solver++-3m": ("dpm_multistep", "DPM_SOLVER_PP_3M"),
    "sde-dpm-solver++-1": ("dpm_solver", "SDE_DPM_SOLVER_PP_1"),
    "sde-dpm-solver++-2s": ("dpm_solver", "SDE_DPM_SOLVER_PP_2S"),
    "sde-dpm-solver++-2m": ("dpm_multistep", "SDE_DPM_SOLVER_PP_2M"),
    "sde-dpm-solver++-3m": ("dpm_multistep", "SDE_DPM_SOLVER_PP_3M"),
    "deis-tab2": ("deis", "DEIS_TAB2"),
    "deis-tab3": ("deis", "DEIS_TAB3"),
    "ipndm-2": ("ipndm", "IPNDM_2"),
    "ipndm-3": ("ipndm", "IPNDM_3"),
    "ipndm-4": ("ipndm", "IPNDM_4"),
    "lms": ("ipndm", "LMS"),
    "gradient-estimation": ("ipndm", "GRADIENT_ESTIMATION"),
    "unipc-2": ("unipc", "UNIPC_2"),
    "unipc-3": ("unipc", "UNIPC_3"),
    "sa-solver": ("sa_solver", "SA_SOLVER"),
    "er-sde-1": ("er_sde", "ER_SDE_1"),
    "er-sde-2": ("er_sde", "ER_SDE_2"),
    "er-sde-3": ("er_sde", "ER_SDE_3"),
    "seeds-2m": ("seeds_multistep", "SEEDS_2M"),
    "seeds-ab": ("seeds_adams", "SEEDS_AB"),
}

BASELINES: Registry[Baseline] = Registry(
    "baseline",
    {
        name: Elsewhere(f"seeds_theory.baselines.{module}", constant)
        for name, (module, constant) in _PLACES.items()
    },
)
"""The registry: name to `Baseline`."""
