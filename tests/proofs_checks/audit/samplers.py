r"""Sound samplers with k-diffusion's signature, each from its formula, and the faults to put into them.

Levels s > t, log-SNR step h = log(s/t), :math:`\kappa = 1 + \eta`, D the model's estimate of the data. A
fault of a formula is a keyword of its sampler, with the sound value as default. What can go wrong around
any formula is a wrapper: it takes a sound sampler and returns one with that fault.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.phi import phi

Sampler = Callable[..., Tensor]
NoiseSampler = Callable[[float, float], Tensor]


class Run:
    """What every loop needs: its steps, estimates, noises, the callback."""

    def __init__(
        self,
        model: Callable[..., Tensor],
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None,
        callback: Callable[[dict[str, Any]], None] | None,
        noise: NoiseSampler,
    ) -> None:
        self.x, self.levels, self.noise = x, [float(sigma) for sigma in sigmas], noise
        self._model, self._extra_args, self._callback = model, extra_args or {}, callback
        self._index = 0

    def steps(self) -> Iterator[tuple[float, float]]:
        """The steps (s, t) with t > 0."""
        yield from itertools.pairwise(level for level in self.levels if level > 0)

    def estimate(self, x: Tensor, s: float) -> Tensor:
        """The model's estimate of the data."""
        return self._model(x, s * x.new_ones(len(x)), **self._extra_args)

    def first(self, x: Tensor, s: float) -> Tensor:
        """The estimate at the start of a step, which the callback is shown."""
        D = self.estimate(x, s)
        if self._callback:
            shown = {"x": x, "i": self._index, "sigma": s, "sigma_hat": s, "denoised": D}
            self._callback(shown)
        self._index += 1
        return D

    def to_zero(self, x: Tensor) -> Tensor:
        """The last step of a grid that ends at 0."""
        return self.first(x, self.levels[-2]) if self.levels[-1] == 0 else x


class OnePath:
    """Noise of one Brownian path on the clock sigma, drawn as the levels descend."""

    def __init__(self, x: Tensor) -> None:
        self._x, self._values = x, dict[float, Tensor]()

    def __call__(self, s: float, t: float) -> Tensor:
        start, stop = self._value(s), self._value(t)
        return (stop - start) / (s - t) ** 0.5

    def _value(self, level: float) -> Tensor:
        if not self._values:
            self._values[level] = torch.zeros_like(self._x)
        elif level not in self._values:
            last = min(self._values)
            increment = (last - level) ** 0.5 * torch.randn_like(self._x)
            self._values[level] = self._values[last] + increment
        return self._values[level]


def sampler(
    stochastic: bool, default_noise: Callable[[Tensor], NoiseSampler] | None = None
) -> Callable[[Callable[..., Tensor]], Sampler]:
    """Give an algorithm f(run, *, keywords) the signature of k-diffusion."""

    def independent(x: Tensor) -> NoiseSampler:
        return lambda s, t: torch.randn_like(x)

    def decorate(algorithm: Callable[..., Tensor]) -> Sampler:
        def run(
            model: Any,
            x: Tensor,
            sigmas: Tensor,
            extra_args: Any = None,
            callback: Any = None,
            disable: Any = None,
            noise_sampler: NoiseSampler | None = None,
            **keywords: Any,
        ) -> Tensor:
            noise = noise_sampler or (default_noise or independent)(x)
            return algorithm(Run(model, x, sigmas, extra_args, callback, noise), **keywords)

        *shared, noise_sampler, _ = inspect.signature(run).parameters.values()
        _, *own = inspect.signature(algorithm).parameters.values()
        taken = [*shared, *([noise_sampler] if stochastic else []), *own]
        functools.update_wrapper(run, algorithm)
        run.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
        return run

    return decorate


ode, sde = sampler(stochastic=False), sampler(stochastic=True)


# ------------------------------------------------------------------------------ one step, one estimate


def frozen(x: Tensor, D: Tensor, s: float, t: float, eta: float = 0.0) -> Tensor:
    """The exact drift for a constant estimate: D + (t/s)^kappa (x - D)."""
    return D + (t / s) ** (1 + eta) * (x - D)


def deviation(s: float, t: float, eta: float) -> float:
    """Of the exact noise of data prediction: t sqrt(1 - e^(-2 eta h))."""
    return t * math.sqrt(-math.expm1(2 * eta * math.log(t / s)))


def ancestral(s: float, t: float, eta: float) -> tuple[float, float]:
    """Down to a level d below t, and up again by noise: d^2 + up^2 = t^2."""
    up = eta * t * math.sqrt(1 - (t / s) ** 2)
    return math.sqrt(t**2 - up**2), up


@ode
def euler(run: Run) -> Tensor:
    """Euler on dx/dsigma = (x - D)/sigma."""
    x = run.x
    for s, t in run.steps():
        x = frozen(x, run.first(x, s), s, t)
    return run.to_zero(x)


@sde
def euler_ancestral(run: Run, *, eta: float = 1.0, spread: float = 1.0, every: int = 1) -> Tensor:
    """Euler down to d, noise up to t. Faults: spread times the noise; each noise used in `every` steps."""
    x, z = run.x, run.x
    for i, (s, t) in enumerate(run.steps()):
        d, up = ancestral(s, t, eta)
        fresh = run.noise(s, t)
        z = z if i % every else fresh
        x = frozen(x, run.first(x, s), s, d) + spread * up * z
    return run.to_zero(x)


@sde
def euler_maruyama(run: Run, *, eta: float = 1.0, late: bool = False) -> Tensor:
    """x + kappa h (D - x) + s sqrt(2 eta h) z. Fault: late uses the noise of the step before."""
    x, before = run.x, None
    for s, t in run.steps():
        h, z = math.log(s / t), run.noise(s, t)
        used = before if late and before is not None else z
        x = x + (1 + eta) * h * (run.first(x, s) - x) + s * math.sqrt(2 * eta * h) * used
        before = z
    return run.to_zero(x)


# -------------------------------------------------------------------------------------------- multistep


def two_multistep(run: Run, eta: float, slope: float, ratio: float, rate: float) -> Tensor:
    """D + (D - D_1)/(2r) in place of D, r = h_1/h; noise of variance t^2 (1 - e^(-rate eta h))."""
    x, past = run.x, None
    for s, t in run.steps():
        D, h = run.first(x, s), math.log(s / t)
        extrapolated = D
        if past is not None:
            h_1, D_1 = past
            extrapolated = D + slope * (D - D_1) / (2 * (h_1 / h) ** ratio)
        x = frozen(x, extrapolated, s, t, eta)
        if eta:
            x = x + deviation(s, t, eta * rate / 2) * run.noise(s, t)
        past = h, D
    return run.to_zero(x)


@ode
def two_m(run: Run, *, slope: float = 1.0, ratio: float = 1.0) -> Tensor:
    """DPM-Solver++ 2M. Faults: the sign of the slope; the ratio r upside down."""
    return two_multistep(run, 0.0, slope, ratio, 2.0)


@sde
def two_m_sde(run: Run, *, eta: float = 1.0, slope: float = 1.0, rate: float = 2.0) -> Tensor:
    """SDE-DPM-Solver++ 2M. Faults: the sign of the slope; the rate of the noise."""
    return two_multistep(run, eta, slope, 1.0, rate)


@sde
def adams_bashforth_sde(run: Run, *, eta: float = 1.0) -> Tensor:
    """Two steps of Adams and Bashforth in sigma, on estimates of the noise; its noises are of its steps."""
    x, before = run.x, None
    for s, t in run.steps():
        slope = (x - run.first(x, s)) / s
        change = 0.0 if before is None else (slope - before[1]) / (s - before[0])
        before = s, slope
        x = x + (1 + eta) * (t - s) * (slope + 0.5 * (t - s) * change)
        x = x + math.sqrt(eta * (s**2 - t**2)) * run.noise(s, t)
    return run.to_zero(x)


def three_multistep(run: Run, eta: float, curvature: float, half: float) -> Tensor:
    r"""The parabola through three estimates: kappa h^2 phi_2 D' + h^2 (1/2 - phi_2) D'', phi_2(-kappa h).

    The weight of D'' is :math:`\kappa h^3 \varphi_3`; one half is :math:`\varphi_2(0)`.
    """
    x, past = run.x, list[tuple[float, Tensor]]()
    for s, t in run.steps():
        D, h = run.first(x, s), math.log(s / t)
        start = D
        if not past and eta == 0:  # a first step of order 2: the estimate at the midpoint
            m = math.sqrt(s * t)
            start = run.estimate(frozen(x, D, s, m), m)
        phi_2 = phi(2, -(1 + eta) * h)
        correction = torch.zeros_like(x)
        if past:
            h_1, D_1 = past[0]
            slope = (D - D_1) / h_1
            if len(past) > 1:
                h_2, D_2 = past[1]
                second = 2 * (slope - (D_1 - D_2) / h_2) / (h_1 + h_2)
                slope = slope + h_1 / 2 * second
                correction = curvature * h**2 * (half - phi_2) * second
            correction = correction + (1 + eta) * h**2 * phi_2 * slope
        x = frozen(x, start, s, t, eta) + correction
        if eta:
            x = x + deviation(s, t, eta) * run.noise(s, t)
        past = [(h, D), *past][:2]
    return run.to_zero(x)


@ode
def three_m(run: Run, *, curvature: float = 1.0) -> Tensor:
    """DPM-Solver++ 3M. Fault: the sign of the curvature, or half of it."""
    return three_multistep(run, 0.0, curvature, 0.5)


@sde
def three_m_sde(run: Run, *, eta: float = 1.0, curvature: float = 1.0, half: float = 0.5) -> Tensor:
    """SDE-DPM-Solver++ 3M. Faults: the sign of the curvature; the sign of the half in its weight."""
    return three_multistep(run, eta, curvature, half)


@ode
def adams_moulton(run: Run, *, weight: float = 1.0) -> Tensor:
    """Predict by the line through D_1 and D; correct by the parabola through the estimate there too.

    With divided differences a, b it is D + a tau + b tau (tau + h_1), tau from 0 to h. Fault: the weight
    of the correction.
    """
    x, past = run.x, None
    for s, t in run.steps():
        D, h = run.first(x, s), math.log(s / t)
        linear, square = h**2 * phi(2, -h), 2 * h**3 * phi(3, -h)  # of e^(tau - h) tau and tau^2
        predicted = frozen(x, D, s, t)
        if past is None:
            x = predicted + linear * (run.estimate(predicted, t) - D) / h
        else:
            h_1, D_1 = past
            a = (D - D_1) / h_1
            predicted = predicted + linear * a
            b = ((run.estimate(predicted, t) - D) / h - a) / (h_1 + h)
            x = predicted + weight * (square + h_1 * linear) * b
        past = h, D
    return run.to_zero(x)


# ----------------------------------------------------------------------------------------- single-step


@ode
def heun(run: Run, *, average: float = 0.5) -> Tensor:
    """The mean of the slopes at both ends of an Euler step. Fault: another mean."""
    x = run.x
    for s, t in run.steps():
        slope = (x - run.first(x, s)) / s
        end = x + (t - s) * slope
        slope_end = (end - run.estimate(end, t)) / t
        x = x + (t - s) * ((1 - average) * slope + average * slope_end)
    return run.to_zero(x)


def inner_heun(node: float) -> Callable[[Run], Tensor]:
    """EDM's two-stage family: a stage at that share of the step in sigma, and the weights of order 2."""

    @ode
    def two_stages(run: Run) -> Tensor:
        x = run.x
        for s, t in run.steps():
            m = s + node * (t - s)
            slope = (x - run.first(x, s)) / s
            stage = x + (m - s) * slope
            inner = (stage - run.estimate(stage, m)) / m
            x = x + (t - s) * ((1 - 0.5 / node) * slope + 0.5 / node * inner)
        return run.to_zero(x)

    return two_stages


@ode
def flow_midpoint(run: Run) -> Tensor:
    """The explicit midpoint rule in the time t of x_t = (1 - t) x_0 + t z: order 2, and 3 on Gaussians."""
    y = run.x / (1 + run.levels[0])
    for s, t in run.steps():
        start, end = s / (1 + s), t / (1 + t)
        middle = 0.5 * (start + end)

        def velocity(y: Tensor, at: float, estimate: Callable[..., Tensor]) -> Tensor:
            return (y - estimate(y / (1 - at), at / (1 - at))) / at

        inner = y + (middle - start) * velocity(y, start, run.first)
        y = y + (end - start) * velocity(inner, middle, run.estimate)
    last = [level for level in run.levels if level > 0][-1]
    return run.to_zero(y * (1 + last))


@sde
def euler_restart(run: Run) -> Tensor:
    """Euler that goes once from the last level but one up to the second, and back to it in one step."""
    x, (top, bottom) = run.x, (run.levels[1], run.levels[-2])
    for s, t in run.steps():
        x = frozen(x, run.first(x, s), s, t)
        if t == bottom:
            x = x + math.sqrt(top**2 - bottom**2) * run.noise(top, bottom)
            x = frozen(x, run.estimate(x, top), top, bottom)
    return run.to_zero(x)


@ode
def stale_fifth(run: Run) -> Tensor:
    """2M that makes every fifth call none, and takes the estimate before; its history is then off by one."""
    x, known = run.x, list[tuple[float, Tensor]]()
    for i, (s, t) in enumerate(run.steps()):
        D = known[-1][1] if i % 5 == 4 else run.first(x, s)
        h, slope = math.log(s / t), torch.zeros_like(D)
        if known:
            slope = (D - known[-1][1]) / math.log(known[-1][0] / s)
        x = frozen(x, D + 0.5 * h * slope, s, t)
        known.append((s, D))
    return run.to_zero(x)


@sde
def rounding_noise(run: Run, *, eta: float = 0.0) -> Tensor:
    """Euler that adds its noise and takes it away again: what is left of it is rounding."""
    x = run.x
    for s, t in run.steps():
        z = 1e3 * run.noise(s, t)
        x = (frozen(x, run.first(x, s), s, t) + z) - z
    return run.to_zero(x)


@sde
def asks_for_an_empty_stretch(run: Run, *, eta: float = 1.0, weight: float = 0.0) -> Tensor:
    """An ancestral Euler step that ends with noise of no stretch, times a weight."""
    x = run.x
    for s, t in run.steps():
        d, up = ancestral(s, t, eta)
        x = frozen(x, run.first(x, s), s, d) + up * run.noise(s, t)
        x = x + weight * run.noise(t, t)
    return run.to_zero(x)


@ode
def three_s(run: Run, *, node: float = 2 / 3) -> Tensor:
    """Exponential Runge-Kutta 3: estimates at h/3 and 2h/3. Fault: the weights of another node."""
    x = run.x
    for s, t in run.steps():
        D, h = run.first(x, s), math.log(s / t)
        m, n = s * math.exp(-h / 3), s * math.exp(-2 * h / 3)
        D_m = run.estimate(frozen(x, D, s, m), m)
        weight = (2 * h / 3) ** 2 * phi(2, -2 * h / 3) / (h / 3)
        D_n = run.estimate(frozen(x, D, s, n) + weight * (D_m - D), n)
        x = frozen(x, D, s, t) + h * phi(2, -h) / node * (D_n - D)
    return run.to_zero(x)


@sde
def two_s_ancestral(run: Run, *, eta: float = 1.0, spread: float = 1.0) -> Tensor:
    """DPM-Solver++ 2S at the midpoint, down to d; noise up to t. Fault: spread times the noise."""
    x = run.x
    for s, t in run.steps():
        d, up = ancestral(s, t, eta)
        m = math.sqrt(s * d)
        D_m = run.estimate(frozen(x, run.first(x, s), s, m), m)
        x = frozen(x, D_m, s, d) + spread * up * run.noise(s, t)
    return run.to_zero(x)


@sde
def two_noises(run: Run, *, eta: float = 1.0, joint: bool = True) -> Tensor:
    """SEEDS-2: the noise at t goes on from that at the midpoint m. Fault: not joint starts afresh."""
    x = run.x
    for s, t in run.steps():
        m = math.sqrt(s * t)
        z_m, z_t = run.noise(s, m), run.noise(m, t)
        N_m = deviation(s, m, eta) * z_m
        N_t = (t / m) ** (1 + eta) * N_m + deviation(m, t, eta) * z_t
        D_m = run.estimate(frozen(x, run.first(x, s), s, m, eta) + N_m, m)
        x = frozen(x, D_m, s, t, eta) + (N_t if joint else deviation(s, t, eta) * z_t)
    return run.to_zero(x)


def two_overlapping(run: Run, *, eta: float = 1.0, beside: bool = False) -> Tensor:
    """DPM-Solver++ SDE: asks for the noises from s to m and from s to t, which have a common part.

    Fault: beside the noise sampler it draws the second noise itself.
    """
    x = run.x
    for s, t in run.steps():
        m = math.sqrt(s * t)
        N_m = deviation(s, m, eta) * run.noise(s, m)
        D_m = run.estimate(frozen(x, run.first(x, s), s, m, eta) + N_m, m)
        z_t = torch.randn_like(x) if beside else run.noise(s, t)
        x = frozen(x, D_m, s, t, eta) + deviation(s, t, eta) * z_t
    return run.to_zero(x)


dpmpp_sde = sampler(stochastic=True, default_noise=OnePath)(two_overlapping)
dpmpp_sde_independent = sde(two_overlapping)
"""Fault: by default the two noises of a step are independent, as if their stretches were disjoint."""


# ---------------------------------------------------------------------------------------------- ER-SDE


def exact_integral(s: float, t: float) -> float:
    """Of d sigma / (sigma + sigma^2) from t to s."""
    return math.log(s / (1 + s)) - math.log(t / (1 + t))


def riemann_sum(s: float, t: float) -> float:
    """The same, by 200 values in single precision."""
    width = (s - t) / 200
    levels = t + width * torch.arange(200, dtype=torch.float32)
    return float((width / (levels + levels**2)).sum())


@sde
def er_sde_2(run: Run, *, integral: Callable[[float, float], float] = exact_integral) -> Tensor:
    r"""ER-SDE-Solver-2, noise scale psi = sigma + sigma^2: its eta is sigma/(1 + sigma).

    With r = psi(t)/psi(s): :math:`r x + (1 - r) D + (t - s + \psi(t) \int_t^s 1/\psi) D'`, noise of
    variance t^2 - s^2 r^2. Fault: a coarse integral.
    """
    x, past = run.x, None
    for s, t in run.steps():
        D, r = run.first(x, s), (t + t**2) / (s + s**2)
        drift = D + r * (x - D)
        if past is not None:
            s_1, D_1 = past
            drift = drift + (t - s + (t + t**2) * integral(s, t)) * (D - D_1) / (s - s_1)
        x = drift + math.sqrt(t**2 - (s * r) ** 2) * run.noise(s, t)
        past = s, D
    return run.to_zero(x)


# ------------------------------------------------------------- faults around a formula, and no formula


Around = Callable[..., Any]


def fault(around: Around) -> Callable[[Sampler], Sampler]:
    """Make of around(sampler, model, x, sigmas, **keywords) what turns a sampler into a broken one."""

    @functools.wraps(around)
    def apply(sound: Sampler) -> Sampler:
        @functools.wraps(sound)
        def run(model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Any:
            return around(sound, model, x, sigmas, **keywords)

        return run

    return apply


@fault
def one_step_short(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """The last step is forgotten."""
    return sound(model, x, sigmas[:-1], **keywords)


@fault
def told_the_next_level(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """The model is told the level of the step's end."""

    def off_by_one(x: Tensor, sigma: Tensor, **extra_args: Any) -> Tensor:
        index = int((sigmas - sigma[0]).abs().argmin())
        return model(x, sigmas[index + 1] * torch.ones_like(sigma), **extra_args)

    return sound(off_by_one, x, sigmas, **keywords)


@fault
def without_extra_args(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """The model never sees extra_args."""
    return sound(model, x, sigmas, **keywords | {"extra_args": None})


@fault
def told_a_number(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """The model is given sigma without its batch dimension."""
    return sound(lambda x, sigma, **more: model(x, sigma[0], **more), x, sigmas, **keywords)


@fault
def changes_states(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """The given states are overwritten."""
    return x.copy_(sound(model, x, sigmas, **keywords))


@fault
def changes_sigmas(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """The given grid is overwritten."""
    result = sound(model, x, sigmas, **keywords)
    sigmas[-1] = 0.0
    return result


@fault
def changes_extra_args(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """The given dictionary is written to."""
    result = sound(model, x, sigmas, **keywords)
    if keywords.get("extra_args") is not None:
        keywords["extra_args"]["steps"] = len(sigmas)
    return result


def with_noise(noise: Callable[[Tensor, dict[str, Any]], NoiseSampler], always: bool) -> Around:
    """A noise sampler of its own: in place of any that is given, or only where none is."""

    @fault
    def around(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
        if always or keywords.get("noise_sampler") is None:
            keywords["noise_sampler"] = noise(x, keywords.get("extra_args") or {})
        return sound(model, x, sigmas, **keywords)

    return around


def shared_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """One noise for all samples."""
    return lambda s, t: torch.randn_like(x[:1])


def reseeded_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """The same numbers at every step."""
    return lambda s, t: torch.randn(x.shape, generator=torch.Generator().manual_seed(7))


def constant_seed_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """The same numbers in every run, whatever torch is seeded with."""
    generator = torch.Generator().manual_seed(7)
    return lambda s, t: torch.randn(x.shape, generator=generator)


def initial_seed_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """A generator seeded as the one that made the initial states."""
    generator = torch.Generator().manual_seed(extra_args.get("seed", 0))
    return lambda s, t: torch.randn(x.shape, generator=generator, dtype=x.dtype)


def numpy_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """Numbers that torch's seed does not decide."""
    return lambda s, t: torch.from_numpy(np.random.standard_normal(x.shape)).to(x)  # noqa: NPY002


def uniform_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """Of unit variance, but uniform."""
    return lambda s, t: math.sqrt(12) * (torch.rand_like(x) - 0.5)


def sign_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """Of unit variance, but -1 or 1."""
    return lambda s, t: torch.randn_like(x).sign()


def noise_of(change: Callable[[Tensor], Tensor]) -> Callable[..., NoiseSampler]:
    """Normals that something is done to."""
    return lambda x, extra_args: lambda s, t: change(torch.randn_like(x))


def repeating_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """A little of the noise of the step before."""
    last = [torch.randn_like(x)]

    def noise(s: float, t: float) -> Tensor:
        last.append(torch.randn_like(x))
        return 0.8 * last[-1] + 0.6 * last[-2]

    return noise


def too_wide_noise(x: Tensor, extra_args: dict[str, Any]) -> NoiseSampler:
    """Of deviation 1.01."""
    return lambda s, t: 1.01 * torch.randn_like(x)


@fault
def rows_meet(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """A little of the batch's mean is added."""
    result = sound(model, x, sigmas, **keywords)
    return result + 1e-3 * result.mean(0, keepdim=True)


@fault
def estimates_meet(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """Estimates are drawn to the batch's mean by a fiftieth."""

    def together(*args: Any, **more: Any) -> Tensor:
        D = model(*args, **more)
        return D + 0.02 * (D.mean(0, keepdim=True) - D)

    return sound(together, x, sigmas, **keywords)


@fault
def clamped(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """Estimates are kept in [-1, 1]."""
    return sound(lambda *a, **k: model(*a, **k).clamp(-1, 1), x, sigmas, **keywords)


@fault
def half_levels(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """Levels are kept in half precision."""
    return sound(model, x, sigmas.half().to(sigmas), **keywords)


@fault
def single_inside(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """All the work is done in single precision, also on double precision states."""
    return sound(model, x.float(), sigmas, **keywords).to(x)


@fault
def cancelling(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """Single precision, with levels by way of alpha^2 near 1, where they are off by 1e-4 at the end."""
    log_alpha = -0.5 * torch.log(1 + sigmas.float().square())
    levels = (torch.exp(-2 * log_alpha) - 1).sqrt()

    def at_given(y: Tensor, sigma: Tensor, **more: Any) -> Tensor:
        nearest = (levels - sigma[0]).abs().argmin()
        given = sigmas[nearest] if levels[nearest] == sigma[0] else sigma[0]
        return model(y, given.to(sigmas).expand(len(y)), **more)

    return sound(at_given, x.float(), levels, **keywords).to(x)


def scaled(share: float) -> Around:
    """The result is too large by a share."""

    @fault
    def around(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
        return (1 + share) * sound(model, x, sigmas, **keywords)

    return around


@fault
def single_result(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """The result is of single precision."""
    return sound(model, x, sigmas, **keywords).float()


@fault
def double_result(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """The result is of double precision."""
    return sound(model, x, sigmas, **keywords).double()


@fault
def half_inside(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """All the work on single precision states is done in half precision."""
    narrow = x.half() if x.dtype == torch.float32 else x
    return sound(model, narrow, sigmas, **keywords).to(x)


def at_eta(change: Callable[[float], float]) -> Around:
    """The given eta is replaced by another."""

    @fault
    def around(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
        return sound(model, x, sigmas, **keywords | {"eta": change(keywords.get("eta", 1.0))})

    return around


def calling_back(change: Callable[[dict[str, Any]], Any] | None) -> Around:
    """The callback sees something else, or is never called."""

    @fault
    def around(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
        callback = keywords.get("callback")
        changed = (lambda seen: callback(change(seen))) if callback and change else None
        return sound(model, x, sigmas, **keywords | {"callback": changed})

    return around


@fault
def nan_at_zero(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """0/0 where the grid ends at 0."""
    return sound(model, x, sigmas, **keywords) * (sigmas[-1] / sigmas[-1])


@fault
def fails_on_one_step(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """Assumes two steps."""
    assert sigmas[2] < sigmas[1]
    return sound(model, x, sigmas, **keywords)


@fault
def stops_before_zero(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """A grid that ends at 0 is followed to its last positive level only, and noise stays."""
    return sound(model, x, sigmas[sigmas > 0], **keywords)


@fault
def hangs(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """Never returns, and lets no exception through."""
    while True:
        try:
            time.sleep(1e-3)
        except Exception:
            continue


@fault
def drops_dimensions(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """States without their last dimensions."""
    return sound(model, x, sigmas, **keywords)[..., 0, 0]


@fault
def returns_none(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> None:
    """Nothing is returned."""
    sound(model, x, sigmas, **keywords)


@fault
def returns_the_start(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """The states come back as they were."""
    sound(model, x, sigmas, **keywords)
    return x


@fault
def returns_zeros(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """Nothing random is left."""
    return torch.zeros_like(x)


def refined(sigmas: Tensor) -> Tensor:
    """A geometric midpoint between all levels."""
    middles = (sigmas[1:] * sigmas[:-1]).sqrt()
    return torch.cat([torch.stack([sigmas[:-1], middles], dim=1).flatten(), sigmas[-1:]])


@fault
def adaptive(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """Each sample takes twice the steps if it starts far out."""
    coarse, fine = (sound(model, x, grid, **keywords) for grid in (sigmas, refined(sigmas)))
    return torch.where(x.abs().amax((1, 2, 3), keepdim=True) > 0.7, fine, coarse)


@fault
def adaptive_together(
    sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any
) -> Tensor:
    """All samples take twice the steps if one of them starts far out."""
    far = bool((x.abs() > 30).any())
    return sound(model, x, refined(sigmas) if far else sigmas, **keywords)


@fault
def thresholded(sound: Sampler, model: Any, x: Tensor, sigmas: Tensor, **keywords: Any) -> Tensor:
    """Estimates are clipped."""
    return sound(lambda *a, **k: model(*a, **k).clamp(-0.1, 0.1), x, sigmas, **keywords)
