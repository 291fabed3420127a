"""What a curve of errors says: an order with its band, or why there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from proofs_checks.audit.orders import Curve, Verdict, curve, followed, signed_norm

STEPS = (16, 32, 64, 128, 256)


def errors(order: float, first: float = 1.0, drift: float = 0.0) -> list[float]:
    return [first * (1 + drift / n) * n**-order for n in STEPS]


def with_slopes(*slopes: float, first: float = 1.0) -> Curve:
    values = [first]
    for slope in slopes:
        values.append(values[-1] * 2**-slope)
    return curve([16 * 2**i for i in range(len(values))], values)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 3.0, 4.0])
def test_a_power_law_with_its_first_correction_is_settled(order: float) -> None:
    found = curve(STEPS, errors(order, drift=3.0)).order
    assert found.verdict is Verdict.settled
    assert found.value == pytest.approx(order, abs=0.02)
    assert curve(STEPS, errors(order)).slopes == pytest.approx([order] * 4)


@pytest.mark.parametrize(
    "slopes",
    [(2.82, 2.65, 2.22, 2.00, 1.97), (2.40, 2.21, 2.1, 2.02), (1.74, 1.87, 1.93), (0.6, 0.8, 0.9)],
)
def test_a_band_holds_the_last_slopes_or_there_is_no_order(slopes: tuple[float, ...]) -> None:
    found = with_slopes(*slopes).order
    if found.value is None:
        assert found.verdict is Verdict.moving
        assert str(found).startswith("not settled: ")
        return
    assert found.uncertainty is not None
    for slope in slopes[-2:]:
        assert abs(found.value - slope) <= found.uncertainty + 1e-9


def test_slopes_that_tend_to_an_order_settle_on_it() -> None:
    found = with_slopes(1.49, 1.74, 1.87, 1.93).order
    assert found.value == pytest.approx(2.0, abs=0.05)
    assert str(found).startswith("1.99 ± 0.12")


@pytest.mark.parametrize(
    "slopes", [(3.0, 2.8, 2.3, 2.9), (1.0, 1.5, 2.0, 2.5), (2.0, 2.0, 1.5, 1.0)]
)
def test_slopes_that_move_have_no_order_but_are_told(slopes: tuple[float, ...]) -> None:
    found = with_slopes(*slopes).order
    assert (found.value, found.verdict) == (None, Verdict.moving)
    assert str(found) == "not settled: " + ", ".join(f"{slope:.2f}" for slope in slopes)
    assert found.least == pytest.approx({2.9: 2.3, 2.5: 2.0, 1.0: 0.5}[slopes[-1]])


@pytest.mark.parametrize("slopes", [(0.1, -0.06, -0.02, -0.01), (1.0, 0.5, 0.2, 0.05), (0.0,) * 4])
def test_errors_that_do_not_vanish_stand_still(slopes: tuple[float, ...]) -> None:
    found = with_slopes(*slopes).order
    assert (found.verdict, found.value, found.least) == (Verdict.standing, None, 0.0)


def test_errors_that_grow_or_are_infinite_stand_still() -> None:
    assert curve(STEPS, [1.0, 2.0, 4.0, 8.0, 16.0]).order.verdict is Verdict.standing
    assert curve(STEPS, [1.0, 0.5, math.inf, math.inf, math.inf]).order.verdict is Verdict.standing


@pytest.mark.parametrize("floor", [1e-6, 1e-7, 1e-9])
def test_a_tail_of_rounding_is_left_out(floor: float) -> None:
    """Errors of order 3 that end in numbers of no order at `floor`."""
    clean = errors(3.0)
    clean = [e / clean[3] * 10 * floor for e in clean]
    found = curve((*STEPS, 512), [*clean[:4], 0.8 * floor, 1.1 * floor], 1e-5).order
    assert found.value == pytest.approx(3.0, abs=0.1)
    assert len(found.slopes) == 3


@pytest.mark.parametrize("last", [0.5, 2e-3, 1e-4])
def test_a_tail_that_is_no_rounding_is_kept(last: float) -> None:
    """Above 1e-5 an error that does not shrink is the sampler's own."""
    found = curve(STEPS, [*[e * 10 for e in errors(1.0)[:3]], last, 1.05 * last]).order
    assert found.verdict in (Verdict.standing, Verdict.moving)


@pytest.mark.parametrize(
    "values", [[0.0] * 5, [1e-14, 3e-13, 2e-14, 1e-13, 5e-14], [1e-6, 4e-7, 5e-7, 6e-7, 8e-7]]
)
def test_errors_of_rounding_put_no_bound_on_an_order(values: list[float]) -> None:
    found = curve(STEPS, values, 1e-5).order
    assert (found.verdict, found.least) == (Verdict.rounding, math.inf)
    assert "rounding" in str(found)


def test_a_curve_is_followed_to_finer_grids_until_it_settles_or_that_takes_too_long() -> None:
    asked: list[tuple[int, ...]] = []

    def on_grids(steps) -> Curve:
        asked.append(tuple(steps))
        return curve(steps, [n**-2.0 * (1 + 40 / n) for n in steps])

    assert followed(on_grids, (4, 8, 16), 4096, lambda: True).order.verdict is Verdict.settled
    assert len(asked) > 2
    count = len(asked)
    assert followed(on_grids, (4, 8, 16), 4096, lambda: False).order.verdict is Verdict.moving
    assert followed(on_grids, (4, 8, 16), 16, lambda: True).order.verdict is Verdict.moving
    assert len(asked) == count + 2


@pytest.mark.parametrize("order", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("zero", [45.0, 150.0])
def test_errors_that_change_sign_show_where_their_local_orders_tend(
    order: float, zero: float
) -> None:
    """Errors n^-p (1 - zero/n + ...): local orders rise, fall below p and come up again."""
    steps = [16 * 2**i for i in range(7)]
    signed = [(1 - zero / n + 60 / n**2) * n**-order for n in steps]
    found = curve(steps, signed).order
    assert found.verdict is Verdict.moving or found.value == pytest.approx(order, abs=0.1)
    assert found.least == pytest.approx(order, abs=0.05)
    if found.verdict is Verdict.moving:
        assert str(found).endswith(f", to {found.least:.2f} after a change of sign")
        assert not found.undecided
    assert curve(steps, [-error for error in signed]).order == found
    unsigned = curve(steps, [abs(error) for error in signed]).order
    assert unsigned.tends_to is None


def test_a_change_of_sign_alone_shows_no_order() -> None:
    alternating = [(-1) ** i * n**-2.0 for i, n in enumerate(STEPS)]
    assert curve(STEPS, alternating).order.tends_to is None
    just_now = [(1 - 200 / n) * n**-2.0 for n in STEPS]  # between the last two
    assert curve(STEPS, just_now).order.tends_to is None
    uneven = [3, 5, 9, 17, 33, 65, 129]
    assert curve(uneven, [(1 - 20 / n) * n**-2.0 for n in uneven]).order.tends_to is None
    three_terms = [(1 - 30 / n + 8e3 / n**2 - 3e5 / n**3) * n**-1.0 for n in STEPS]
    found = curve(STEPS, three_terms).order
    assert found.tends_to is None
    assert found.undecided


def test_a_lower_order_that_comes_late_is_not_the_higher_one() -> None:
    """n^-2 against n^-1 of the other sign: the error changes sign, and its order is 1."""
    steps = [16 * 2**i for i in range(7)]
    found = curve(steps, [1e-3 / n - 0.2 / n**2 for n in steps]).order
    assert found.least == pytest.approx(1.0, abs=0.05)
    assert found.slopes[-1] < 1


def test_a_norm_has_the_sign_of_its_largest_entry() -> None:
    assert signed_norm(np.array([3.0, -4.0])) == -5.0
    assert signed_norm(np.array([3.0, 4.0])) == 5.0
    assert signed_norm(np.zeros(2)) == 0.0
