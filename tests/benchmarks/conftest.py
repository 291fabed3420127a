"""Ratios of interleaved runs, and the record of them that the book shows."""

import importlib.metadata
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

ROWS = pytest.StashKey[list[dict[str, Any]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, help="write the ratios to this file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--record")
    if path:
        threads = torch.get_num_threads()
        record = {
            "command": f"OMP_NUM_THREADS={threads} pytest tests/benchmarks --record {path}",
            "machine": f"{platform.machine()} CPU, threads of torch: {threads}",
            "versions": {name: _version(name) for name in ("torch", "k-diffusion", "diffusers")},
            "rows": session.config.stash[ROWS],
        }
        path.write_text(json.dumps(record, indent=1) + "\n")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for row in config.stash[ROWS]:
        terminalreporter.write_line(", ".join(f"{name}: {value}" for name, value in row.items()))


@pytest.fixture
def record(benchmark: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """``record(**row)`` adds a row to the record, of the group that is the file's name."""
    group = request.path.stem.removeprefix("test_")

    def add(**row: Any) -> None:
        benchmark.extra_info.update(row)
        request.config.stash[ROWS].append({"group": group, **row})

    return add


@pytest.fixture
def compare(benchmark: Any, record: Callable[..., None]) -> Callable[..., float]:
    """``compare(ours, peer, **labels)``: the median of the ratios of their times, run in turn.

    The record also has the quartiles of the ratios, and the median times in milliseconds.
    """

    def ratio(
        ours: Callable[[], Any], peer: Callable[[], Any], /, rounds: int = 51, **labels: str
    ) -> float:
        ours(), peer()
        times = [(_seconds(ours), _seconds(peer)) for _ in range(rounds)]
        low, median, high = statistics.quantiles((a / b for a, b in times), n=4)
        milliseconds = [1e3 * statistics.median(column) for column in zip(*times, strict=True)]
        row = {"ratio": median, "low": low, "high": high}
        row |= {"ours_ms": milliseconds[0], "peer_ms": milliseconds[1]}
        record(**labels, **{name: round(value, 4) for name, value in row.items()})
        benchmark.pedantic(ours, rounds=1)
        return median

    return ratio


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _seconds(function: Callable[[], Any]) -> float:
    start = _processor_time()
    function()
    return _processor_time() - start


def _processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
