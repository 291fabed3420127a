"""Whether a model is a denoiser at all, and what it looks like instead.

One fact decides: of all functions of the state the posterior mean is the nearest to the data, so no sum
``a + b x + c D(x)`` is nearer than D(x) itself, at any noise level. With a wrong sign, prediction or scaling
of time one is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser, NetworkDenoiser, evaluate, output_of
from seeds_theory.errors import DenoiserError, ParameterError
from seeds_theory.grids import uniform_log_snr
from seeds_theory.loop import require_denoiser, require_estimate
from seeds_theory.sampling import require_one_each
from seeds_theory.schedule import VarianceExploding
from seeds_theory.solver import Solver
from seeds_theory.sources import seeded_generator

_NUMBERS, _FEWEST = 4096, 8
"""How many numbers and samples show an error beyond its scatter."""

_STEPS = 12
"""Of the ODE that draws data where none are given."""

_SPREADS = [2.0**k for k in range(-3, 4)]
"""Where the levels lie, in deviations of the data."""

_WORSE, _OF_DATA, _OF_NOISE, _CERTAIN = 1.02, 0.03, 0.06, 4.0
"""What is no fault: a mean square error by this factor, an error by these shares of the deviation of the data
and of the noise, or within so many standard errors, of a normal law."""

_ALIKE, _TOLD = 4.0, 3
"""The factor between distances of alternatives that cannot be told apart, and how many of them are told."""

_HIGH, _APART = 1e3, 8.0
"""Where the ODE starts if the first level is infinite, and the factor by which the ends are to be apart from
the width of what it draws."""

_COMES_BACK = 0.2
"""The share of pure noise in an estimate of a model that takes it for data."""


def check_denoiser(
    denoiser: Denoiser,
    shape: Sequence[int] | None = None,
    *,
    data: Tensor | None = None,
    condition: Any = None,
    sigma_max: float | None = None,
    sigma_min: float = 0.02,
    batch: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> None:
    """Return if a model behaves as a denoiser at every noise level.

    >>> check_denoiser(NetworkDenoiser(network, RectifiedFlow(), "flow"), (3, 32, 32))

    Without data the model draws its own, along the ODE, and is held to what it has drawn. A few samples of
    the true data tell more: a model that leaves some noise in is nearly right about data that are blurred so,
    and a constant factor only changes what is drawn. Two tables of betas that are nearly alike are not told
    apart. A guided model is no denoiser: check what it is made of. It takes some thirty calls, ten with data;
    to find what a wrong network is instead, up to some hundreds.

    Parameters
    ----------
    denoiser : ``D(x, sigma)``.
    shape : of one sample; that of the data if they are given.
    data : samples of what the model was trained on, ``(count, *shape)``, 8 or more, as the network sees
        them: latents, in its own scale.
    condition : handed to the model as its third argument: one entry for each of the data, or of the samples
        to draw, as in `seeds_theory.sample`.
    sigma_max, sigma_min : the ends of the noise levels, far above and far below the width of the data; by
        default 80, or the highest level of the schedule of a `NetworkDenoiser` if that is lower. The first
        may be infinite.
    batch : how many samples to draw, 8 or more; by default as many as have 4096 numbers.
    seed : of the noise.
    dtype, device : of the states.

    Raises
    ------
    DenoiserError : it does not, in one line: what was seen, and what the model looks like instead.
    ParameterError : shape, data, batch or levels are none.
    """
    require_denoiser(denoiser)
    if condition is not None:
        denoiser = _bound(denoiser, condition)
        if batch is None and data is None:
            batch = require_one_each(condition)
    if sigma_max is None:
        sigma_max = 80.0
        if isinstance(denoiser, NetworkDenoiser):
            sigma_max = min(sigma_max, denoiser.schedule.highest_level)
    if not 0 < sigma_min < sigma_max:
        raise ParameterError(
            f"levels descend from sigma_max to sigma_min > 0; got {sigma_max:g} and {sigma_min:g}"
        )
    if data is not None:
        data = _require_data(data)
        given, count = tuple(data.shape[1:]), len(data)
        if tuple(shape or given) != given or (batch or count) != count:
            raise ParameterError(
                f"the data are {count} samples of shape {given}; got shape {shape} and batch {batch}: "
                "leave them out"
            )
        shape, batch = given, count
    sizes = tuple(shape or ())
    if not sizes or min(sizes) < 1:
        raise ParameterError(
            f"a model is checked on a shape, as (3, 32, 32), or on data; got shape {shape}"
        )
    if batch is None:
        batch = max(_FEWEST, math.ceil(_NUMBERS / math.prod(sizes)))
    if batch < _FEWEST:
        raise ParameterError(f"a check takes {_FEWEST} samples or more; got {batch}")
    if condition is not None:
        require_one_each(condition, batch)
    start, added = (
        torch.randn(batch, *sizes, generator=seeded_generator(seed, k)).double() for k in range(2)
    )
    trial = _Trial(start, added, data, sigma_max, sigma_min, dtype, torch.device(device))
    with torch.no_grad():
        try:
            trial.distance(denoiser)
        except _Fault as fault:
            raise DenoiserError(f"{fault}{_instead(trial, denoiser)}") from None


def _bound(denoiser: Callable[..., Tensor], condition: Any) -> Denoiser:
    """The model under a condition."""
    if isinstance(denoiser, NetworkDenoiser):
        network = denoiser.network
        return replace(denoiser, network=lambda x, t: evaluate(network, x, t, condition))
    return lambda x, sigma: denoiser(x, sigma, condition)


def _require_data(data: Tensor) -> Tensor:
    """The data in double precision on the CPU."""
    found = torch.as_tensor(data).cpu().double()
    if found.ndim < 2 or not bool(found.isfinite().all()):
        raise ParameterError(
            f"data are finite, with samples first, (count, *shape); got {tuple(found.shape)}"
        )
    return found


class _Fault(DenoiserError):
    """What no posterior mean does."""


@dataclass(frozen=True)
class _Trial:
    """What models are tried on: unit noises to start from and to add, (batch, *shape), data, and levels.

    All in double precision on the CPU; the model is given the dtype, on the device.
    """

    start: Tensor
    added: Tensor
    data: Tensor | None
    sigma_max: float
    sigma_min: float
    dtype: torch.dtype
    device: torch.device

    def distance(self, denoiser: Denoiser) -> float:
        """How much of a state's square the worst estimate is further off than it had to be.

        Raises
        ------
        _Fault : too much to be a posterior mean.
        """
        data = self._drawn(denoiser) if self.data is None else self.data
        variance = float(data.var(correction=0))
        return max(
            self._excess(denoiser, data, level, variance) for level in self._levels(variance)
        )

    def _drawn(self, denoiser: Denoiser) -> Tensor:
        """The model's own data, along the ODE, if it takes pure noise for that."""
        high = self.sigma_max
        scale = high if math.isfinite(high) else 1.0
        estimate = self._estimate(denoiser, scale * self.start, high)
        mean = estimate.mean(0)
        back = (
            float((estimate * (self.start - self.start.mean())).mean() / self.start.var()) / scale
        )
        if not abs(back) < _COMES_BACK:
            raise _Fault(
                f"of pure noise at sigma = {high:g} the share {back:.2g} comes back: no posterior mean of "
                "data far narrower than that"
            )
        if math.isinf(high):
            high = _HIGH
        grid = [*uniform_log_snr(high, self.sigma_min, _STEPS), 0.0]
        start = self._state(mean + high * self.start)
        found = Solver("seeds-2")(denoiser, start, grid, eta=0.0).cpu().double()
        width = float(found.var(0).mean().sqrt())
        if not _APART * self.sigma_min <= width <= high / _APART:
            raise _Fault(
                f"its samples have the deviation {width:.3g}, which is not far between sigma_min = "
                f"{self.sigma_min:g} and sigma_max = {high:g}: no posterior mean, or levels too near its data"
            )
        return found

    def _levels(self, variance: float) -> list[float]:
        inner = (math.sqrt(variance) * spread for spread in _SPREADS)
        between = {level for level in inner if self.sigma_min < level < self.sigma_max}
        return sorted({self.sigma_min, self.sigma_max} | between)

    def _excess(self, denoiser: Denoiser, data: Tensor, level: float, variance: float) -> float:
        """The distance at one level."""
        finite = math.isfinite(level)
        x = data + level * self.added if finite else self.added
        noise = level**2 if finite else 1.0
        square = variance + noise if finite else 1.0
        estimate = self._estimate(denoiser, x, level)
        ours, best = _errors(estimate, data), _errors(_combined(x, estimate, data), data)
        beyond = ours - _WORSE * best - _OF_DATA**2 * variance - _OF_NOISE**2 * noise
        if not float(beyond.mean()) <= _certain(len(beyond)) * float(beyond.std()):
            raise _Fault(
                f"at sigma = {level:.3g} its estimates are off by {float(ours.mean()) ** 0.5:.3g}, where a "
                f"sum of them and the state is by {float(best.mean()) ** 0.5:.3g}: no posterior mean"
            )
        return max(float((ours - best).mean()), 0.0) / square

    def _state(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.dtype)

    def _estimate(self, denoiser: Denoiser, x: Tensor, level: float) -> Tensor:
        """What the model says, as the trial keeps it.

        Raises
        ------
        _Fault : numbers that are not finite.
        """
        state = self._state(x)
        estimate = denoiser(state, level)
        require_estimate(estimate, state, level)
        if not bool(estimate.isfinite().all()):
            raise _Fault(f"at sigma = {level:.3g} its estimates are not finite: no posterior mean")
        return estimate.cpu().double()


def _combined(x: Tensor, estimate: Tensor, data: Tensor) -> Tensor:
    """The sum ``a + b x + c estimate`` nearest to the data, in each half by the weights of the other."""
    terms = torch.stack([torch.ones_like(x), x, estimate], dim=-1)
    half = len(data) // 2
    combined = torch.empty_like(data)
    for own, other in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        target = data[other].reshape(-1, 1)
        weights = torch.linalg.lstsq(terms[other].flatten(0, -2), target, driver="gelsd").solution
        combined[own] = (terms[own] @ weights)[..., 0]
    return combined


def _certain(count: int) -> float:
    """How many of their deviations the mean of `count` numbers may be off: `_CERTAIN` standard errors.

    By Student's law, whose quantile is that of the normal law to second order in 1 / (count - 1) (Abramowitz
    and Stegun, 26.7.5).
    """
    z, one = _CERTAIN, 1 / (count - 1)
    quantile = z + (z**3 + z) / 4 * one + (5 * z**5 + 16 * z**3 + 3 * z) / 96 * one**2
    return quantile / math.sqrt(count)


def _errors(estimate: Tensor, data: Tensor) -> Tensor:
    """Mean square errors of each sample, (batch,)."""
    return (estimate - data).square().flatten(1).mean(1)


def _instead(trial: _Trial, denoiser: Denoiser) -> str:
    """What the output of a model with a fault behaves like, as the end of a sentence."""

    def distance(other: Denoiser) -> float:
        try:
            return trial.distance(other)
        except torch.cuda.OutOfMemoryError:  # its name in any torch
            raise
        except Exception:  # a fault, or what a network raises at times that it does not know
            return math.inf

    found = {words: distance(other) for words, other in _alternatives(denoiser)}
    least = min(found.values())
    near = [words for words, far in found.items() if far <= _ALIKE * least and far < math.inf]
    return f"; its output behaves like {' or '.join(near[:_TOLD])}" if near else ""


def _alternatives(denoiser: Denoiser) -> Iterator[tuple[str, Denoiser]]:
    """What a model may be instead: in words, and as a denoiser."""
    if isinstance(denoiser, NetworkDenoiser):
        end = denoiser.schedule.t_max
        times: dict[str, Callable[[Tensor], Tensor]] = {
            "": lambda t: t,
            ", at t_max - t": lambda t: end - t,
            ", at t / 1000": lambda t: t / 1000,
            ", at 1000 t": lambda t: 1000 * t,
        }
        original = denoiser
    else:
        times = {"": lambda t: t}
        original = NetworkDenoiser(
            lambda x, t: denoiser(x, float(t[0])), VarianceExploding(), "data"
        )
    for when, time in times.items():
        for name, (plain, minus) in _OUTPUTS.items():
            if when and name != original.predicts:
                continue  # two mistakes at once are not guessed
            for sign, output in ((1.0, plain), (-1.0, minus)):
                if (when, name, sign) != ("", original.predicts, 1.0):
                    negated = "" if sign > 0 else ", negated"
                    changed = replace(
                        original,
                        network=_Changed(original, sign, time),
                        predicts=name,
                        learned_variance=False,
                    )
                    yield f"{output} (predicts={name!r}{negated}{when})", changed


_OUTPUTS = {
    "data": ("the data", "minus the data"),
    "noise": ("the noise", "minus the noise"),
    "v": ("v = alpha noise - sigma x0", "v = sigma x0 - alpha noise"),
    "flow": ("a velocity noise - x0", "a velocity x0 - noise"),
    "score": ("a score", "minus a score"),
}
"""What a network's output is in words, and negated; by the name of the prediction."""


@dataclass(frozen=True)
class _Changed:
    """The network of a denoiser with a sign at its output, at other times."""

    original: NetworkDenoiser
    sign: float
    time: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        returned = self.original.network(x, self.time(t))
        return self.sign * output_of(returned, x, learned_variance=self.original.learned_variance)
