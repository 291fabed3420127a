"""The table of noises, the guard around a run, and what a callback may be given."""

from __future__ import annotations

import random
import signal
import threading
import time

import numpy as np
import pytest
import samplers as s
import torch
from torch import Tensor

from proofs_checks.audit.affine import LinearModel
from proofs_checks.audit.behaviour_checks import TableNoise
from proofs_checks.audit.draws import USED
from proofs_checks.audit.limits import TimeUp, time_limit
from proofs_checks.audit.measure import MEANS, VARIANCES, grid
from proofs_checks.audit.protocol import SEED, SamplerFailure, Target, call

STATES = torch.ones(3, 5, 1, 1, dtype=torch.float64)
LEVELS = torch.tensor(grid(4), dtype=torch.float64)


def run(sampler, noise: TableNoise | None = None, x: Tensor = STATES, **more) -> Tensor:
    model = LinearModel(MEANS, VARIANCES)
    return call(Target("sampler", sampler), model, x, LEVELS, noise or TableNoise(), **more)


# -------------------------------------------------------------------------------------------- noise


@pytest.mark.parametrize("number", [USED, 0, 7])
@pytest.mark.parametrize("row", [0, 2])
def test_a_sample_of_the_table_has_its_noise_in_any_batch(row: int, number: int) -> None:
    part = slice(row, row + 1)
    together = TableNoise().draw(number, STATES)
    alone = TableNoise(part).draw(number, STATES[part])
    assert torch.equal(alone, together[part])
    assert not torch.equal(together[0], together[1])
    assert torch.equal(TableNoise().draw(number, STATES.float()), together.float())


def test_other_draws_of_the_table_are_other_noises() -> None:
    table = TableNoise()
    drawn = [table.draw(number, STATES) for number in (USED, 0, 1, 2)]
    asked = [table.stretch(2.0, 1.0, STATES) for _ in range(3)]
    every = torch.stack([*drawn, *asked]).flatten(1)
    assert (torch.corrcoef(every) - torch.eye(7)).abs().max() < 1
    assert torch.equal(TableNoise().stretch(9.0, 1.0, STATES), asked[0])  # by number, not by level


def test_injection_is_a_choice() -> None:
    given, own = TableNoise(), TableNoise(injects=False)
    assert not torch.equal(run(s.euler_ancestral, given), run(s.euler_ancestral, own))
    assert torch.equal(run(s.euler, given), run(s.euler, own))


def test_a_seed_that_repeats_the_initial_states_does_not_break_the_other_checks(
    findings_of,
) -> None:
    def reseeded(model, x, sigmas, extra_args=None):
        generator = torch.Generator().manual_seed((extra_args or {}).get("seed", SEED))
        noise = lambda a, b: torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return s.euler_ancestral(model, x, sigmas, noise_sampler=noise)

    assert not findings_of(reseeded, "runs")
    assert not findings_of(reseeded, "inputs")
    assert [f.severity for f in findings_of(reseeded, "initial-noise")] == ["error"]


def test_generators_are_left_as_they_were(findings_of) -> None:
    def states() -> tuple:
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002

    before = states()
    for check in ("hidden-randomness", "initial-noise", "repeated-noise", "batch"):
        findings_of(s.euler_ancestral, check)
    assert states() == before


# -------------------------------------------------------------------------------------------- guard


def test_a_failure_says_what_and_where() -> None:
    def wrong(model, x, sigmas):
        raise KeyError("first line\nsecond line")

    with pytest.raises(SamplerFailure, match=r"^raises KeyError: .*\(wrong, line \d+\)$") as caught:
        run(wrong)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_run_that_takes_too_long_is_ended_though_exceptions_are_swallowed() -> None:
    start = time.monotonic()
    with pytest.raises(SamplerFailure, match=r"does not return within 2 s"):
        run(s.hangs(s.euler), seconds=0.2)
    assert time.monotonic() - start < 5


def test_a_bare_except_is_ended_too() -> None:
    def stubborn(model, x, sigmas):
        """It swallows the first alarm only."""
        try:
            time.sleep(20)
        except:  # noqa: E722
            time.sleep(20)
        return x

    with pytest.raises(SamplerFailure, match="does not return"):
        run(stubborn, seconds=0.1)


def test_a_time_limit_leaves_no_alarm_and_its_handler_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(5.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before
    with pytest.raises(TimeUp), time_limit(0.01):
        time.sleep(5)
    assert signal.getsignal(signal.SIGALRM) == before


def test_outside_the_main_thread_there_is_no_limit_and_no_error() -> None:
    results: list[Tensor] = []
    thread = threading.Thread(target=lambda: results.append(run(s.euler)))
    thread.start()
    thread.join()
    assert torch.equal(results[0], run(s.euler))


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (lambda x: None, "returns NoneType for states (3, 5, 1, 1)"),
        (lambda x: [x], "returns list"),
        (lambda x: x[:2], "returns (2, 5, 1, 1)"),
        (lambda x: x * torch.nan, "returns NaN or infinity"),
        (lambda x: x / 0, "returns NaN or infinity"),
    ],
)
def test_what_is_returned_must_be_states(result, says: str) -> None:
    with pytest.raises(SamplerFailure) as caught:
        run(lambda model, x, sigmas: result(x))
    assert says in str(caught.value)


def test_only_keywords_that_a_sampler_has_are_given() -> None:
    def bare(model, x, sigmas):
        return x

    def full(
        model,
        x,
        sigmas,
        extra_args=None,
        callback=None,
        disable=None,
        noise_sampler=None,
        eta=1.0,
    ):
        assert (extra_args, callback, disable, eta) == ({"a": 1}, print, True, 0.5)
        assert noise_sampler(2.0, 1.0).shape == x.shape
        return x

    assert torch.equal(run(bare), STATES)
    target, model = Target("sampler", full, {"eta": 0.5}), LinearModel(MEANS, VARIANCES)
    given = {"extra_args": {"a": 1}, "callback": print}
    assert torch.equal(call(target, model, STATES, LEVELS, TableNoise(), **given), STATES)


# ----------------------------------------------------------------------------------------- callbacks


@pytest.mark.parametrize(
    "change",
    [
        lambda seen: seen | {"sigma": torch.tensor(seen["sigma"], dtype=torch.float64)},
        lambda seen: seen | {"sigma": torch.full((3,), seen["sigma"], dtype=torch.float64)},
        lambda seen: seen | {"sigma_hat": torch.full((3,), seen["sigma"], dtype=torch.float64)},
        lambda seen: seen | {"extra": None},
    ],
    ids=["tensor", "one a sample", "sigma_hat one a sample", "more keys"],
)
def test_levels_of_a_callback_may_be_tensors(change, findings_of) -> None:
    assert not findings_of(s.calling_back(change)(s.euler_ancestral), "callback")


@pytest.mark.parametrize("key", ["x", "sigma", "sigma_hat", "denoised", "i"])
def test_a_missing_key_is_named(key: str, findings_of) -> None:
    dropped = s.calling_back(lambda seen: {k: seen[k] for k in seen if k != key})
    (found,) = findings_of(dropped(s.euler), "callback")
    assert key in found.found


def test_a_sampler_without_a_callback_is_noted(findings_of) -> None:
    (found,) = findings_of(lambda model, x, sigmas: s.euler(model, x, sigmas), "callback")
    assert (found.severity, found.found) == ("note", "none: no previews")
