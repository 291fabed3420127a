"""Checks of how a sampler behaves: grids, dtypes, batches, seeds, callbacks, inputs.

Each runs the sampler a few times on Gaussian data, with noise from a table: the same number of a draw
and the same sample always get the same noise, whatever the batch.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.affine import AffineMap, BatchDependent, LinearModel
from proofs_checks.audit.correlations import largest_correlation
from proofs_checks.audit.draws import USED
from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.measure import MEANS, SIGMA_MAX, SIGMA_MIN, VARIANCES, grid
from proofs_checks.audit.protocol import (
    SEED,
    Model,
    Noise,
    NotAffine,
    Refused,
    SamplerFailure,
    Target,
    call,
)
from proofs_checks.audit.subject import Subject
from seeds_theory.sources import seeded_generator

_STEPS = 12
_BATCH, _MANY = 3, 10


class TableNoise:
    """Noise from a table of draws: of a batch of `of`, the given samples."""

    def __init__(
        self, samples: slice = slice(None), of: int = _BATCH, injects: bool = True
    ) -> None:
        self.injects = injects
        self._samples, self._of, self._asked = samples, of, 0

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        """The next row of the table."""
        self._asked += 1
        return self._entry(0, self._asked, like)

    def draw(self, number: int, like: Tensor) -> Tensor:
        """The row of that number."""
        return self._entry(1, number - USED, like)

    def _entry(self, table: int, number: int, like: Tensor) -> Tensor:
        # A draw of another shape is refused where the sampler is probed; here it does no harm.
        generator = seeded_generator(number, table)
        shape = (self._of, *like.shape[1:])
        values = torch.randn(shape, generator=generator, dtype=torch.float64)[self._samples]
        return values.to(like) if values.shape == like.shape else torch.zeros_like(like)


def _start(batch: int = _BATCH, seed: int = 1) -> Tensor:
    unit = torch.randn(batch, len(MEANS), 1, 1, generator=seeded_generator(seed, 2)).double()
    deviation = (VARIANCES + SIGMA_MAX**2).sqrt()
    return MEANS[:, None, None] + deviation[:, None, None] * unit


def _grid(target: Target, steps: int = _STEPS) -> list[float]:
    """Equal steps, or the sampler's own."""
    return target.levels(steps) if target.levels else grid(steps)


def _run(
    target: Target,
    x: Tensor,
    sigmas: list[float] | Tensor,
    noise: Noise | None = None,
    model: Model | None = None,
    **more: Any,
) -> Tensor:
    levels = torch.as_tensor(sigmas, dtype=x.dtype)
    given = model or LinearModel(MEANS, VARIANCES)
    return call(target, given, x, levels, noise or TableNoise(), **more)


def _apart(first: Tensor, second: Tensor) -> float:
    """The largest difference of final states, in their exact standard deviations."""
    deviations = (VARIANCES + SIGMA_MIN**2).sqrt()[:, None, None]
    return float(((first - second) / deviations).abs().max())


def runs(subject: Subject) -> Iterator[Finding]:
    """That it returns finite states of the right shape; a failure is reported by the audit itself."""
    x = _start()
    result = _run(subject.target, x, _grid(subject.target))
    if result.dtype != x.dtype:
        yield subject.finding(
            Severity.warning, f"states of {x.dtype}, as given", f"states of {result.dtype}"
        )


def _claims(subject: Subject, sigmas: list[float]) -> bool:
    """Whether the sampler is claimed to take a grid like this: by its user, or since it declares its orders.

    A longer grid that ends above 0 is what every sampler takes.
    """
    said = subject.expectation
    to_zero, short = sigmas[-1] == 0, len(sigmas) <= 3
    every = subject.target.declared is not None
    return every or ((said.zero or not to_zero) and (said.one_step or not short))


def short_grids(subject: Subject) -> Iterator[Finding]:
    """One step and two, and grids that end at 0: a result, or a refusal where they are not claimed."""
    grids = {
        "one step": [SIGMA_MAX, SIGMA_MIN],
        "two steps": [SIGMA_MAX, 1.0, SIGMA_MIN],
        "one step to 0": [SIGMA_MAX, 0.0],
        "two steps to 0": [SIGMA_MAX, 1.0, 0.0],
    }
    for name, sigmas in grids.items():
        try:
            _run(subject.target, _start(), sigmas)
        except NotAffine:
            raise
        except SamplerFailure as failure:
            if isinstance(failure, Refused) and not _claims(subject, sigmas):
                continue
            yield subject.finding(Severity.error, f"a result for {name}", str(failure))


def _probe_to_zero(subject: Subject, variances: Tensor, sigmas: list[float]) -> AffineMap | None:
    """What the sampler does on a grid that ends at 0; None if it refuses that, and may."""
    try:
        return subject.measurement.probe(sigmas, variances)
    except Refused:
        if _claims(subject, sigmas):
            raise
        return None


def grid_to_zero(subject: Subject) -> Iterator[Finding]:
    """A grid that ends at 0 gives the data's own law, as nearly as one that ends just above it."""
    steps = 128
    levels = [*grid(steps), 0.0]
    response = _probe_to_zero(subject, VARIANCES, levels)
    if response is None:
        return
    start = VARIANCES + SIGMA_MAX**2
    deviation = (response.gain.square() * start + response.noise_variance).sqrt()
    wide = VARIANCES > 0.05  # on narrower data the last estimate itself is narrower than the data
    off = float((deviation / VARIANCES.sqrt() - 1)[wide].abs().max())
    usual = float(subject.measurement.law_errors(subject.measurement.map(steps)).abs().max())
    if off > 2 * usual + 0.01:
        yield subject.finding(
            Severity.error,
            f"the data's law from a grid that ends at 0, to {2 * usual + 0.01:.2g}",
            f"deviations off by {off:.2g}",
            off,
        )

    # One step from a level far above 0: what is not taken there leaves its noise.
    point = torch.full_like(VARIANCES, 1e-12)
    response = _probe_to_zero(subject, point, [SIGMA_MAX, 1.0, 0.0])
    if response is None:
        return
    left = float((response.gain.square() * SIGMA_MAX**2 + response.noise_variance).sqrt().max())
    if left > 0.1:
        yield subject.finding(
            Severity.error,
            "no noise left at level 0",
            f"noise of {left:.2g} left from the level 1 before it",
            left,
        )


def last_level(subject: Subject) -> Iterator[Finding]:
    """The state returned is at the last level: another last level gives another state."""
    for steps in (1, _STEPS, _STEPS + 1):
        *levels, last = grid(steps)
        try:
            ends = [_run(subject.target, _start(), [*levels, at]) for at in (last, 0.5 * last)]
        except SamplerFailure:
            if steps == 1:  # another check says so
                continue
            raise
        if torch.equal(*ends):
            yield subject.finding(
                Severity.error,
                f"the state at the last level, sigma {last:.4g}, of {steps} steps",
                "a state that does not depend on it: a step is missing at the end",
            )
            return


def first_call(subject: Subject) -> Iterator[Finding]:
    """The model is first asked about the state it starts from, at its own level."""
    levels = _grid(subject.target)
    model = LinearModel(MEANS, VARIANCES)
    _run(subject.target, _start(), levels, model=model)
    if model.levels and model.levels[0] < levels[0] * (1 - 1e-3):  # churn starts above it
        yield subject.finding(
            Severity.warning,
            f"the first model call at the first level, sigma {levels[0]:.4g}, or above",
            f"it is at sigma {model.levels[0]:.4g}",
            model.levels[0],
        )


def model_calls(subject: Subject) -> Iterator[Finding]:
    """The model is given sigma of shape (batch,) and, each time, all of extra_args."""
    extra, linear = {"seed": SEED, "condition": object()}, LinearModel(MEANS, VARIANCES)
    shapes: set[tuple[int, ...]] = set()
    handed_on = []

    def model(x: Tensor, sigma: Tensor, **given: object) -> Tensor:
        shapes.add(tuple(torch.as_tensor(sigma).shape))
        handed_on.append(given == extra)
        return linear(x, sigma)

    _run(subject.target, _start(), _grid(subject.target), model=model, extra_args=dict(extra))
    if "extra_args" in subject.target.keywords and not all(handed_on):
        yield subject.finding(
            Severity.error,
            "a model that is given extra_args in every call",
            f"extra_args reach {sum(handed_on)} of {len(handed_on)} calls",
            sum(handed_on),
        )
    if shapes - {(_BATCH,)}:
        yield subject.finding(
            Severity.warning,
            f"sigma of shape {(_BATCH,)} for the model, one a sample",
            f"sigma of shape {', '.join(map(str, sorted(shapes)))}",
        )


def single_precision(subject: Subject) -> Iterator[Finding]:
    """float32 states stay float32 and end where float64 states do, to 1e-4, on the same noise."""
    wide = _run(subject.target, _start(), _grid(subject.target))
    narrow = _run(subject.target, _start().float(), _grid(subject.target))
    if narrow.dtype != torch.float32:
        yield subject.finding(
            Severity.warning, "float32 states from float32 states", f"states of {narrow.dtype}"
        )
    off = _apart(narrow.double(), wide)
    if off > 1e-4:
        yield subject.finding(
            Severity.error, "float32 and float64 to agree to 1e-4", f"they differ by {off:.2g}", off
        )
    if torch.equal(_run(subject.target, _start().float().double(), _grid(subject.target)), wide):
        yield subject.finding(
            Severity.note,
            "float64 states worked on in float64",
            "the result of states rounded to float32: single precision inside",
        )


def batch(subject: Subject) -> Iterator[Finding]:
    """A sample does not depend on the others in its batch: asked first, as figures are read off batches."""
    if _draws_by_sample(subject.target):
        subject.batch_dependent = BatchDependent(0.0)
        yield subject.finding(
            Severity.note,
            "noise drawn for a batch at once, as figures are read off one",
            "noise of one sample at a time: its figures are those of single samples",
        )
        return
    off = _batch_difference(subject.target)
    if off > 1e-9 and _repeats(subject.target):
        subject.batch_dependent = BatchDependent(off)
        yield subject.finding(
            Severity.error,
            "the same sample alone and in a batch, on the same noise",
            f"a difference of {off:.2g} deviations: no figure of a batch is the sampler's",
            off,
        )


class _Counted(TableNoise):
    """Counts the draws that have the numbers of one sample."""

    of_one = 0

    def draw(self, number: int, like: Tensor) -> Tensor:
        """The row of that number."""
        self.of_one += like.numel() == len(MEANS)
        return super().draw(number, like)


def _draws_by_sample(target: Target) -> bool:
    """Whether it draws as much noise for each sample of a batch as for a sample alone."""
    alone, together = (_Counted(of=size, injects=False) for size in (1, _BATCH))
    try:
        for noise, size in ((together, _BATCH), (alone, 1)):
            _run(target, _start(size), _grid(target), noise)
            if not noise.of_one:
                return False
    except SamplerFailure:  # it needs the noise sampler, or another check says so
        return False
    return together.of_one == _BATCH * alone.of_one


def _repeats(target: Target) -> bool:
    """Whether the same call gives the same result again; if not, the batch is not what changes it."""
    first, second = (_run(target, _start(), _grid(target)) for _ in range(2))
    return _apart(first, second) <= 1e-9


def _batch_difference(target: Target) -> float:
    """The largest change of a sample's result in a batch, with noise injected and of its own."""
    largest = 0.0
    for size in (_BATCH, _MANY):
        # Far apart, so that a choice made for all shows.
        scales = torch.logspace(-1, 1, size, dtype=torch.float64).reshape(size, 1, 1, 1)
        x = scales * _start(size)
        for injects in (True, False) if target.takes_noise_sampler else (False,):
            noise = TableNoise(of=size, injects=injects)
            try:
                together = _run(target, x, _grid(target), noise)
            except SamplerFailure:
                if injects or not target.takes_noise_sampler:
                    raise
                continue  # it needs the noise sampler, and another check says so
            for i in range(size):
                row = slice(i, i + 1)
                alone = _run(target, x[row], _grid(target), TableNoise(row, size, injects))
                largest = max(largest, _apart(alone, together[row]))
    return largest


_EVENTS = {"images": (3, 8, 8), "sequences": (24, 8), "vectors": (192,)}
_VARIANCE = 1.0


def shapes(subject: Subject) -> Iterator[Finding]:
    """Images, sequences and vectors of the same numbers end in the same numbers."""
    batch = 1 if subject.batch_dependent else _BATCH
    unit = torch.randn(batch, 192, generator=seeded_generator(1, 4), dtype=torch.float64)
    start = (_VARIANCE + SIGMA_MAX**2) ** 0.5 * unit

    def end(event: tuple[int, ...]) -> Tensor:
        x, noise = start.reshape(batch, *event), TableNoise(of=batch)
        found = _run(subject.target, x, _grid(subject.target), noise, model=_scalar_model)
        return found.reshape(batch, 192)

    expected = end((192, 1, 1))
    for name, event in _EVENTS.items():
        severity = Severity.error if name == "images" else Severity.note
        try:
            found = end(event)
        except NotAffine:
            raise
        except SamplerFailure as failure:
            yield subject.finding(severity, f"a result for {name}, {event}", str(failure))
            continue
        off = float((found - expected).abs().max() / (_VARIANCE + SIGMA_MIN**2) ** 0.5)
        if off > 1e-9:
            yield subject.finding(
                Severity.error,
                f"the same numbers for {name}, {event}, as for (192, 1, 1)",
                f"a difference of {off:.2g} deviations",
                off,
            )


def _scalar_model(x: Tensor, sigma: Tensor, **_: object) -> Tensor:
    level = torch.as_tensor(sigma, dtype=torch.float64).reshape(-1, *[1] * (x.ndim - 1))
    return (_VARIANCE / (_VARIANCE + level.square())).to(x) * x


def correlated_noise(subject: Subject) -> Iterator[Finding]:
    """Noise is independent over the pixels, channels and samples of images, and over steps."""
    with contextlib.suppress(SamplerFailure):  # noise may be what fails elsewhere
        if subject.measurement.deterministic:
            return
    for injects in (True, False) if subject.target.takes_noise_sampler else (False,):
        found = largest_correlation(subject.target, injects=injects)
        if found:
            whose = "of the noise_sampler's" if injects else "of its own"
            yield subject.finding(
                Severity.error,
                "independent noise for all numbers of a batch of images, in every step",
                f"noise {whose} with a correlation of {found}",
                found.value,
            )
            return


def mixture(subject: Subject) -> Iterator[Finding]:
    """Of a sampler that is not affine, the error of its law on a mixture, inside and outside [-1, 1]."""
    measured = subject.measurement
    try:
        measured.map(measured.steps[0])
        subject.curved_even.chain(subject.curved_even.steps[0])
    except NotAffine:
        found = subject.mixture
    else:
        return
    if found.inside.vanishes and found.outside.vanishes:
        severity, what = Severity.note, "right on both"
    elif found.inside.vanishes:
        severity, what = (
            Severity.warning,
            "data beyond [-1, 1] are bent, as by a clamp or threshold",
        )
    else:
        severity, what = Severity.error, "wrong on both" if not found.outside.vanishes else "wrong"
    yield subject.finding(
        severity,
        "the law of a mixture, where no exact figure can be had",
        f"off by {found.inside} deviations on data inside [-1, 1], by {found.outside} on data four times "
        f"as wide: {what}",
        found.outside.value,
    )


class _Watched(TableNoise):
    """Notes whether the numbers that made the initial state are drawn again."""

    repeats = False

    def draw(self, number: int, like: Tensor) -> Tensor:
        """The row of that number."""
        self.repeats |= number == USED
        return super().draw(number, like)


def initial_noise(subject: Subject) -> Iterator[Finding]:
    """The sampler's own noise is not that of the initial state, also if it is told the seed."""
    noise = _Watched(injects=False)
    _run(subject.target, _start(), _grid(subject.target), noise, extra_args={"seed": SEED})
    if noise.repeats and not subject.measurement.deterministic:
        yield subject.finding(
            Severity.error,
            "noise independent of the initial state",
            "a generator seeded like the one that drew the initial state: its numbers come again",
        )


@contextlib.contextmanager
def _other_generators(seed: int) -> Iterator[None]:
    """Seed the global generators that are not torch's, and restore them."""
    before = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before[0])  # noqa: NPY002
        random.setstate(before[1])


def hidden_randomness(subject: Subject) -> Iterator[Finding]:
    """All random numbers are torch's normals or the noise sampler's: no others change the result."""
    for injects in (True, False):
        first, again, other = (_with_generators(subject.target, n, injects) for n in (1, 1, 2))
        off = max(_apart(first, again), _apart(first, other))
        if off > 1e-9:
            kept = _apart(first, again) > 1e-9
            yield subject.finding(
                Severity.error,
                "the same states from the same normals",
                f"states that differ by {off:.2g} deviations: "
                + (
                    "it keeps something from one run to the next, or draws what no seed sets"
                    if kept
                    else "it draws numbers that are not normals of torch"
                ),
                off,
            )
            return


def _with_generators(target: Target, seed: int, injects: bool) -> Tensor:
    with _other_generators(seed):
        return _run(target, _start(), _grid(target), TableNoise(injects=injects), seed=seed)


class _TorchNoise:
    """Lets torch's own numbers through."""

    injects = False

    def stretch(self, sigma: float, sigma_next: float, like: Tensor) -> Tensor:
        raise NotImplementedError  # none is injected

    def draw(self, number: int, like: Tensor) -> Tensor:
        return like


def repeated_noise(subject: Subject) -> Iterator[Finding]:
    """Two runs have different noise: no generator is seeded with a constant."""
    first, second = (
        _run(subject.target, _start(), _grid(subject.target), _TorchNoise(), seed=seed)
        for seed in (1, 2)
    )
    if not subject.measurement.deterministic and torch.equal(first, second):
        yield subject.finding(
            Severity.error,
            "other noise after another seed of torch",
            "the same noise: its generator is seeded with a constant, so all batches share it",
        )


def seeds(subject: Subject) -> Iterator[Finding]:
    """A stochastic sampler lets its noise be given, so that each sample can have a seed of its own."""
    if not subject.measurement.deterministic and not subject.target.takes_noise_sampler:
        yield subject.finding(
            Severity.note,
            "a noise_sampler parameter",
            "none: no seed per sample, no path shared by step sizes",
        )


def eta_zero(subject: Subject) -> Iterator[Finding]:
    """At eta = 0 noise has no effect; a sampler may refuse it."""
    if "eta" not in subject.target.keywords:
        return
    try:
        response = subject.measurement.probe(_grid(subject.target), eta=0.0)
    except Refused as refusal:
        yield subject.finding(Severity.note, "a result at eta = 0, for the ODE", str(refusal))
        return
    variance = VARIANCES + SIGMA_MIN**2
    if not response.deterministic(variance.sqrt()):
        share = float((response.noise_variance / variance).max())
        yield subject.finding(
            Severity.error, "no noise at eta = 0", f"noise is {share:.2g} of the variance", share
        )


_KEYS = ("x", "i", "sigma", "sigma_hat", "denoised")


def callback(subject: Subject) -> Iterator[Finding]:
    """The callback is called once a step, in order, with x, i, sigma, sigma_hat and denoised."""
    if "callback" not in subject.target.keywords:
        if not subject.target.costly:  # the protocol of a pipe has none
            yield subject.finding(Severity.note, "a callback parameter", "none: no previews")
        return
    seen: list[dict[str, Any]] = []
    x, levels = _start(), _grid(subject.target)
    _run(subject.target, x, levels, callback=seen.append)
    if not all(isinstance(call, dict) for call in seen):
        yield subject.finding(
            Severity.warning, f"a dictionary with {', '.join(_KEYS)}", f"{type(seen[0]).__name__}"
        )
        return
    indices = [call.get("i") for call in seen]
    if indices != list(range(_STEPS)):
        yield subject.finding(
            Severity.warning,
            f"{_STEPS} calls of the callback, i = 0 to {_STEPS - 1}",
            f"{len(seen)} calls"
            + (f", i = {', '.join(map(str, indices[:4]))} ..." if seen else ""),
            len(seen),
        )
        return
    missing = [key for key in _KEYS if key not in seen[0]]
    if missing:
        yield subject.finding(
            Severity.warning, f"a dictionary with {', '.join(_KEYS)}", f"no {', '.join(missing)}"
        )
        return
    wrong = [
        level
        for call, level in zip(seen, levels[:-1], strict=True)
        if (_double(call["sigma"]) - level).abs().max() > 1e-3 * level
    ]
    if wrong:
        yield subject.finding(Severity.warning, "sigma of each step's start", "other levels")
    model = LinearModel(MEANS, VARIANCES)
    expected = [model(_double(call["x"]), _double(call["sigma_hat"])) for call in seen]
    if not all(
        torch.allclose(_double(call["denoised"]), estimate)
        for call, estimate in zip(seen, expected, strict=True)
    ):
        yield subject.finding(
            Severity.warning,
            "denoised to be the model's estimate for x at sigma_hat",
            "denoised is another one",
        )


def _double(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def inputs(subject: Subject) -> Iterator[Finding]:
    """The states, the grid and extra_args are not changed."""
    x, sigmas = _start(), torch.tensor(_grid(subject.target), dtype=torch.float64)
    extra: dict[str, Any] = {"seed": SEED}
    given = {"x": x, "sigmas": sigmas}
    before = {name: value.clone() for name, value in given.items()}
    _run(subject.target, x, sigmas, extra_args=extra)
    changed = [name for name, value in given.items() if not torch.equal(value, before[name])]
    if extra != {"seed": SEED}:
        changed.append("extra_args")
    if changed:
        yield subject.finding(
            Severity.error, "inputs left as they are", f"changes {', '.join(changed)} in place"
        )
