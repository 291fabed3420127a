"""Whether a model is a denoiser at all, and what it looks like instead.

One fact decides: of all functions of the state the posterior mean is the nearest to the data, so no sum
``a + b x + c D(x)`` is nearer than D(x) itself, at any noise level. With a wrong sign, prediction, schedule
or scaling of time one is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seeds_theory.denoiser import Denoiser, NetworkDenoiser, output_of
from seeds_theory.errors import DenoiserError, ParameterError
from seeds_theory.grids import uniform_log_snr
from seeds_theory.loop import require_denoiser, require_estimate
from seeds_theory.schedule import VarianceExploding
from seeds_theory.solver import Solver
from seeds_theory.sources import seeded_generator

_NUMBERS, _FEWEST = 4096, 8
"""How many numbers and samples show an error beyond its scatter."""

_STEPS = 12
"""Of the ODE that draws data where none are given."""

_SPREADS = [2.0**k for k in range(-3, 4)]
"""Where the levels lie, in deviations of the data."""

_WORSE, _IMPRECISE, _CERTAIN = 1.02, 0.03, 4.0
"""What is no fault: a mean square error by this factor, an error by this share of a state's deviation, or
within so many standard errors."""

_ALIKE, _TOLD = 4.0, 3
"""The factor between distances of alternatives that cannot be told apart, and how many of them are told."""

_HIGH = 1e3
"""Where the ODE starts if levels are higher."""

_COMES_BACK = 0.2
"""The share of pure noise in an estimate of a model that takes it for data."""


def check_denoiser(
    denoiser: Denoiser,
    shape: Sequence[int] | None = None,
    *,
    data: Tensor | None = None,
    sigma_max: float | None = None,
    sigma_min: float = 0.02,
    batch: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> None:
    """Return if a model behaves as a denoiser at every noise level; it is called some thirty times.

    >>> check_denoiser(NetworkDenoiser(network, RectifiedFlow(), "flow"), (3, 32, 32))

    Without data the model draws its own, along the ODE, and is held to what it has drawn; a few samples of
    the true data tell more: a model that leaves some noise in is nearly right about data that are blurred so.
    What changes the data and nothing else, as a constant factor, is not seen. A guided model is no denoiser:
    check what it is made of.

    Parameters
    ----------
    denoiser : ``D(x, sigma)``.
    shape : of one sample; that of the data if they are given.
    data : samples of what the model was trained on, ``(count, *shape)``, as the network sees them: latents,
        in its own scale.
    sigma_max, sigma_min : the ends of the noise levels, far above and far below the width of the data; by
        default 80, or the highest level of the schedule of a `NetworkDenoiser` if that is lower. The first
        may be infinite.
    batch : how many samples to draw; by default 4096 numbers' worth, 8 at least.
    seed : of the noise.
    dtype, device : of the states.

    Raises
    ------
    DenoiserError : it does not, in one line: what was seen, and what the model looks like instead.
    ParameterError : neither a shape nor data, or levels that are none.
    """
    require_denoiser(denoiser)
    if sigma_max is None:
        sigma_max = 80.0
        if isinstance(denoiser, NetworkDenoiser):
            sigma_max = min(sigma_max, denoiser.schedule.highest_level)
    if not 0 < sigma_min < sigma_max:
        raise ParameterError(
            f"levels descend from sigma_max to sigma_min > 0; got {sigma_max:g} and {sigma_min:g}"
        )
    if data is not None:
        data = torch.as_tensor(data).to(device, dtype)
        shape, batch = data.shape[1:], len(data)
    if shape is None:
        raise ParameterError("a model is checked on a shape, as (3, 32, 32), or on data")
    if batch is None:
        batch = max(_FEWEST, math.ceil(_NUMBERS / math.prod(shape)))
    if batch < 2:
        raise ParameterError(f"a check takes two samples or more; got {batch}")
    noises = [
        torch.randn(batch, *shape, generator=seeded_generator(seed, k)).to(device, dtype)
        for k in range(2)
    ]
    trial = _Trial(noises[0], noises[1], data, sigma_max, sigma_min)
    with torch.no_grad():
        try:
            trial.distance(denoiser)
        except _Fault as fault:
            raise DenoiserError(f"{fault}{_instead(trial, denoiser)}") from None


class _Fault(DenoiserError):
    """What no posterior mean does."""


@dataclass(frozen=True)
class _Trial:
    """What models are tried on: unit noises to start from and to add, (batch, *shape), data, and levels."""

    start: Tensor
    added: Tensor
    data: Tensor | None
    sigma_max: float
    sigma_min: float

    def distance(self, denoiser: Denoiser) -> float:
        """How much of a state's square the worst estimate is further off than it had to be.

        Raises
        ------
        _Fault : too much to be a posterior mean.
        """
        self._require_noise_removed(denoiser)
        data = self._drawn(denoiser) if self.data is None else self.data
        if not bool(data.isfinite().all()):
            raise _Fault("its samples are not finite: no posterior mean")
        variance = float(data.double().var(correction=0))
        return max(
            self._excess(denoiser, data, level, variance) for level in self._levels(variance)
        )

    def _require_noise_removed(self, denoiser: Denoiser) -> None:
        high = self.sigma_max
        scale = high if math.isfinite(high) else 1.0
        estimate = _estimate(denoiser, scale * self.start, high)
        back = float((estimate * self.start).mean() / self.start.square().mean()) / scale
        if not abs(back) < _COMES_BACK:
            raise _Fault(
                f"of pure noise at sigma = {high:g} the share {back:.2g} comes back: no posterior mean of "
                "data far narrower than that"
            )

    def _drawn(self, denoiser: Denoiser) -> Tensor:
        """The model's own data, along the ODE."""
        high = min(self.sigma_max, _HIGH)
        grid = uniform_log_snr(high, self.sigma_min, _STEPS)
        return Solver("seeds-2")(denoiser, high * self.start, grid, eta=0.0)

    def _levels(self, variance: float) -> list[float]:
        inner = (math.sqrt(variance) * spread for spread in _SPREADS)
        between = {level for level in inner if self.sigma_min < level < self.sigma_max}
        return sorted({self.sigma_min, self.sigma_max} | between)

    def _excess(self, denoiser: Denoiser, data: Tensor, level: float, variance: float) -> float:
        """The distance at one level."""
        finite = math.isfinite(level)
        x = data + level * self.added if finite else self.added
        square = variance + level**2 if finite else 1.0
        estimate = _estimate(denoiser, x, level)
        ours, best = _errors(estimate, data), _errors(_combined(x, estimate, data), data)
        beyond = ours - _WORSE * best - _IMPRECISE**2 * square
        if not float(beyond.mean()) <= _CERTAIN * float(beyond.std()) / math.sqrt(len(beyond)):
            raise _Fault(
                f"at sigma = {level:.3g} its estimates are off by {float(ours.mean()) ** 0.5:.3g}, where a "
                f"sum of them and the state is by {float(best.mean()) ** 0.5:.3g}: no posterior mean"
            )
        return float((ours - best).mean()) / square


def _estimate(denoiser: Denoiser, x: Tensor, level: float) -> Tensor:
    estimate = denoiser(x, level)
    require_estimate(estimate, x, level)
    return estimate.double()


def _combined(x: Tensor, estimate: Tensor, data: Tensor) -> Tensor:
    """The sum ``a + b x + c estimate`` that is nearest to the data."""
    terms = [torch.ones_like(estimate), x.double(), estimate]
    columns = torch.stack([term.flatten() for term in terms], dim=1)
    weights = torch.linalg.lstsq(columns, data.double().reshape(-1, 1), driver="gelsd").solution
    return (columns @ weights).reshape(data.shape)


def _errors(estimate: Tensor, data: Tensor) -> Tensor:
    """Mean square errors of each sample, (batch,)."""
    return (estimate - data).double().square().flatten(1).mean(1)


def _instead(trial: _Trial, denoiser: Denoiser) -> str:
    """What the output of a model with a fault behaves like, as the end of a sentence."""

    def distance(other: Denoiser) -> float:
        try:
            return trial.distance(other)
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
