"""What a sampler of the library does on a case, number by number: its model calls, its noise, its states."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from proofs_checks.pipe import NoiseRequest
from seeds_theory.kdiffusion import with_nodes
from seeds_theory.loop import StepInfo
from seeds_theory.plan import Interval
from seeds_theory.solver import Solver
from toy_models.gaussian import Gaussian
from toy_models.mixture import GaussianMixture

_GOLDEN = (5**0.5 - 1) / 2


def chosen(method: str, options: Mapping[str, Any]) -> Solver:
    """The solver of a method with options as they stand in a run; nodes are a list of numbers.

    Raises
    ------
    UnknownNameError, ParameterError, TableauError : the name or an option; each lists what is known.
    """
    own = dict(options)
    name = with_nodes(method, *own.pop("nodes", ())).name
    return Solver(name, own)


def mixture(record: Mapping[str, Any]) -> GaussianMixture:
    """The model of the vectors: independent coordinates in each component.

    record : weights (K,), means and deviations (K, d).
    """
    pairs = zip(record["means"], record["deviations"], strict=True)
    components = [
        Gaussian(torch.tensor(mean), torch.tensor(deviation, dtype=torch.float64).square())
        for mean, deviation in pairs
    ]
    return GaussianMixture(record["weights"], components)


def requests(intervals: Sequence[Interval]) -> Iterator[NoiseRequest]:
    """The intervals of a step, those of one stretch in one request."""
    for _, group in itertools.groupby(
        intervals, lambda i: (i.sigma, i.sigma_next, i.form, i.eta, i.path, i.area)
    ):
        first, *others = group
        yield NoiseRequest(
            first.sigma,
            first.sigma_next,
            1 + len(others),
            first.form.name,
            first.path,
            first.area,
        )


def normals(start: int) -> Iterator[float]:
    """Numbers of a normal law, with three decimals: its quantiles at multiples of the golden ratio."""
    for k in itertools.count(start):
        yield round(NormalDist().inv_cdf((k + 0.5) * _GOLDEN % 1), 3)


def record(
    method: str,
    options: Mapping[str, Any],
    sigmas: Sequence[float],
    model: GaussianMixture,
    x: Sequence[Sequence[float]],
    numbers: Iterator[float],
) -> dict[str, Any]:
    """Run a sampler; returns its noise with the normals answered, its calls and its states."""
    noise: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    states: list[Any] = []

    def source(intervals: Sequence[Interval], like: Tensor) -> Tensor:
        rows = []
        for request in requests(intervals):
            count = request.degree * like.numel()
            drawn = torch.tensor(list(itertools.islice(numbers, count)), dtype=torch.float64)
            values = drawn.reshape(request.degree, *like.shape)
            noise.append(request.to_json() | {"values": values.tolist()})
            rows.append(values)
        return torch.cat(rows)

    def denoiser(x: Tensor, sigma: float) -> Tensor:
        calls.append({"sigma": float(sigma), "x": x.tolist()})
        return model(x, sigma)

    def callback(step: StepInfo) -> None:
        states.append(step.x.tolist())

    start = torch.tensor(x, dtype=torch.float64)
    result = chosen(method, options)(denoiser, start, sigmas, source, callback=callback)
    return {"noise": noise, "calls": calls, "states": states, "result": result.tolist()}
