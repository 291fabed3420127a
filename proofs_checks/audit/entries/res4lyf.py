"""RES4LYF's methods as ODE solvers, without what takes too long to audit.

These are its iterations over a step (``BONGMATH``), implicit methods, and ``deis``, which computes the
weights of all steps in every step.
"""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, each, ode


def _ode(order: int, *names: str, **options: object) -> list[Entry]:
    return each("res4lyf", ode(order), names, BONGMATH=False, **options)


ENTRIES: tuple[Entry, ...] = (
    *_ode(1, "euler", "ddim"),
    *_ode(2, "res_2m", "dpmpp_2m", "abnorsett_2m"),
    *_ode(3, "res_3m", "dpmpp_3m", "abnorsett_3m"),
    *_ode(4, "abnorsett_4m"),
    *_ode(3, "res_3s", c3=0.75),
    *_ode(2, "res_2s", "res_2s_stable", "res_2s_rkmk2e", "etdrk2_2s", "dpmpp_2s", "lawson2a_2s"),
    *_ode(2, "res_2s", frame="flow"),
    *_ode(2, "heun_2s", "midpoint_2s", "ralston_2s"),
    *_ode(3, "res_3s", "res_3s_non-monotonic", "res_3s_alt", "res_3s_cox_matthews", "res_3s_lie"),
    *_ode(3, "res_3s_sunstar", "res_3s_strehmel_weiner", "etdrk3_a_3s", "dpmpp_3s"),
    *_ode(3, "heun_3s", "kutta_3s", "ssprk3_3s", "ralston_3s"),
    *_ode(4, "res_4s_krogstad", "res_4s_cox_matthews", "res_4s_strehmel_weiner", "etdrk4_4s"),
    *_ode(4, "rk4_4s", "rk38_4s", "lawson4_4s"),
    *_ode(3, "pec423_2h2s", "pec433_2h3s", "abnorsett2_1h2s"),
    *_ode(4, "res_5s", "res_6s"),
)
