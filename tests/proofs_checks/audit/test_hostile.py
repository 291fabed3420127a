"""Samplers that exit, print, hang, draw in odd ways or have odd signatures: each meets a plain answer."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import samplers as s
import torch
from torch import Tensor

from proofs_checks.audit import Severity, audit, check
from proofs_checks.audit.affine import AffineMap, Source, probe
from proofs_checks.audit.checks import run_check
from proofs_checks.audit.draws import RefusedDraw, UnansweredDraw, intercepted_draws
from proofs_checks.audit.limits import TimeUp, time_limit
from proofs_checks.audit.measure import MEANS, VARIANCES, grid
from proofs_checks.audit.protocol import NotAffine, SamplerFailure, Target
from proofs_checks.audit.subject import Subject
from proofs_checks.audit.targets import find_target
from proofs_checks.audit.triangular import chain
from seeds_theory.errors import ParameterError, UnknownNameError

GRID = [8.0, 3.0, 1.5, 0.4]


def found(sampler: Callable, source: Source = Source.BROWNIAN, **options: Any) -> AffineMap:
    return probe(Target("sampler", sampler, options), MEANS, VARIANCES, GRID, source)


def failure_of(sampler: Callable, source: Source = Source.BROWNIAN) -> SamplerFailure:
    with pytest.raises(SamplerFailure) as caught:
        found(sampler, source)
    return caught.value


def drawing(draw: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Euler ancestral with noise of its own."""

    def sampler(model, x, sigmas):
        return s.euler_ancestral(model, x, sigmas, noise_sampler=lambda a, b: draw(x))

    return sampler


# -------------------------------------------------------------------------------------- exits, alarms


def test_exit_in_a_sampler_is_a_finding() -> None:
    def leaves(model, x, sigmas):
        sys.exit(3)

    (finding,) = audit(leaves).findings
    assert (finding.id, finding.severity) == ("runs", Severity.error)
    assert "raises SystemExit: 3 (leaves, line" in finding.found


def test_an_interrupt_by_the_user_is_none() -> None:
    def interrupted(model, x, sigmas):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(interrupted, "runs")


@contextlib.contextmanager
def outer_alarm(seconds: float, interval: float = 0.0) -> Iterator[list[float]]:
    """An alarm of someone else, such as a test runner; the times at which it rang."""
    rang: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, seconds, interval)
    try:
        yield rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def wait_for(rang: list[float], count: int = 1) -> bool:
    end = time.monotonic() + 20
    while len(rang) < count and time.monotonic() < end:
        time.sleep(0.01)
    return len(rang) >= count


def test_an_alarm_set_before_rings_after_a_run() -> None:
    with outer_alarm(60, 5) as rang:
        with time_limit(30):
            pass
        left, interval = signal.getitimer(signal.ITIMER_REAL)
    assert not rang
    assert 30 < left <= 60
    assert interval == 5


def test_an_alarm_due_during_a_run_rings_after_it_and_goes_on() -> None:
    with outer_alarm(0.02, 0.02) as rang:
        with time_limit(30):
            time.sleep(0.05)
            assert not rang
        assert wait_for(rang, 2)


def test_no_alarm_is_left_where_none_was() -> None:
    with pytest.raises(TimeUp), time_limit(0.01):
        time.sleep(20)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# ------------------------------------------------------------------------------------------- printing


def test_what_a_sampler_prints_does_not_mix_with_a_report(capsys: pytest.CaptureFixture) -> None:
    def talks(model, x, sigmas):
        print("here I am")
        return s.euler(model, x, sigmas)

    assert not check(talks, "runs")
    out, err = capsys.readouterr()
    assert out == ""
    assert "here I am" in err


# ------------------------------------------------------------------------------------------ precision


@pytest.mark.parametrize("sampler", [s.euler, s.two_m, s.heun], ids=lambda f: f.__name__)
def test_single_precision_on_many_steps_is_affine(sampler: Callable) -> None:
    target = Target("sampler", s.single_inside(sampler))
    assert probe(target, MEANS, VARIANCES, grid(1024)).deterministic(VARIANCES.sqrt())


def test_a_small_curvature_is_still_seen() -> None:
    def curved_a_little(model, x, sigmas):
        return s.euler(model, x, sigmas) + 1e-4 * x**2

    assert isinstance(failure_of(curved_a_little), NotAffine)


# ---------------------------------------------------------------------------------------------- draws

SAME_NUMBERS: dict[str, Callable[[Tensor], Tensor]] = {
    "flat": lambda x: torch.randn(x.numel(), dtype=x.dtype).view_as(x),
    "images": lambda x: torch.randn(len(x), x.shape[1], dtype=x.dtype)[..., None, None],
    "beside each other": lambda x: torch.randn(1, *x.shape, dtype=x.dtype)[0],
}


def into(x: Tensor) -> Tensor:
    z = torch.empty_like(x)
    torch.randn(x.shape, out=z)
    return z


def normal_into(x: Tensor) -> Tensor:
    z = torch.empty_like(x)
    torch.normal(torch.zeros_like(x), torch.ones_like(x), out=z)
    return z


@pytest.mark.parametrize("draw", [*SAME_NUMBERS.values(), into, normal_into])
def test_noise_for_each_state_is_answered_in_any_layout(draw: Callable[[Tensor], Tensor]) -> None:
    response = found(drawing(draw), Source.OWN)
    expected = found(drawing(torch.randn_like), Source.OWN)
    assert torch.allclose(response.other, expected.other)
    assert not check(drawing(draw), "batch")


def test_more_numbers_than_states_are_not_called_shared_noise() -> None:
    twice = drawing(lambda x: torch.randn(2 * len(x), *x.shape[1:])[: len(x)])
    failure = failure_of(twice, Source.OWN)
    assert isinstance(failure, NotAffine)
    assert re.search(r"draws noise of shape \(\d+, 5, 1, 1\) for states", str(failure))
    assert "share" not in str(failure)


def test_fewer_numbers_than_states_are_shared_noise() -> None:
    failure = failure_of(drawing(lambda x: torch.randn_like(x[:1])), Source.OWN)
    assert not isinstance(failure, NotAffine)
    assert "its samples share noise" in str(failure)


def of_deviation_one(z: Tensor) -> Tensor:
    return (z - 0.5) * 12**0.5


OTHER_LAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "rand": lambda x: of_deviation_one(torch.rand(x.shape)),
    "rand_like": lambda x: of_deviation_one(torch.rand_like(x)),
    "rand of one number": lambda x: of_deviation_one(torch.rand(1)).expand_as(x),
    "uniform_": lambda x: of_deviation_one(torch.empty_like(x).uniform_()),
    "exponential_": lambda x: torch.empty_like(x).exponential_() - 1,
    "bernoulli": lambda x: 2 * torch.bernoulli(torch.full_like(x, 0.5)) - 1,
    "bernoulli as a method": lambda x: 2 * torch.full_like(x, 0.5).bernoulli() - 1,
    "bernoulli_": lambda x: 2 * torch.empty_like(x).bernoulli_() - 1,
    "randint": lambda x: 2.0 * torch.randint(2, x.shape) - 1,
    "randint_like": lambda x: 2 * torch.randint_like(x, 2) - 1,
    "random_": lambda x: 2 * torch.empty_like(x).random_(2) - 1,
}


@pytest.mark.parametrize("law", OTHER_LAWS)
def test_other_laws_are_not_answered_and_accused_of_nothing(law: str) -> None:
    sampler = drawing(OTHER_LAWS[law])
    (finding,) = audit(sampler).findings
    assert (finding.id, finding.severity) == ("runs", Severity.warning)
    assert f"draws numbers by {law.split()[0]};" in finding.found
    (finding,) = check(sampler, "batch")
    assert finding.severity is Severity.warning


def test_a_few_integers_may_seed_the_noise() -> None:
    def sampler(model, x, sigmas):
        seed = int(torch.randint(2**31, []))
        own = torch.Generator().manual_seed(seed)
        noise = lambda a, b: torch.randn(x.shape, generator=own, dtype=x.dtype)
        return s.euler_ancestral(model, x, sigmas, noise_sampler=noise)

    assert len(found(sampler, Source.OWN).other) == len(GRID) - 1


def test_noise_that_is_shared_is_refused_on_curved_data() -> None:
    with pytest.raises(SamplerFailure, match="its samples share noise"):
        chain(Target("sampler", drawing(lambda x: torch.randn_like(x[:1]))), GRID, Source.OWN)


def test_a_refusal_says_what_may_be_sound() -> None:
    assert issubclass(UnansweredDraw, RefusedDraw)
    with (
        intercepted_draws(lambda number, like: like, 0, (2, 3)),
        pytest.raises(UnansweredDraw),
    ):
        torch.randint(9, (2, 3))


def test_numbers_that_nobody_answers_are_named_among_the_reasons() -> None:
    assert "neither from torch nor from the noise sampler" in str(failure_of(s.adaptive(s.heun)))


# -------------------------------------------------------------------------------------- noise sampler


def test_the_noise_sampler_may_be_given_a_level_for_each_sample() -> None:
    def sampler(model, x, sigmas, noise_sampler=None):
        noise = noise_sampler or (lambda a, b: torch.randn_like(x))
        of_batch = lambda a, b: noise(a * x.new_ones(len(x)), b * x.new_ones(len(x), 1, 1, 1))
        return s.euler_ancestral(model, x, sigmas, noise_sampler=of_batch)

    assert found(sampler).stretches == found(s.euler_ancestral).stretches


def test_levels_that_differ_in_a_batch_are_refused() -> None:
    def sampler(model, x, sigmas, noise_sampler=None):
        return x + noise_sampler(torch.linspace(2, 3, len(x)), sigmas[-1])

    assert "several levels in one call" in str(failure_of(sampler))


def test_a_failure_names_the_samplers_own_line() -> None:
    def in_the_noise(model, x, sigmas, noise_sampler=None):
        return x + noise_sampler("three", 2.0)

    def in_torch(model, x, sigmas):
        return torch.stack([x, torch.nn.functional.softmax(x, dim=9)])

    def in_the_model(model, x, sigmas):
        return model("states", sigmas[0])

    for sampler in (in_the_noise, in_torch, in_the_model):
        line = sampler.__code__.co_firstlineno + 1
        assert f"({sampler.__name__}, line {line})" in str(failure_of(sampler))


# ----------------------------------------------------------------------------------------- signatures


def test_a_sampler_of_any_keywords_is_given_three() -> None:
    given: dict[str, Any] = {}

    def anything(model, x, sigmas, **keywords):
        given.update(keywords)
        return x

    target = Target("sampler", anything, {"order": 2})
    assert not target.takes_noise_sampler
    assert target.eta is None
    check(anything, "runs", order=2)
    assert given.keys() == {"extra_args", "callback", "disable", "order"}


def test_eta_and_a_noise_sampler_count_if_they_are_named() -> None:
    def sampler(model, x, sigmas, eta=0.5, noise_sampler=None, **keywords):
        return s.euler_ancestral(model, x, sigmas, eta=eta, noise_sampler=noise_sampler, **keywords)

    target = Target("sampler", sampler)
    assert target.eta == 0.5
    assert target.takes_noise_sampler
    assert not check(sampler, "callback")
    assert not check(sampler, "model-calls")


def test_a_signature_that_cannot_be_called_says_the_way_out() -> None:
    def needs_noise(model, x, sigmas, noise_sampler):
        return x

    class Sampler:
        def __init__(self, model, x, sigmas):
            pass

    with pytest.raises(ParameterError, match="'noise_sampler': give it a default of None"):
        Target("sampler", needs_noise)
    with pytest.raises(ParameterError, match="make an instance or a function of it"):
        Target("sampler", Sampler)


@pytest.mark.parametrize(
    "name", ["model", "x", "sigmas", "noise_sampler", "callback", "extra_args", "disable"]
)
@pytest.mark.parametrize("sampler", ["seeds-2", "proofs_checks.audit.entries.diffusers:sa_solver"])
def test_what_the_audit_gives_is_no_option(sampler: str, name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name} is given by the audit"):
        find_target(f"{sampler}?{name}=1")
    with pytest.raises(ParameterError, match=f"{name} is given by the audit"):
        Target("sampler", s.euler_ancestral, {name: None})


# ------------------------------------------------------------------------------------------- told once


def test_one_fault_with_other_figures_is_told_once() -> None:
    figures = iter(range(100))

    def fails(model, x, sigmas):
        raise RuntimeError(f"off by {10.0 ** -next(figures):g} on {len(sigmas)} levels")

    subject = Subject(Target("sampler", fails))
    assert len(run_check(subject, "runs")) == 1
    assert not run_check(subject, "weak-order")
    assert not run_check(subject, "inputs")


def test_two_faults_are_two() -> None:
    kinds = {
        SamplerFailure("off by 0.03").kind,
        SamplerFailure("off by 1e-05").kind,
        SamplerFailure("returns NaN").kind,
        NotAffine("off by 2").kind,
    }
    assert len(kinds) == 3


# -------------------------------------------------------------------------------------------- targets

FILES = {
    "hostile_good": """
        import hostile_needed
        def sample(model, x, sigmas, extra_args=None, callback=None, disable=None, kind="a"):
            import hostile_later
            return hostile_later.same(x)
        """,
    "hostile_needed": "print('imported')",
    "hostile_later": "def same(x): return x",
    "hostile_exits": "import sys; sys.exit('bye')",
    "hostile_divides": "1 / 0",
    "colorsys": "def sample(model, x, sigmas): return x",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with modules, which is the current one and not on the path."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    return tmp_path


def test_the_current_folder_is_last_on_the_path_afterwards(folder: Path, capsys) -> None:
    before = list(sys.path)
    target = find_target("hostile_good:sample")
    assert sys.path == [*before, str(folder)]
    find_target("hostile_good:sample")
    assert sys.path == [*before, str(folder)]
    assert target.sampler(None, 3, None) == 3  # imports from its own folder when it is called
    out, err = capsys.readouterr()
    assert (out, err) == ("", "imported\n")


def test_a_file_in_the_current_folder_wins(folder: Path) -> None:
    assert find_target("colorsys:sample").sampler(None, 3, None) == 3
    del sys.modules["colorsys"]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("hostile_exits", "importing 'hostile_exits' raises SystemExit: bye"),
        (
            "hostile_divides",
            "importing 'hostile_divides' raises ZeroDivisionError: division by zero",
        ),
        ("", "my_sampler:sample"),
        (".hostile_good", "my_sampler:sample"),
        ("./hostile_good", "my_sampler:sample"),
        ("./hostile_exits.py", "importing 'hostile_exits.py' raises SystemExit: bye"),
    ],
)
def test_a_module_that_cannot_be_imported_says_why(folder: Path, module: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_target(f"{module}:sample")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_are_unquoted(folder: Path) -> None:
    options = find_target("hostile_good:sample?kind=a%26b=c%25d+e").options
    assert options == {"kind": "a&b=c%d+e"}
