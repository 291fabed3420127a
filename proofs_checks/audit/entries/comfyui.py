"""ComfyUI's samplers, in the frame of models that predict a noise or v, and in that of rectified flow."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, by_order, each, ode, sde


def _ode(order: int, *names: str) -> list[Entry]:
    return each("comfyui", ode(order), names)


def _sde(order: int, *names: str) -> list[Entry]:
    return each("comfyui", sde(order), names)


def _own(*names: str) -> list[Entry]:
    """Whose names promise no order."""
    return each("comfyui", None, names)


ENTRIES: tuple[Entry, ...] = (
    *_ode(1, "euler", "euler_cfg_pp", "euler?frame=flow"),
    *_own("euler?s_churn=10", "heun?s_churn=10"),
    *_sde(1, "euler_ancestral", "euler_ancestral_cfg_pp", "ddpm"),
    *_sde(1, "euler_ancestral?frame=flow", "euler_ancestral_cfg_pp?frame=flow"),
    *_ode(2, "heun", "heun?frame=flow", "dpm_2", "dpm_2?frame=flow"),
    *_own("heunpp2"),
    *_sde(2, "dpm_2_ancestral", "dpm_2_ancestral?frame=flow"),
    *by_order("comfyui", "lms", "order", (1, 2, 3, 4)),
    *_own("dpm_fast", "dpm_adaptive", "lcm"),
    *_sde(2, "dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_2s_ancestral?frame=flow"),
    *_own("dpmpp_sde", "dpmpp_sde?frame=flow"),
    *_ode(2, "dpmpp_sde?eta=0", "dpmpp_2m", "dpmpp_2m?frame=flow", "dpmpp_2m_cfg_pp"),
    *_sde(2, "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_2m_sde?frame=flow", "dpmpp_3m_sde"),
    *_ode(2, "dpmpp_2m_sde?eta=0"),
    *_ode(3, "dpmpp_3m_sde?eta=0"),
    *by_order("comfyui", "ipndm", "max_order", (2, 3, 4)),
    *by_order("comfyui", "ipndm_v", "max_order", (2, 3, 4)),
    *by_order("comfyui", "deis", "max_order", (2, 3, 4)),
    *by_order("comfyui", "deis?deis_mode=rhoab", "max_order", (3,)),
    *_ode(2, "res_multistep", "res_multistep_cfg_pp", "res_multistep?frame=flow"),
    *_sde(2, "res_multistep_ancestral", "res_multistep_ancestral_cfg_pp"),
    *_own("gradient_estimation", "gradient_estimation_cfg_pp", "gradient_estimation?ge_gamma=1.5"),
    *_sde(1, "er_sde?max_stage=1"),
    *_sde(2, "er_sde?max_stage=2", "er_sde", "er_sde?frame=flow"),
    *_own("seeds_2", "seeds_2?frame=flow", "seeds_3", "seeds_3?frame=flow"),
    *_ode(2, "seeds_2?eta=0", "seeds_2?eta=0&r=1.0"),
    *_ode(3, "seeds_3?eta=0"),
    *_own("sa_solver", "sa_solver_pece"),
    *_sde(2, "sa_solver?tau=1.0", "sa_solver_pece?tau=1.0", "sa_solver?tau=1.0&frame=flow"),
    *_sde(2, "sa_solver?tau=1.0&simple_order_2=True&predictor_order=2&corrector_order=2"),
    *_ode(3, "sa_solver?tau=0.0", "sa_solver_pece?tau=0.0"),
    *_ode(3, "uni_pc", "uni_pc_bh2", "uni_pc?frame=flow"),
)
