"""The sampler under audit, with what has been measured of it and what is expected."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from proofs_checks.audit import grids
from proofs_checks.audit.affine import BatchDependent
from proofs_checks.audit.evidence import (
    CURVED,
    EVEN,
    GAUSSIAN,
    LOST,
    OWN,
    PERTURBED,
    UNEVEN,
    Evidence,
    Study,
)
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Finding, Severity
from proofs_checks.audit.grids import Grid
from proofs_checks.audit.measure import (
    ALONE_STEPS,
    COSTLY_STEPS,
    SIGMA_MAX,
    SIGMA_MIN,
    STEPS,
    Measurement,
)
from proofs_checks.audit.mixture import MixtureStudy, mixture_study
from proofs_checks.audit.orders import Curve, Verdict
from proofs_checks.audit.perturbed import DECIDES, PROBLEM, PerturbedStudy
from proofs_checks.audit.protocol import OtherGrid, Target
from proofs_checks.audit.rounding import HIGHEST
from proofs_checks.audit.triangular import STEPS as TRIANGULAR_STEPS
from proofs_checks.audit.triangular import TriangularStudy


@dataclass
class Subject:
    """A target, its measurements, and the check that is at work.

    batch_dependent : set by the check of that; then nothing is measured on a batch.
    """

    target: Target
    expectation: Expectation = field(default_factory=Expectation)
    check: str = ""
    failures: list[str] = field(default_factory=list)
    batch_dependent: BatchDependent | None = None

    @cached_property
    def alone(self) -> Subject:
        """The same sampler, run on one sample at a time."""
        return Subject(replace(self.target, alone=True), self.expectation)

    @property
    def measurement(self) -> Measurement:
        """What the sampler does on Gaussian data.

        Raises
        ------
        BatchDependent : a batch does not show it.
        """
        if self.batch_dependent:
            raise self.batch_dependent
        return self._even

    @cached_property
    def _even(self) -> Measurement:
        return Measurement(self.target, self._steps)

    @cached_property
    def uneven(self) -> Measurement:
        """The same on uneven steps."""
        return self._on_steps(grids.uneven)

    @cached_property
    def stretched(self) -> Measurement:
        """The same on steps that grow smoothly."""
        return self._on_steps(grids.stretched)

    def _on_steps(self, kind: Grid) -> Measurement:
        """The same on other steps.

        Raises
        ------
        OtherGrid : it chooses its own.
        """
        if self.target.levels:
            raise OtherGrid("chooses its own noise levels: no other steps can be asked of it")
        return Measurement(self.target, self._steps, lambda n: kind(SIGMA_MAX, SIGMA_MIN, n))

    @property
    def _steps(self) -> tuple[int, ...]:
        if self.target.alone:
            return ALONE_STEPS
        return COSTLY_STEPS if self.target.costly else STEPS

    @cached_property
    def curved_even(self) -> TriangularStudy:
        """What it does on the curved problem, on equal steps or its own."""
        own = self.target.levels
        return self._triangular((lambda _, __, n: own(n)) if own else grids.even)

    @cached_property
    def curved_uneven(self) -> TriangularStudy:
        """The same on uneven steps."""
        return self._triangular(grids.uneven)

    def _triangular(self, kind: Grid) -> TriangularStudy:
        return TriangularStudy(self.target, self.measurement.source, self._curved_steps, kind)

    @property
    def _curved_steps(self) -> tuple[int, ...]:
        return ALONE_STEPS if self.target.alone else TRIANGULAR_STEPS

    @cached_property
    def weak(self) -> Evidence:
        """The weak order, of a deterministic sampler the order.

        On curved data it is that of the law from exact initial states. Where the order from any one state,
        of a model that need not be a posterior mean, is lower, perturbed Gaussian data decide, up to order 2.
        """
        from_a_state = self.weak_from_a_state
        if (
            self.target.levels
            or self.measurement.deterministic
            or from_a_state.order.least > DECIDES - LOST
        ):
            return from_a_state
        perturbed = [
            Study(PERTURBED, steps, self._perturbed(kind).weak_curve)
            for steps, kind in ((EVEN, grids.even), (UNEVEN, grids.uneven))
        ]
        gaussian = [s for s in from_a_state.studies if s.data == GAUSSIAN]
        law = Evidence((*gaussian, *perturbed), min(from_a_state.bound or DECIDES, DECIDES))
        settled = law.order.verdict is Verdict.settled
        return (
            law if settled and law.order.least > from_a_state.order.least + LOST else from_a_state
        )

    def _perturbed(self, kind: Grid) -> PerturbedStudy:
        return PerturbedStudy(
            self.target, self.measurement.source, self._curved_steps, kind, PROBLEM
        )

    @cached_property
    def weak_from_a_state(self) -> Evidence:
        """The weak order with the triangular problem for curved data, which starts at one state."""
        return self._evidence([study.weak_curve for study in self._studies.values()])

    @cached_property
    def strong(self) -> Evidence | None:
        """The strong order; None where no path can carry the noise."""
        curves = [study.strong_curve for study in self._studies.values()]
        known = [found for found in curves if found is not None]
        return self._evidence(known) if len(known) == len(curves) else None

    @property
    def _studies(self) -> dict[tuple[str, str], Measurement | TriangularStudy | PerturbedStudy]:
        """By data and steps; on its own levels alone if it chooses them.

        The curved problem is made in log-SNR. From an infinite level, or to 0, perturbed Gaussian data take
        its place.
        """
        own = self.target.levels
        if own:
            start, *_, end = own(2)
            if end > 0 and start < HIGHEST:
                return {(GAUSSIAN, OWN): self.measurement, (CURVED, OWN): self.curved_even}
            perturbed = self._perturbed(lambda _, __, n: own(n))
            return {(GAUSSIAN, OWN): self.measurement, (PERTURBED, OWN): perturbed}
        return {
            (GAUSSIAN, EVEN): self.measurement,
            (GAUSSIAN, UNEVEN): self.uneven,
            (CURVED, EVEN): self.curved_even,
            (CURVED, UNEVEN): self.curved_uneven,
        }

    def _evidence(self, curves: list[Curve]) -> Evidence:
        studies = [Study(*place, found) for place, found in zip(self._studies, curves, strict=True)]
        return Evidence(tuple(studies), self.curved_even.estimates_a_step)

    @cached_property
    def mixture(self) -> MixtureStudy:
        """The error of its law on a mixture, where that needs sampling."""
        return mixture_study(self.target)

    @property
    def expected_weak(self) -> float | None:
        """The order expected of the law: what the user says, or what the sampler declares."""
        declared = self.target.declared
        if self.measurement.deterministic:
            said = self.expectation.ode or self.expectation.weak
            return said or (declared.ode if declared else None)
        return self.expectation.weak or (declared.weak if declared else None)

    @property
    def expected_strong(self) -> float | None:
        """The strong order expected."""
        declared = self.target.declared
        return self.expectation.strong or (declared.strong if declared else None)

    @property
    def grave(self) -> Severity:
        """How bad it is that an order cannot be told: an error where the user expects one."""
        return Severity.error if self.expectation.has_orders else Severity.warning

    def finding(
        self, severity: Severity, expected: str, found: str, figure: float | None = None
    ) -> Finding:
        """A finding of the check at work."""
        return Finding(self.check, severity, expected, found, figure)
