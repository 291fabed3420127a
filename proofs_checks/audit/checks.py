"""The audit: every check in turn, each guarded, so that a sampler that breaks one meets the others too."""

from __future__ import annotations

import contextlib
import dataclasses
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch

from proofs_checks.audit import behaviour_checks as behaviour
from proofs_checks.audit import convergence_checks as convergence
from proofs_checks.audit.affine import BatchDependent
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.names import require_check_names
from proofs_checks.audit.protocol import NotAffine, OtherGrid, Sampler, SamplerFailure
from proofs_checks.audit.report import Report
from proofs_checks.audit.subject import Subject
from proofs_checks.audit.targets import find_target, target_of
from proofs_checks.pipe import ended_by_signals
from seeds_theory.processes import in_processes

T = TypeVar("T")

Check = Callable[[Subject], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    "runs": behaviour.runs,
    "batch": behaviour.batch,
    "shapes": behaviour.shapes,
    "short-grids": behaviour.short_grids,
    "weak-order": convergence.weak_order,
    "convergence": convergence.convergence,
    "accident": convergence.accident,
    "marginals": convergence.marginals,
    "sagging-order": convergence.sagging_order,
    "uneven-steps": convergence.uneven_steps,
    "noise-source": convergence.noise_source,
    "empty-stretch": convergence.empty_stretch,
    "correlated-noise": behaviour.correlated_noise,
    "strong-order": convergence.strong_order,
    "limit": convergence.limit,
    "mixture": behaviour.mixture,
    "grid-to-zero": behaviour.grid_to_zero,
    "last-level": behaviour.last_level,
    "first-call": behaviour.first_call,
    "model-calls": behaviour.model_calls,
    "single-precision": behaviour.single_precision,
    "initial-noise": behaviour.initial_noise,
    "hidden-randomness": behaviour.hidden_randomness,
    "repeated-noise": behaviour.repeated_noise,
    "seeds": behaviour.seeds,
    "eta-zero": behaviour.eta_zero,
    "callback": behaviour.callback,
    "inputs": behaviour.inputs,
}
"""The registry: id of a finding to the check that finds it, in the order of the audit."""

_OF_ORDERS = ("weak-order", "convergence", "strong-order", "limit")
"""What decides expected orders, on single samples where a batch shows none."""


def audit(
    sampler: str | Sampler,
    *,
    expect: Expectation | None = None,
    skip: Sequence[str] = (),
    **options: Any,
) -> Report:
    """Audit a sampler: a name as `seeds-audit` takes it, or a function with the k-diffusion signature.

    Parameters
    ----------
    sampler : runs unmodified, with its noise injected or its draws intercepted.
    expect : orders, one that is lower is an error; and grids that it takes.
    skip : the ids of checks that are not to run.
    options : keyword arguments for every call of a function, or the words of its convention
        (`proofs_checks.audit.conventions`).

    Raises
    ------
    UnknownNameError, ParameterError : no such target, not a sampler, no such check, or one that decides
        what is expected.
    """
    (expect or Expectation()).require_checked(skip)
    subject = _subject(sampler, expect, options)
    findings: list[Finding] = []
    for name in (name for name in CHECKS if name not in skip):
        findings.extend(run_check(subject, name))
        if name == "runs" and subject.failures:  # nothing else can be told
            return _said(Report(subject.target.name, findings=tuple(findings)), subject, skip)
    if subject.batch_dependent and subject.expectation.has_orders:
        findings += [f for name in _OF_ORDERS for f in run_check(subject.alone, name)]
    return _said(_report(subject, tuple(findings)), subject, skip)


def _said(report: Report, subject: Subject, skip: Sequence[str]) -> Report:
    """A report with what the user said."""
    return dataclasses.replace(report, expectation=subject.expectation, skipped=tuple(skip))


def audit_all(
    names: Sequence[str],
    expectations: Sequence[Expectation | None],
    *,
    skip: Sequence[str] = (),
    jobs: int = 1,
    progress: bool = False,
) -> list[Report]:
    """Audit samplers by name, on that many processes."""
    pairs = list(zip(names, expectations, strict=True))
    run = partial(_audit_by_name, skip=tuple(skip))
    # Files may import helpers of one name when they run.
    files = sum(name.partition(":")[0].endswith(".py") for name in names)
    return in_processes(run, pairs, jobs=jobs, label="samplers", progress=progress, fresh=files > 1)


def _audit_by_name(pair: tuple[str, Expectation | None], skip: tuple[str, ...]) -> Report:
    with ended_by_signals():  # in a process of its own
        return audit(pair[0], expect=pair[1], skip=skip)


def check(
    sampler: str | Sampler, name: str, *, expect: Expectation | None = None, **options: Any
) -> list[Finding]:
    """The findings of one check, by its id."""
    require_check_names([name])
    return run_check(_subject(sampler, expect, options), name)


def _subject(
    sampler: str | Sampler, expect: Expectation | None, options: dict[str, Any]
) -> Subject:
    if isinstance(sampler, str):
        target = find_target(sampler, options)
    else:
        target = target_of(_name(sampler, options), sampler, options)
    return Subject(target, expect or Expectation())


def _name(sampler: Sampler, options: dict[str, Any]) -> str:
    """As `find_target` takes it, if it is a function of a module: with its options."""
    known = hasattr(sampler, "__qualname__")
    name = f"{sampler.__module__}:{sampler.__qualname__}" if known else repr(sampler)
    pairs = [
        f"{key}={urllib.parse.quote(value if isinstance(value, str) else repr(value), safe=' ,()[]')}"
        for key, value in sorted(options.items())
    ]
    return f"{name}?{'&'.join(pairs)}" if pairs else name


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The tensors here are small: more threads only wait for each other, and for other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_check(subject: Subject, name: str) -> list[Finding]:
    """The findings of one check; a failure of the sampler is one, told once a subject."""
    subject.check = name
    try:
        with _one_thread():
            return list(CHECKS[name](subject))
    except SamplerFailure as failure:
        if isinstance(failure, BatchDependent):
            told, subject.batch_dependent = subject.batch_dependent is not None, failure
            subject.check = "batch"  # whichever check meets it
            if told:
                return []
        if failure.kind in subject.failures:
            return []  # told once
        subject.failures.append(failure.kind)
        severity = subject.grave if isinstance(failure, NotAffine) else Severity.error
        if isinstance(failure, OtherGrid):
            return [subject.finding(Severity.note, "any grid", str(failure))]
        return [subject.finding(severity, "a sampler that can be measured here", str(failure))]


def _report(subject: Subject, findings: tuple[Finding, ...]) -> Report:
    if subject.batch_dependent:
        return Report(subject.target.name, alone=_report(subject.alone, ()), findings=findings)

    def known(value: Callable[[], T]) -> T | None:
        try:
            return value()
        except SamplerFailure:  # a finding says so
            return None

    return Report(
        target=subject.target.name,
        nfe_per_step=known(lambda: subject.measurement.nfe_per_step),
        deterministic=known(lambda: subject.measurement.deterministic),
        weak=known(lambda: subject.weak),
        independent=known(lambda: subject.measurement.independent_curve),
        strong=known(lambda: subject.strong),
        limit=known(lambda: subject.measurement.limit),
        mixture=known(lambda: subject.mixture) if _not_affine(subject) else None,
        findings=findings,
    )


def _not_affine(subject: Subject) -> bool:
    """Whether its law has to be sampled, and can be: one at a time, thousands of samples take too long."""
    return not subject.target.alone and any(
        kind.startswith(NotAffine.__name__) for kind in subject.failures
    )
