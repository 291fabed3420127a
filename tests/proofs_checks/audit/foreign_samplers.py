"""Small sound samplers, none of which follows the audit's protocol: a convention each."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch


def flow_euler(velocity, x, times):
    """x_t = (1 - t) x_0 + t z, from t = 1 down to 0."""
    for t, r in itertools.pairwise(times):
        x = x + (r - t) * velocity(x, t)
    return x


def flow_up_heun(velocity, x, times):
    """The same path run upwards, from noise at 0 to data at 1; the model is given 1000 t."""
    for t, r in itertools.pairwise(times):
        slope = velocity(x, 1000 * t.expand(len(x)))
        after = velocity(x + (r - t) * slope, 1000 * r.expand(len(x)))
        x = x + (r - t) / 2 * (slope + after)
    return x


def ddim(x, noise, alpha_bar, *, ancestral=0.0):
    """Variance-preserving, levels as alpha-bar, a model that predicts noise; arguments in its own order."""
    for a, b in itertools.pairwise(alpha_bar):
        e = noise(x, a)
        x0 = (x - (1 - a).sqrt() * e) / a.sqrt()
        up = ancestral * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
        x = b.sqrt() * x0 + (1 - b - up**2).sqrt() * e
        if ancestral:
            x = x + up * torch.randn_like(x)
    return x


def reverse_euler(score, x, sigmas, noise_sampler=None):
    """Euler-Maruyama for dx = -2 sigma score d sigma + sqrt(2 sigma) dW, by the score."""
    for s, t in itertools.pairwise(sigmas):
        z = torch.randn_like(x) if noise_sampler is None else noise_sampler(s, t)
        x = x + (s**2 - t**2) * score(x, s) + (s**2 - t**2).sqrt() * z
    return x


def v_ddim(v, x, angles):
    """States cos a x_0 + sin a z, a model that predicts cos a z - sin a x_0, levels as angles."""
    for a, b in itertools.pairwise(angles):
        out = v(x, a)
        x0, e = a.cos() * x - a.sin() * out, a.sin() * x + a.cos() * out
        x = b.cos() * x0 + b.sin() * e
    return x


def heun_of_its_own_grid(denoise, latents, labels=None, num_steps=18, sigma_min=0.02, rho=7):
    """EDM's grid and sampler, which ends with a step to 0."""
    i = torch.arange(num_steps, dtype=torch.float64) / (num_steps - 1)
    sigmas = (80 ** (1 / rho) + i * (sigma_min ** (1 / rho) - 80 ** (1 / rho))) ** rho
    x = latents
    for s, t in itertools.pairwise([*sigmas, 0 * sigmas[0]]):
        slope = (x - denoise(x, s)) / s
        after = x + (t - s) * slope
        if t > 0:
            slope = (slope + (after - denoise(after, t)) / t) / 2
        x = x + (t - s) * slope
    return x


def flow_from_nothing(velocity, shape, steps=10, scale=1.0):
    """It draws its first state, at t = 1, and takes equal steps in t down to 0."""
    x = scale * torch.randn(*shape, dtype=torch.float64) / scale
    for i in range(steps):
        x = x - velocity(x, torch.full(shape[:1], 1 - i / steps)) / steps
    return x


def flow_midpoint_from_nothing(velocity, shape, steps=10):
    """The same with the explicit midpoint rule."""
    x = torch.randn(*shape, dtype=torch.float64)
    for t, r in itertools.pairwise(torch.linspace(1, 0, steps + 1).double().tolist()):
        middle = x + (r - t) / 2 * velocity(x, torch.full(shape[:1], t))
        x = x + (r - t) * velocity(middle, torch.full(shape[:1], (t + r) / 2))
    return x


def draws_its_start(denoise, shape, sigmas):
    """A start of its own on a given grid."""
    generator = torch.Generator().manual_seed(0)
    x = sigmas[0] * torch.randn(shape, generator=generator, dtype=sigmas.dtype)
    return insists_on_zero(denoise, x, [*sigmas, 0.0])


def starts_elsewhere(denoise, shape, sigmas):
    """From a state that it draws as one image, and repeats."""
    return torch.randn(1, *shape[1:]).expand(shape) + denoise(torch.ones(shape), sigmas[0])


def insists_on_zero(denoise, x, sigmas):
    """DDIM in x, for grids that end at 0."""
    if sigmas[-1] != 0:
        raise ValueError("sigmas must end with 0")
    for s, t in itertools.pairwise(sigmas):
        D = denoise(x, s)
        x = D + t / s * (x - D)
    return x


def in_place(denoise, x, sigmas):
    """It works in one tensor."""
    x = x.clone()
    for s, t in itertools.pairwise([*sigmas, 0.0]):
        x += (1 - t / s) * (denoise(x, s) - x)
    return x


def refuses_few_steps(denoise, x, n):
    """A grid of its own, that it cannot make for any number of steps."""
    if n < 8:
        raise RuntimeError("at least 8 steps")
    return heun_of_its_own_grid(denoise, x, num_steps=n)


def appends_zero(denoise, x, sigmas):
    """From any grid it goes on to 0."""
    return insists_on_zero(denoise, x, torch.cat([sigmas, sigmas[:1] * 0]))


def _ancestral(denoise, x, s, t, z):
    up = t * np.sqrt(1 - (t / s) ** 2)
    D = denoise(x, s)
    return D + t * t / (s * s) * (x - D) + up * z


def ancestral_numpy(denoise, x, sigmas, legacy=False):
    """In numpy, with a generator of its own or the global one."""
    assert isinstance(x, np.ndarray)
    rng = None if legacy else np.random.default_rng()
    for s, t in itertools.pairwise(sigmas):
        z = np.random.randn(*x.shape) if legacy else rng.normal(size=x.shape)  # noqa: NPY002
        x = _ancestral(denoise, x, s, t, z)
    return x


def ancestral_numpy_injected(denoise, x, sigmas, noise_sampler=None):
    """In numpy, with a noise sampler."""
    for s, t in itertools.pairwise(sigmas):
        x = _ancestral(denoise, x, s, t, noise_sampler(s, t))
    return x


def ancestral_jax(denoise, x, sigmas, key):
    """In jax: a compiled scan over the steps, whose key is split."""
    import jax

    assert x.dtype == sigmas.dtype == "float64"

    @jax.jit
    def step(carried, levels):
        x, key = carried
        key, own = jax.random.split(key)
        z = jax.random.normal(own, x.shape, x.dtype)
        return (_ancestral(denoise, x, *levels, z), key), None

    (x, _), _ = jax.lax.scan(step, (x, key), (sigmas[:-1], sigmas[1:]))
    return x


def of_its_own_frame(denoise, x, sigmas, frame="ve"):
    """It has a parameter named like an option of conventions."""
    assert frame == "own"
    return insists_on_zero(denoise, x, [*sigmas, 0.0])


def stops_at_once(denoise, x, n):
    """A number of calls that does not show its steps."""
    for i in range(n + 1):
        denoise(x, torch.tensor(10.0 / (i + 1)))
    return x


class FlowScheduler:
    """A solver object: DPM-Solver++(2M) or Euler of rectified flow, on its own single-precision grid."""

    def __init__(self, order: int = 1, returns: str = "object") -> None:
        self.order, self.returns = order, returns
        self._before: Any = None

    def set_timesteps(self, n: int) -> None:
        """Equal steps in t."""
        self.sigmas = torch.linspace(1, 0, n + 1)
        self.timesteps = (1000 * self.sigmas[:-1]).long()
        self._index = 0

    def step(self, output, timestep, sample, return_dict=True):
        """From one level of the table to the next."""
        t, r = self.sigmas[self._index], self.sigmas[self._index + 1]
        x0 = sample.float() - t * output
        h = ((1 - r) / r).log() - ((1 - t) / t).log()
        estimate = x0
        if self.order == 2 and self._before is not None and r > 0:
            h_before, before = self._before
            estimate = x0 + h / (2 * h_before) * (x0 - before)
        self._before, self._index = (h, x0), self._index + 1
        after = r / t * sample - (1 - r) * torch.expm1(-h) * estimate
        return {
            "object": SimpleNamespace(prev_sample=after),
            "tuple": (after,),
            "tensor": after,
        }[self.returns]


class TwoTimesteps(FlowScheduler):
    """Two timesteps a step."""

    def set_timesteps(self, n: int) -> None:
        """Twice as many."""
        super().set_timesteps(2 * n)


class FlowTimes:
    """A solver object: Euler of rectified flow, with its levels in a table of another name."""

    def set_timesteps(self, n: int) -> None:
        """Equal steps in t."""
        self.times = torch.linspace(1, 0, n + 1).double()
        self.timesteps, self._index = self.times[:-1], 0

    def step(self, output, timestep, sample):
        """From one level of the table to the next."""
        t, r = self.times[self._index : self._index + 2]
        self._index += 1
        return sample + (r - t) * output
