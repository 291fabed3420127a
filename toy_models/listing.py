"""The table of all samplers with the orders that they declare."""

from __future__ import annotations

from fractions import Fraction

from seeds_theory.baselines import BASELINES
from seeds_theory.extras import optional_imports
from seeds_theory.methods import METHODS, method

with optional_imports():
    from rich.table import Table


def listing() -> Table:
    """A line for each sampler: calls a step, declared orders, source."""
    result = Table(
        caption="Calls: of the model, a step. Strong, weak, ODE: orders; in brackets on Gaussian data, where "
        "higher.",
        box=None,  # no lines: it fits 80 columns
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for heading in ("method", "calls", "strong", "weak", "ODE", "source"):
        result.add_column(heading, no_wrap=heading != "source")
    for name in METHODS:
        tableau = method(name)
        orders = tableau.orders
        result.add_row(
            name,
            str(tableau.calls),
            _both(orders.strong, orders.gaussian.strong),
            _both(orders.weak, orders.gaussian.weak),
            str(orders.ode),
            tableau.reference,
        )
    result.add_section()
    for baseline in BASELINES.values():
        own, on_gaussians = baseline.declared, baseline.declared.gaussian
        result.add_row(
            baseline.name,
            "",
            _both(own.strong, on_gaussians.strong),
            _both(own.weak, on_gaussians.weak),
            _both(own.ode, own.ode),
            baseline.reference,
        )
    return result


def _both(order: Fraction | float | None, gaussian: Fraction | float | None) -> str:
    if order is None:
        return "-"
    text = str(order) if isinstance(order, Fraction) else f"{order:g}"
    return (
        text if order == gaussian or gaussian is None else f"{text} ({_both(gaussian, gaussian)})"
    )
