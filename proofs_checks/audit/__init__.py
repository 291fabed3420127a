"""What a sampler converges to, how fast, and how it behaves: of any sampler, unmodified, without sampling.

`audit` for a report, `check` for one of its checks, `assert_order` in a test.
"""

from proofs_checks.audit.assertions import assert_order
from proofs_checks.audit.checks import CHECKS, audit, check
from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.report import Report, figure, render
from proofs_checks.audit.subject import Expectation

__all__ = [
    "CHECKS",
    "Expectation",
    "Finding",
    "Report",
    "Severity",
    "assert_order",
    "audit",
    "check",
    "figure",
    "render",
]
