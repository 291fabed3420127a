r"""k-diffusion's and ComfyUI's samplers as one writes them down from their formulas, operation by operation.

An oracle for `seeds_theory.kdiffusion`, and a loop to compare its speed with. Each step computes its own
coefficients, in tensors of the sigmas' dtype. With ``h`` the step in log-SNR and ``k = 1 + eta``,
``expm1(-c k h)`` weighs the estimate, and the noises are joined by

.. math::  \xi_t = e^{-\eta h_2} \xi_m + \sqrt{1 - e^{-2 \eta h_2}}\,z, \qquad h_2 = \lambda_t - \lambda_m .

All follow k-diffusion's protocol. With ``flow=True`` sigmas are in (0, 1), and states (1 - sigma) x_0 + sigma
noise: ComfyUI's way for models of rectified flow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from tqdm import trange

NoiseSampler = Callable[[Any, Any], Tensor]


def _torch_noise(x: Tensor) -> NoiseSampler:
    return lambda sigma, sigma_next: torch.randn_like(x)


def _report(callback: Any, i: int, x: Tensor, sigma: Tensor, denoised: Tensor) -> None:
    if callback is not None:
        callback({"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised})


def _log_snr(sigma: Tensor, flow: bool) -> Tensor:
    return sigma.logit().neg() if flow else sigma.log().neg()


def _sigma(log_snr: Tensor, flow: bool) -> Tensor:
    return log_snr.neg().sigmoid() if flow else log_snr.neg().exp()


@torch.no_grad()
def euler_ancestral(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    eta: float = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
) -> Tensor:
    """Euler's method down to sigma_down, and noise up again (k-diffusion)."""
    extra_args = extra_args or {}
    noise_sampler = noise_sampler or _torch_noise(x)
    s_in = x.new_ones([len(x)])
    for i in trange(len(sigmas) - 1, disable=disable):
        s, t = sigmas[i], sigmas[i + 1]
        denoised = model(x, s * s_in, **extra_args)
        _report(callback, i, x, s, denoised)
        up = min(t, eta * (t**2 * (s**2 - t**2) / s**2) ** 0.5)
        down = (t**2 - up**2) ** 0.5
        x = x + (x - denoised) / s * (down - s)
        if t > 0:
            x = x + noise_sampler(s, t) * s_noise * up
    return x


@torch.no_grad()
def seeds_2(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    eta: float = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
    r: float = 0.5,
    solver_type: str = "phi_1",
    flow: bool = False,
) -> Tensor:
    """SEEDS-2 in data prediction (ComfyUI): type 2a with "phi_1", type 2b with "phi_2"."""
    extra_args = extra_args or {}
    noise_sampler = noise_sampler or _torch_noise(x)
    s_in = x.new_ones([len(x)])
    for i in trange(len(sigmas) - 1, disable=disable):
        s, t = sigmas[i], sigmas[i + 1]
        denoised = model(x, s * s_in, **extra_args)
        _report(callback, i, x, s, denoised)
        if t == 0:
            x = denoised
            continue
        lambda_s, lambda_t = _log_snr(s, flow), _log_snr(t, flow)
        h = lambda_t - lambda_s
        kh = (1 + eta) * h
        lambda_m = lambda_s + r * h
        m = _sigma(lambda_m, flow)
        alpha_m, alpha_t = m * lambda_m.exp(), t * lambda_t.exp()

        x_2 = m / s * (-r * h * eta).exp() * x - alpha_m * (-r * kh).expm1() * denoised
        if eta > 0:
            noise = (-2 * r * h * eta).expm1().neg().sqrt() * noise_sampler(s, m)
            x_2 = x_2 + noise * m * s_noise
        denoised_2 = model(x_2, m * s_in, **extra_args)

        x = t / s * (-h * eta).exp() * x - alpha_t * (-kh).expm1() * denoised
        phi_1, phi_2 = -(-kh).expm1(), (-kh).expm1() / kh + 1  # times kh
        weight = phi_1 / (2 * r) if solver_type == "phi_1" else phi_2 / r
        x = x + alpha_t * weight * (denoised_2 - denoised)
        if eta > 0:
            rest = (1 - r) * h * eta
            noise = (-rest).exp() * noise
            noise = noise + (-2 * rest).expm1().neg().sqrt() * noise_sampler(m, t)
            x = x + noise * t * s_noise
    return x


@torch.no_grad()
def seeds_3(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    eta: float = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
    r_1: float = 1 / 3,
    r_2: float = 2 / 3,
    flow: bool = False,
) -> Tensor:
    """SEEDS-3 in data prediction, type 3a (ComfyUI)."""
    extra_args = extra_args or {}
    noise_sampler = noise_sampler or _torch_noise(x)
    s_in = x.new_ones([len(x)])
    for i in trange(len(sigmas) - 1, disable=disable):
        s, t = sigmas[i], sigmas[i + 1]
        denoised = model(x, s * s_in, **extra_args)
        _report(callback, i, x, s, denoised)
        if t == 0:
            x = denoised
            continue
        lambda_s, lambda_t = _log_snr(s, flow), _log_snr(t, flow)
        h = lambda_t - lambda_s
        kh = (1 + eta) * h
        lambda_1, lambda_2 = lambda_s + r_1 * h, lambda_s + r_2 * h
        s_1, s_2 = _sigma(lambda_1, flow), _sigma(lambda_2, flow)
        alpha_1, alpha_2 = s_1 * lambda_1.exp(), s_2 * lambda_2.exp()
        alpha_t = t * lambda_t.exp()

        x_2 = s_1 / s * (-r_1 * h * eta).exp() * x - alpha_1 * (-r_1 * kh).expm1() * denoised
        if eta > 0:
            noise = (-2 * r_1 * h * eta).expm1().neg().sqrt() * noise_sampler(s, s_1)
            x_2 = x_2 + noise * s_1 * s_noise
        denoised_2 = model(x_2, s_1 * s_in, **extra_args)

        x_3 = s_2 / s * (-r_2 * h * eta).exp() * x - alpha_2 * (-r_2 * kh).expm1() * denoised
        weight = r_2 / r_1 * ((-r_2 * kh).expm1() / (r_2 * kh) + 1)
        x_3 = x_3 + alpha_2 * weight * (denoised_2 - denoised)
        if eta > 0:
            rest = (r_2 - r_1) * h * eta
            noise = (-rest).exp() * noise
            noise = noise + (-2 * rest).expm1().neg().sqrt() * noise_sampler(s_1, s_2)
            x_3 = x_3 + noise * s_2 * s_noise
        denoised_3 = model(x_3, s_2 * s_in, **extra_args)

        x = t / s * (-h * eta).exp() * x - alpha_t * (-kh).expm1() * denoised
        x = x + alpha_t * ((-kh).expm1() / kh + 1) / r_2 * (denoised_3 - denoised)
        if eta > 0:
            rest = (1 - r_2) * h * eta
            noise = (-rest).exp() * noise
            noise = noise + (-2 * rest).expm1().neg().sqrt() * noise_sampler(s_2, t)
            x = x + noise * t * s_noise
    return x
