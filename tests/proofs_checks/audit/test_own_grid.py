"""A sampler that chooses its noise levels is audited on those, and is asked for no others."""

from __future__ import annotations

from pathlib import Path

import foreign_samplers
import pytest

from proofs_checks.audit import Report, Severity, audit

FILE = Path(foreign_samplers.__file__)
FLOW = "flow_from_nothing?grid=own&start=own&ends=zero&frame=flow"


@pytest.fixture(scope="module")
def heun() -> Report:
    return audit(f"{FILE}:heun_of_its_own_grid?grid=own&ends=zero")


@pytest.mark.slow
def test_orders_are_those_on_its_own_levels(heun: Report) -> None:
    assert heun.weak is not None
    assert heun.weak.order.value == pytest.approx(2, abs=0.1)
    assert {study.steps for study in heun.weak.studies} == {"its own"}
    assert {study.data for study in heun.weak.studies} == {"Gaussian", "curved"}
    assert str(heun.limit) == "ODE"


@pytest.mark.slow
def test_what_needs_other_levels_is_a_note(heun: Report) -> None:
    assert not heun.above(Severity.warning)
    told = [f for f in heun.findings if "chooses its own noise levels" in f.found]
    assert told
    assert {finding.severity for finding in told} == {Severity.note}


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "order"), [("nothing", 1), ("midpoint", 2)])
def test_from_an_infinite_level_to_zero_perturbed_gaussians_are_the_curved_data(
    sampler: str, order: int
) -> None:
    """Of the midpoint rule the leading errors on Gaussian data cancel: they show order 3."""
    name = FLOW.replace("flow_from", "flow_midpoint_from") if sampler == "midpoint" else FLOW
    found = audit(f"{FILE}:{name}&predicts=velocity")
    assert found.weak is not None
    assert found.weak.order.value == pytest.approx(order, abs=0.1)
    assert [study.data for study in found.weak.studies] == ["Gaussian", "perturbed Gaussian"]
    assert str(found.limit) == "ODE"
    accidents = [f for f in found.findings if "an accident" in f.found]
    assert len(accidents) == (order == 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [f"{FLOW}&predicts=noise", "heun_of_its_own_grid?grid=own&ends=0.001"]
)
def test_another_prediction_or_another_end_is_another_law(name: str) -> None:
    found = audit(f"{FILE}:{name}")
    assert found.limit is not None
    assert not found.limit.law
    assert {"limit", "convergence"} <= {f.id for f in found.above(Severity.error)}
