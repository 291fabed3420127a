"""The exported files for k-diffusion under the audit: they have the orders that their methods declare."""

from __future__ import annotations

from typing import Any

import pytest
from exported import module, program

from proofs_checks.audit import assert_order
from seeds_theory.emit.targets import target
from seeds_theory.methods import METHODS, method

ODE = ("seeds-1", "seeds-2", "seeds-3")


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_it_has_the_declared_orders(name: str) -> None:
    # A noise sampler cannot give the path's moments: there the audit sees no strong order.
    declared, on_a_path = method(name).orders, program(name, "data").degree == 1
    strong = float(declared.strong) if on_a_path else None
    assert_order(sampler(name), weak=declared.weak, strong=strong)


@pytest.mark.slow
@pytest.mark.parametrize("name", ODE)
def test_it_has_the_declared_order_without_noise(name: str) -> None:
    assert_order(sampler(name), ode=method(name).orders.ode, eta=0.0)


def sampler(name: str) -> Any:
    return getattr(module(name, "data", "torch"), f"sample_{name.replace('-', '_')}")


@pytest.mark.slow
def test_it_is_audited_as_a_file_by_its_path(tmp_path) -> None:
    """In noise prediction, as `seeds-audit sample_seeds_2.py:sample_seeds_2` has it."""
    file = tmp_path / "sample_seeds_2.py"
    [text] = target("torch").files(program("seeds-2", "noise")).values()
    file.write_text(text)
    assert_order(f"{file}:sample_seeds_2", weak=2, strong=1)
