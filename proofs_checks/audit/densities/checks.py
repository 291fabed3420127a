"""The checks of a step with a log-density: each says in words what is wrong, or nothing.

A cause is named only by a test that finds it. What does not hold for a reason that has been told is not told
again: ratios are looked at where the log-density has passed all that is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from proofs_checks.audit.densities.places import HALF, Place, Reduction, same
from proofs_checks.audit.densities.statistics import LIMIT, correlation, of_mean, of_squares
from proofs_checks.audit.findings import Finding, Severity

_EXACT = 1e-3
"""To what a figure of the log-density alone is known, relative, in single precision."""
_AGAIN = 1e-3
_GRADIENT = 0.01

_LEFT_OUT: dict[str, Callable[[float, float], float]] = {
    "1/(2 d^2)": lambda scale, variance: 2 * scale,
    "1/d^2": lambda scale, variance: scale,
    "1/2": lambda scale, variance: 2 * scale / variance,
}
"""Factors of the squares that a log-density may lack: its precision without, at a scale and a variance."""


def _error(name: str, expected: str, found: str, figure: float | None = None) -> Finding:
    return Finding(name, Severity.error, expected, found, figure)


def _note(name: str, expected: str, found: str, figure: float | None = None) -> Finding:
    return Finding(name, Severity.note, expected, found, figure)


def noise(places: list[Place]) -> Iterator[Finding]:
    """The draws are new numbers for each row and in each element: without them there is no density."""
    expected = "new noise for each state, in all of its elements"
    for place in places:
        calls = place.draws.actions.double()
        inside = float((calls - calls[:, :1]).abs().max())
        if inside == 0:
            between = float((calls - calls[:1]).abs().max())
            said = (
                "all rows of a batch have the same noise" if between else "the step draws no noise"
            )
            yield _error("noise", expected, f"{said}: its next states have no density")
            return
        if calls.shape[0] > 1 and bool((calls[1:] == calls[:1]).all()):
            yield _error("noise", expected, "each call draws the same numbers again")
            return
        if not bool((place.draws.variance > 0).all()):
            yield _error("noise", expected, "some elements have no noise: there is no density")
            return


def normal(places: list[Place]) -> Iterator[Finding]:
    """The draws are independent normals, as the log-density says."""
    if not all(place.is_quadratic for place in places):
        return
    expected = "independent normals for each element of each state"
    for place in places:
        values = place.draws.values
        z = (values - place.draws.mean) / place.draws.variance.sqrt()
        together = z.sum(1) / math.sqrt(place.elements)
        spread = float(together.var()) - 1
        if abs(spread) > LIMIT * math.sqrt(2 / len(z)):
            yield _error("noise", expected, "elements of a state share noise", spread + 1)
            return
        for what, numbers in (("draws", z), ("sizes of the draws", z.abs())):
            times, off = correlation(numbers)
            if off > LIMIT:
                found = (
                    f"the {what} are not independent of each other: squared correlations of elements are "
                    f"{times:.3g} times those of independent ones"
                )
                yield _error("noise", expected, found, times)
                return
        fourth, _, off = of_mean((z**4).mean(1), 3.0)
        if abs(off) > LIMIT:
            found = f"the draws are not normal: their fourth moment is {fourth:.3g} and not 3"
            yield _error("noise", expected, found, fourth)
            return


def action(places: list[Place]) -> Iterator[Finding]:
    """The step takes a given next state as the next state, and gives its log-density."""
    place = places[0]
    some = place.draws.rows[:8]
    expected = "the state that is given, and its log-density"
    with torch.no_grad():
        state, _ = place.at(some, len(some))
        values = [place.at.log_prob(some + k * place.draws.deviation) for k in range(3)]
    if not same(state, some):
        yield _error("action", expected, "prev_sample is not used: the step returns another state")
    elif all(same(value, values[0]) for value in values[1:]):
        found = "prev_sample is not used: the log-density is the same for any next state"
        yield _error("action", expected, found)


def batch(places: list[Place]) -> Iterator[Finding]:
    """The log-density of a state does not depend on the others of its batch."""
    place = places[0]
    some = place.draws.rows[:4]
    together = place.at.log_prob(some).double()
    alone = torch.cat([place.at.log_prob(row[None]).double() for row in some])
    spread = float(place.draws.log_prob.double().std())
    if float((together - alone).abs().max()) > _AGAIN * max(spread, 1e-9):
        yield _error(
            "batch", "one log-density a state", "the log-density of a state depends on its batch"
        )


def half_precision(places: list[Place]) -> Iterator[Finding]:
    """The log-density has the digits that a ratio needs: half precision has not."""
    expected = "a log-density in single or double precision"
    told = torch.cat([place.draws.log_prob.flatten() for place in places])
    for kind in (torch.bfloat16, torch.float16):
        if told.dtype is kind or bool((told.to(kind).to(told.dtype) == told).all()):
            step = float(torch.finfo(kind).eps * told.abs().max())
            name = str(kind).removeprefix("torch.")
            found = f"log-density in half precision ({name}): its values are {step:.2g} apart"
            yield _error("half-precision", expected, found, step)
            return
    scatter = max(place.claim.scatter for place in places)
    if places[0].rounding < scatter < HALF:
        found = (
            f"log-density in half precision inside: it is {scatter:.1e} of its spread off a quadratic, as "
            "where the state or its squares are rounded"
        )
        yield _error("half-precision", expected, found, scatter)


def again(places: list[Place]) -> Iterator[Finding]:
    """The log-density of a drawn state is the same when that state is given."""
    worst = max(place.again for place in places)
    if worst > _AGAIN:
        found = (
            f"the log-density asked again of the same state is another one, by {worst:.2g} of its spread: "
            "ratios of one network do not start at 1"
        )
        yield _error("again", "the same log-density for a state that is given", found, worst)


def form(places: list[Place]) -> Iterator[Finding]:
    """Whether the log-density is one of independent normals, so that it can be looked into exactly."""
    if not all(place.is_quadratic for place in places):
        yield _note(
            "form",
            "a log-density of independent normals",
            "it is another function of the next state: only its ratios and its score are looked at",
        )


def weight(places: list[Place]) -> Iterator[Finding]:
    """The squares are weighted by the variance that the draws have, or that over their number."""
    if not all(place.is_quadratic for place in places):
        return
    if reduction_of(places):
        return
    expected = "squares weighted by 1/(2 d^2), d the deviation of the draws, summed or averaged"
    worst = max(places, key=lambda place: abs(math.log(place.weight / place.assumed)))
    for reduction, scale in worst.scales().items():
        if all(_normalised(p, p.scales()[reduction]) for p in places):
            claimed = float(worst.claim.deviation(scale).square().mean().sqrt())
            error = worst.draws.deviation * worst.weight_error / 2
            found = (
                f"deviation of another step: the log-density has {claimed:.4g}{_averaged(reduction)}, "
                f"the draws {worst.draws.deviation:.4g} ± {error:.1g}"
            )
            yield _error("deviation", expected, found, claimed / worst.draws.deviation)
            return
    for reduction, scale in worst.scales().items():
        for factor in (name for name in _LEFT_OUT if _lacks(places, reduction, name)):
            times = worst.weight / scale
            found = f"a factor {factor} is missing{_averaged(reduction)}: squares count {times:.3g} times"
            yield _error("weight", expected, found, times)
            return
    found = (
        f"squares count {worst.weight:.3g} times what the draws' deviation says, neither once as a sum nor "
        f"{1 / worst.elements:.3g} times as a mean: a factor, or the deviation of another step"
    )
    yield _error("weight", expected, found, worst.weight)


def each_deviation(places: list[Place]) -> Iterator[Finding]:
    """Each element has the deviation that the log-density says."""
    if not all(place.is_quadratic for place in places):
        return
    for place in places:
        relative = place.claim.precision * place.draws.variance / place.weight - 1
        total = float((relative**2).sum()) * place.draws.number / 2
        if of_squares(total, place.elements) > LIMIT:
            worst = float(relative[relative.abs().argmax()])
            found = f"the variance of an element is {1 + worst:.3g} times what the log-density says of it"
            yield _error(
                "deviation", "the deviation of the draws in each element", found, 1 + worst
            )
            return


def mean(places: list[Place]) -> Iterator[Finding]:
    """The mean of the log-density is that of the draws."""
    if not all(place.is_quadratic for place in places):
        return
    for place in places:
        off = (place.claim.mean - place.draws.mean) / place.draws.variance.sqrt()
        total = float((off**2).sum()) * place.draws.number
        if of_squares(total, place.elements) > LIMIT:
            worst = float(off.abs().max())
            found = (
                f"mean of another step: that of the log-density is up to {worst:.3g} deviations off that of "
                f"the draws, known to {1 / math.sqrt(place.draws.number):.1g}"
            )
            yield _error("mean", "the mean of the draws", found, worst)
            return


def normaliser(places: list[Place]) -> Iterator[Finding]:
    """The constant is the one that belongs to the deviation."""
    reduction = reduction_of(places)
    if reduction is None or all(_normalised(p, p.scales()[reduction]) for p in places):
        return
    place = places[0]
    scale = place.scales()[reduction]
    expected = "a constant -log d - log(2 pi)/2 for each element"
    left = _constant_left_out(places, reduction)
    bent = type(place.claim).of(place.at, place.draws, place.bend)
    if float((bent.precision / place.claim.precision - 1).abs().max()) > _EXACT:
        found = f"{left}, though the deviation depends on the network: ratios are wrong"
        yield _error("normaliser", expected, found)
        return
    off = (place.claim.top - place.claim.normaliser(scale)) / (scale * place.elements)
    found = f"{left}: harmless for ratios, since the deviation does not depend on the network"
    yield _note("normaliser", expected, found, off)


def reduction(places: list[Place], asked: Reduction | None) -> Iterator[Finding]:
    """The log-density is a sum or a mean over elements, as asked; which of them is a convention."""
    found = reduction_of(places)
    n = places[0].elements
    if asked is not None and found is not None and found != asked and n > 1:
        yield _error("reduction", f"a {asked} over elements, as asked", f"a {found} over elements")
    elif asked is None and found == "mean":
        yield _note(
            "reduction",
            "a log-density",
            f"mean over pixels (scale 1/n, here 1/{n}): ratios are those of log-densities divided by n",
            1 / n,
        )


def gradient(places: list[Place]) -> Iterator[Finding]:
    """The log-density of a given state is differentiable in the network, and rightly so."""
    place, expected = places[0], "the derivative of the log-density in the network"
    if place.bend == 0:
        found = (
            "the log-density does not depend on the network: its values are detached or not used"
        )
        yield _error("gradient", expected, found)
        return
    some = place.draws.rows[:16]
    slopes, doubt = _slopes(place, some)
    with torch.enable_grad():
        bend = _straight()
        _, density = place.at(some, len(some), bend)
    if not density.requires_grad:
        yield _error("gradient", expected, "gradient detached: the log-density has none")
        return
    times = _along(density, slopes, bend)
    if not _agrees(times, slopes, doubt):
        found = f"the gradient is {times:.3g} times the derivative of the values"
        if abs(times) < _GRADIENT:
            found = "gradient detached: it is 0, and the values change with the network"
        yield _error("gradient", expected, found, times)
        return
    with torch.enable_grad():
        bend = _straight()
        state, density = place.at(None, len(some), bend)
    if density.requires_grad:
        slopes, doubt = _slopes(place, state.detach())
        times = _along(density, slopes, bend)
        if not _agrees(times, slopes, doubt):
            yield Finding(
                "gradient",
                Severity.warning,
                "a drawn state that is detached in its own log-density",
                f"the gradient of a step that draws is {times:.3g} times the score: it runs through the draw",
                times,
            )


def ratio(places: list[Place]) -> Iterator[Finding]:
    """The ratio of a bent network to the straight one has mean 1 over draws."""
    value, error, off = max((place.ratio for place in places), key=lambda found: abs(found[2]))
    if abs(off) > LIMIT:
        found = f"the mean ratio of a changed network is {value:.4g} ± {error:.1g}"
        yield _error("ratio", "mean ratio 1", found, value)


def score(places: list[Place]) -> Iterator[Finding]:
    """The score has mean 0 over draws."""
    value, error, off = max((place.score for place in places), key=lambda found: abs(found[2]))
    if abs(off) > LIMIT:
        found = f"the mean score is {value:.3g} ± {error:.1g} of its deviation"
        yield _error("score", "mean score 0", found, value)


def information(places: list[Place]) -> Iterator[Finding]:
    """The mean square of the score is minus the mean of the second derivative."""
    value, error, off = max(
        (place.information for place in places), key=lambda found: abs(found[2])
    )
    if abs(off) > LIMIT:
        found = f"the score's mean square is {1 + value:.3g} ± {error:.1g} times that"
        yield _error(
            "information", "the mean square of the score is minus its mean derivative", found
        )


Check = Callable[[list[Place]], Iterator[Finding]]

FIRST: dict[str, Check] = {
    "noise": noise,
    "action": action,
    "batch": batch,
    "half-precision": half_precision,
    "again": again,
    "normal": normal,
}
"""Where one of these finds an error, nothing else can be told."""
EXACT: dict[str, Check] = {
    "form": form,
    "weight": weight,
    "deviation": each_deviation,
    "mean": mean,
    "normaliser": normaliser,
    "gradient": gradient,
}
"""What is known to rounding, or within the standard errors of the draws' own mean and deviation."""
LAST: dict[str, Check] = {"ratio": ratio, "score": score, "information": information}
"""Of log-densities in which no error was found."""


def reduction_of(places: list[Place]) -> Reduction | None:
    """Whether the log-density is that of the draws, as a sum or as a mean; None if it is neither."""
    if not all(place.is_quadratic for place in places):
        return None
    for name in places[0].scales():
        if all(place.is_weighted(place.scales()[name]) for place in places):
            return name
    return None


# ------------------------------------------------------------------------------------------- inside


def _near(value: float, expected: float, within: float) -> bool:
    return abs(value / expected - 1) < within


def _lacks(places: list[Place], reduction: Reduction, factor: str) -> bool:
    """Whether that factor is missing, at every place."""
    return all(
        _near(
            float(place.claim.precision.mean()),
            _LEFT_OUT[factor](place.scales()[reduction], float(place.draws.variance.mean())),
            # The variance of the draws is known within its standard error.
            _EXACT + (LIMIT * place.weight_error if factor == "1/2" else 0.0),
        )
        for place in places
    )


def _averaged(reduction: Reduction) -> str:
    return ", in a mean over pixels" if reduction == "mean" else ""


def _normalised(place: Place, scale: float) -> bool:
    off = (place.claim.top - place.claim.normaliser(scale)) / (scale * place.elements)
    return abs(off) < _EXACT


def _constant_left_out(places: list[Place], reduction: Reduction) -> str:
    """In words, what is wrong with a constant."""
    names = {
        "constant log normaliser left out": lambda log, half: 0.0,
        "constant log(2 pi)/2 left out of the normaliser": lambda log, half: -log,
        "log d left out of the normaliser": lambda log, half: -half,
    }
    half = math.log(2 * math.pi) / 2
    for name, value in names.items():
        if all(
            abs(
                place.claim.top / (place.scales()[reduction] * place.elements)
                - value(float(place.claim.deviation(place.scales()[reduction]).log().mean()), half)
            )
            < _EXACT
            for place in places
        ):
            return name
    return "another constant in place of the log normaliser"


def _slopes(place: Place, actions: Tensor) -> tuple[Tensor, float]:
    """The derivative of each log-density in the bend, exact for a quadratic, and how far it may be off."""
    wide, narrow = (_difference(place, actions, bend) for bend in (place.bend, place.bend / 2))
    best = narrow + (narrow - wide) / 3
    return best, float((narrow - wide).abs().sum())


def _difference(place: Place, actions: Tensor, bend: float) -> Tensor:
    up, down = (place.at.log_prob(actions, b).double() for b in (bend, -bend))
    return (up - down) / (2 * bend)


def _straight() -> Tensor:
    return torch.zeros((), dtype=torch.float64, requires_grad=True)


def _along(density: Tensor, slopes: Tensor, bend: Tensor) -> float:
    """The derivative of the log-densities by autograd, in slopes: each with the sign of its own, added up."""
    total = (density.double() * slopes.sign()).sum()
    found = float(torch.autograd.grad(total, bend, materialize_grads=True)[0])
    return found / float(slopes.abs().sum())


def _agrees(times: float, slopes: Tensor, doubt: float) -> bool:
    return abs(times - 1) < _GRADIENT + doubt / float(slopes.abs().sum())
