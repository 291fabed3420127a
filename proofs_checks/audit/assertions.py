"""For other people's tests: three lines that fail when a sampler loses its order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proofs_checks.audit.checks import audit
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.gate import judge
from proofs_checks.audit.known import KnownFindings
from proofs_checks.audit.protocol import Sampler
from seeds_theory.errors import ParameterError


def assert_order(
    sampler: str | Sampler,
    *,
    weak: float | None = None,
    strong: float | None = None,
    ode: float | None = None,
    zero: bool = False,
    one_step: bool = False,
    fail_on: str = "error",
    skip: Sequence[str] = (),
    accept: str | Path | None = None,
    **options: Any,
) -> None:
    """Audit a sampler and raise if it has a finding.

    >>> from proofs_checks.audit import assert_order
    >>> def test_order():
    ...     assert_order(my_package.sample_mine, weak=2, strong=1)

    Parameters
    ----------
    sampler : a function with the k-diffusion signature, or a name as `seeds-audit` takes it.
    weak, strong, ode : orders it must have; ode is for a deterministic sampler.
    zero, one_step : that it takes grids that end at level 0; of one step, and of two.
    fail_on : the least severity that fails: "error", "warning" or "note".
    skip : the ids of checks that do not run.
    accept : a file that ``seeds-audit --json`` wrote: the findings in it do not fail.
    options : keyword arguments for every call of the function.

    Raises
    ------
    AssertionError : lists the findings.
    ParameterError, UnknownNameError : a wrong call.
    """
    __tracebackhide__ = True
    if fail_on not in list(Severity):
        known = ", ".join(Severity)
        raise ParameterError(f"fail_on is one of {known}; got {fail_on!r}")
    known_findings = KnownFindings.read(Path(accept)) if accept is not None else None
    expectation = Expectation(weak, strong, ode, zero, one_step)
    report = audit(sampler, expect=expectation, skip=skip, **options)
    verdict = judge(report, Severity(fail_on), known_findings)
    if not verdict.passes:
        listed = "\n".join(f"  {finding}" for finding in verdict.failing)
        raise AssertionError(f"{report.target}:\n{listed}")
