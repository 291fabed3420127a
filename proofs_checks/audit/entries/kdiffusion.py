"""k-diffusion's samplers, of the SDE and of the ODE."""

from __future__ import annotations

from proofs_checks.audit.entries import Entry, by_order, ode, of, sde
from proofs_checks.audit.expectation import Expectation


def _k(name: str, claims: Expectation | None, **options: object) -> Entry:
    return of("kdiffusion", name, claims, **options)


ENTRIES: tuple[Entry, ...] = (
    _k("euler", ode(1)),
    _k("euler", None, s_churn=10),
    _k("euler_ancestral", sde(1)),
    _k("heun", ode(2)),
    _k("heun", None, s_churn=10),
    _k("dpm_2", ode(2)),
    _k("dpm_2_ancestral", sde(2)),
    *by_order("kdiffusion", "lms", "order", (1, 2, 3, 4)),
    _k("dpm_fast", None),
    _k("dpm_adaptive", None),
    _k("dpmpp_2s_ancestral", sde(2)),
    _k("dpmpp_sde", None),
    _k("dpmpp_sde", ode(2), eta=0),
    _k("dpmpp_2m", ode(2)),
    _k("dpmpp_2m_sde", sde(2)),
    _k("dpmpp_2m_sde", sde(2), solver_type="heun"),
    _k("dpmpp_2m_sde", ode(2), eta=0),
    _k("dpmpp_3m_sde", sde(3)),
    _k("dpmpp_3m_sde", ode(3), eta=0),
)
