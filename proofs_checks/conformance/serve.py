"""Any sampler of the library as a program behind a pipe: the protocol's other side, in Python."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any, TextIO

import torch
from torch import Tensor

from proofs_checks.conformance.recording import chosen, requests
from proofs_checks.pipe import NoiseRequest
from seeds_theory.errors import SeedsError


class _EndOfInput(Exception):
    """The client has gone in the middle of a run."""


class Client:
    """Who is at the other end: one message a line in both directions."""

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self._source, self._sink = source, sink

    def read(self) -> dict[str, Any] | None:
        """The next message; None at the end of the input."""
        line = self._source.readline()
        return json.loads(line) if line else None

    def write(self, message: dict[str, Any]) -> None:
        """Send a message at once."""
        self._sink.write(json.dumps(message, allow_nan=False) + "\n")
        self._sink.flush()

    def ask(self, message: dict[str, Any], answer: str) -> Tensor:
        """Send a request; returns the numbers of its answer."""
        self.write(message)
        found = self.read()
        if found is None:
            raise _EndOfInput
        return torch.tensor(found[answer], dtype=torch.float64)

    def denoised(self, x: Tensor, sigma: float) -> Tensor:
        """The model's estimate."""
        return self.ask({"denoise": {"x": x.tolist(), "sigma": sigma}}, "denoised")

    def noise(self, request: NoiseRequest) -> Tensor:
        """The normals of a stretch."""
        return self.ask({"noise": request.to_json()}, "noise")


def serve(default: str | None = None) -> None:
    """Serve runs on standard input and output until the input ends.

    default : the method of a run whose options name none.
    """
    client = Client(sys.stdin, sys.stdout)
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(_EndOfInput, BrokenPipeError):
        while (message := client.read()) is not None:
            client.write(_answer(client, message["run"], default))


def _answer(client: Client, run: dict[str, Any], default: str | None) -> dict[str, Any]:
    options = dict(run["options"])
    method = options.pop("method", default)
    if method is None:
        return {"error": 'name a method in the options, as {"method": "seeds-3"}'}
    x = torch.tensor(run["x"], dtype=torch.float64)
    try:
        solver = chosen(method, options)
        result = solver(
            client.denoised,
            x,
            run["sigmas"],
            lambda intervals, _: torch.cat([client.noise(r) for r in requests(intervals)]),
        )
    except SeedsError as error:
        return {"error": str(error)}
    return {"result": result.tolist()}
