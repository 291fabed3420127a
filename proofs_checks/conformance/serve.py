"""Any sampler of the library as a program behind a pipe: the protocol's other side, in Python."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any, TextIO

import torch
from torch import Tensor

from proofs_checks.conformance.recording import chosen, requests
from proofs_checks.conformance.vectors import field, numbers
from proofs_checks.pipe import NoiseRequest
from seeds_theory.errors import ParameterError


class _EndOfInput(Exception):
    """The client has gone in the middle of a run."""


class Client:
    """Who is at the other end: one message a line in both directions."""

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self._source, self._sink = source, sink

    def read(self) -> Any:
        """The next message; None at the end of the input. Raises ValueError for what is no JSON."""
        line = self._source.readline()
        if not line:
            return None
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError("a line that is no JSON") from None

    def write(self, message: dict[str, Any]) -> None:
        """Send a message at once."""
        self._sink.write(json.dumps(message, allow_nan=False) + "\n")
        self._sink.flush()

    def ask(self, message: dict[str, Any], answer: str, shape: tuple[int, ...]) -> Tensor:
        """Send a request; returns the numbers of its answer, of that shape, or raises ValueError."""
        self.write(message)
        found = self.read()
        if found is None:
            raise _EndOfInput
        return torch.from_numpy(numbers(found, answer, shape))

    def denoised(self, x: Tensor, sigma: float) -> Tensor:
        """The model's estimate."""
        return self.ask({"denoise": {"x": x.tolist(), "sigma": sigma}}, "denoised", (*x.shape,))

    def noise(self, request: NoiseRequest, like: Tensor) -> Tensor:
        """The normals of a stretch (degree, batch, numbers)."""
        return self.ask({"noise": request.to_json()}, "noise", (request.degree, *like.shape))


def serve(default: str | None = None) -> None:
    """Serve runs on standard input and output until the input ends.

    default : the method of a run whose options name none.
    """
    client, going_on = Client(sys.stdin, sys.stdout), True
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(_EndOfInput, BrokenPipeError):
        while going_on:
            going_on = _serve_next(client, default)


def _serve_next(client: Client, default: str | None) -> bool:
    """Serve a run; one that cannot be is answered with an error. False at the end of the input."""
    try:
        message = client.read()
        if message is None:
            return False
        answer = {"result": _result(client, field(message, "run", dict), default)}
        client.write(answer)
    except (ValueError, TypeError) as error:  # typed errors of the library are ValueErrors
        client.write({"error": str(error)})
    return True


def _result(client: Client, run: dict[str, Any], default: str | None) -> list[Any]:
    options = dict(field(run, "options", dict))
    method = options.pop("method", default)
    if not isinstance(method, str):
        raise ParameterError('name a method in the options, as {"method": "seeds-3"}')
    if "nodes" in options:
        numbers(options, "nodes", (None,))
    solver = chosen(method, options)
    result: Tensor = solver(
        client.denoised,
        torch.from_numpy(numbers(run, "x", (None, None))),
        numbers(run, "sigmas", (None,)).tolist(),
        lambda intervals, x: torch.cat([client.noise(r, x) for r in requests(intervals)]),
    )
    found: list[Any] = result.tolist()
    return found
