"""A run's limit in time of the processor, its children's included, and the limit by the clock above it."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time

import pytest
import samplers as s
import torch

from proofs_checks.audit import check, limits
from proofs_checks.audit.limits import TimeUp, processor_time, time_limit

BUSY = [sys.executable, "-S", "-c", "while True: pass"]


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLOCK_SHARE", math.inf)


def spin() -> None:
    while True:
        pass


@pytest.mark.usefixtures("no_clock")
def test_work_without_an_end_is_ended_by_the_processors_time() -> None:
    with pytest.raises(TimeUp, match=r"^0.2 s of the processor$"), time_limit(0.2):
        spin()


@pytest.mark.usefixtures("no_clock")
def test_the_work_of_a_program_that_was_started_counts() -> None:
    with subprocess.Popen(BUSY) as program:
        try:
            with pytest.raises(TimeUp, match="of the processor"), time_limit(0.3):
                time.sleep(600)
        finally:
            program.kill()


def test_the_work_of_a_program_that_has_ended_counts() -> None:
    before = processor_time()
    work = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-S", "-c", work], check=True)
    assert processor_time() - before > 0.25


def test_waiting_for_the_processor_is_not_working() -> None:
    """As on a busy machine: three times the limit passes by the clock."""
    with time_limit(0.3):
        time.sleep(0.9)


def test_a_sound_sampler_on_a_machine_that_is_very_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock it takes 200 s, of which little was its own."""
    clock = itertools.chain([0.0], itertools.repeat(200.0))
    monkeypatch.setattr(limits, "_GLANCE", 0.01)
    monkeypatch.setattr(limits.time, "monotonic", lambda: next(clock))

    def slow(model, x, sigmas):
        time.sleep(0.03)
        return s.euler(model, x, sigmas)

    assert check(slow, "runs") == []


def test_what_only_waits_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLOCK_SHARE", 2.0)
    with pytest.raises(TimeUp, match=r"^0.4 s$"), time_limit(0.2):
        time.sleep(600)


@pytest.mark.usefixtures("no_clock")
def test_a_finding_says_which_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from proofs_checks.audit import protocol

    monkeypatch.setattr(protocol, "_SECONDS", 0.2)

    def endless(model, x, sigmas):
        while True:
            torch.zeros(1)

    (finding,) = check(endless, "runs")
    assert finding.found == "does not return within 0.2 s of the processor"
