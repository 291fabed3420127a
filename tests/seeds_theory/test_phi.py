"""phi_k: its number to rounding, in every container, and its symbol."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch

from seeds_theory.errors import ParameterError, SeedsError
from seeds_theory.phi import (
    MAX_ORDER,
    DampedPhi,
    Phi,
    closed_form,
    damped_phi,
    integral,
    phi,
    taylor,
)
from seeds_theory.special_functions import _SERIES_RADIUS

ORDERS = range(MAX_ORDER + 1)
Z = sp.Symbol("z")


def exact(k: int, z: float) -> mpmath.mpf:
    """phi_k(z) with 50 digits, from the confluent hypergeometric function 1F1(1; k + 1; z)."""
    with mpmath.workdps(50):
        if k == 0:
            return mpmath.exp(mpmath.mpf(z))
        return mpmath.hyp1f1(1, k + 1, mpmath.mpf(z)) / mpmath.factorial(k)


def relative_errors(k: int, arguments: np.ndarray, values: np.ndarray) -> list[float]:
    pairs = zip(arguments.tolist(), values.tolist(), strict=True)
    with mpmath.workdps(50):
        return [float(abs(value / exact(k, z) - 1)) for z, value in pairs]


def arguments() -> np.ndarray:
    """All of [-100, 100]: magnitudes from 1e-300, and both sides of where the formula changes."""
    radius = _SERIES_RADIUS
    edges = [radius, math.nextafter(radius, 0), math.nextafter(radius, 10), radius + 1e-3, 1e-300]
    magnitudes = np.concatenate([np.logspace(-20, 2, 300), np.linspace(0.01, 100, 500), edges])
    return np.concatenate([[0.0], magnitudes, -magnitudes])


@pytest.mark.parametrize("k", ORDERS)
def test_accuracy_of_arrays_and_tensors(k: int) -> None:
    z = arguments()
    assert max(relative_errors(k, z, phi(k, z))) <= 1e-14
    assert max(relative_errors(k, z, phi(k, torch.tensor(z)).numpy())) <= 1e-14


@pytest.mark.parametrize("k", ORDERS)
@pytest.mark.parametrize("z", [0.0, -0.0, 1e-300, -1e-300, 1e-9, -0.5, 3.0, -3.0, 100.0, -100.0])
def test_accuracy_of_floats(k: int, z: float) -> None:
    value = phi(k, z)
    assert type(value) is float
    assert relative_errors(k, np.array([z]), np.array([value]))[0] <= 1e-14


@pytest.mark.parametrize("k", ORDERS)
def test_far_to_the_left_it_tends_to_zero_and_does_not_overflow(k: int) -> None:
    # phi_k(z) = -1 / (z (k-1)!) + O(1/z^2), and phi_0 underflows.
    value = phi(k, -1e4)
    leading = 0.0 if k == 0 else 1e-4 / math.factorial(k - 1)
    assert value == pytest.approx(leading, rel=1e-3)


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_keep_shape_and_dtype(shape: tuple[int, ...], dtype: type) -> None:
    z = np.linspace(-5, 5, int(np.prod(shape)), dtype=dtype).reshape(shape)
    value = phi(2, z)
    assert value.shape == shape
    assert value.dtype == dtype


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_keep_shape_and_dtype(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    value = phi(2, torch.ones(shape, dtype=dtype))
    assert value.shape == shape
    assert value.dtype == dtype


@pytest.mark.parametrize("k", ORDERS)
def test_float32_is_the_rounded_float64(k: int) -> None:
    z = np.linspace(-20, 20, 101, dtype=np.float32)
    expected = phi(k, z.astype(np.float64)).astype(np.float32)
    assert np.array_equal(phi(k, z), expected)
    assert np.array_equal(phi(k, torch.tensor(z)).numpy(), phi(k, torch.tensor(z).double()).float())


def test_integers_are_read_as_float64() -> None:
    assert phi(1, 1) == phi(1, 1.0)
    assert phi(1, np.array([1, -2])).tolist() == [phi(1, 1.0), phi(1, -2.0)]
    assert phi(1, torch.tensor([1, -2])).dtype == torch.float64


@pytest.mark.parametrize("k", ORDERS)
def test_gradient_is_phi_k_minus_k_phi_next(k: int) -> None:
    z = torch.tensor([0.0, 1e-300, 1e-8, 0.3, -0.3, 2.9, -2.9, 3.0, -3.0, 8.0, -8.0, 40.0, -40.0])
    z = z.double().requires_grad_()
    phi(k, z).sum().backward()
    assert z.grad is not None
    expected = [float(exact(k, x) - k * exact(k + 1, x)) for x in z.tolist()]
    assert z.grad.tolist() == pytest.approx(expected, rel=1e-12)


def test_gradient_passes_gradcheck() -> None:
    z = torch.tensor([0.5, -0.5, 5.0, -5.0], dtype=torch.float64, requires_grad=True)
    for k in ORDERS:
        assert torch.autograd.gradcheck(lambda x, k=k: phi(k, x), z)


@pytest.mark.parametrize("k", [-1, MAX_ORDER + 1, 1.5, math.nan, "1", None])
def test_orders_out_of_range_are_refused(k: object) -> None:
    with pytest.raises(ParameterError) as caught:
        phi(k, 1.0)  # type: ignore[call-overload]
    assert isinstance(caught.value, SeedsError)
    assert repr(k) in str(caught.value)


# ------------------------------------------------------------------------------------ the symbol


def test_symbol_simplifies_where_its_closed_form_cannot() -> None:
    assert Phi(0, Z) == sp.exp(Z)
    assert [Phi(k, 0) for k in range(5)] == [sp.Integer(1) / sp.factorial(k) for k in range(5)]
    assert isinstance(Phi(2, Z), Phi)


@pytest.mark.parametrize("k", range(1, 6))
@pytest.mark.parametrize("z", ["1/3", "-40", "-1e-20", "7"])
def test_evalf_has_the_digits_it_is_asked_for(k: int, z: str) -> None:
    argument = sp.Rational(z)
    with mpmath.workdps(70):
        reference = mpmath.hyp1f1(1, k + 1, mpmath.mpf(argument.p) / argument.q)
        value = mpmath.mpf(str(Phi(k, argument).evalf(45))) * mpmath.factorial(k)
        assert abs(value / reference - 1) < mpmath.mpf(10) ** -43


def test_evalf_leaves_a_symbol_alone() -> None:
    assert Phi(2, Z).evalf() == Phi(2, Z)


@pytest.mark.parametrize("k", range(1, 6))
def test_derivative(k: int) -> None:
    assert Phi(k, Z).diff(Z) == Phi(k, Z) - k * Phi(k + 1, Z)
    assert Phi(k, -2 * Z).diff(Z) == -2 * (Phi(k, -2 * Z) - k * Phi(k + 1, -2 * Z))
    of_closed_form = closed_form(k, Z).diff(Z)
    assert sp.simplify(Phi(k, Z).diff(Z).doit() - of_closed_form) == 0


@pytest.mark.parametrize("k", range(1, 6))
def test_doit_is_the_closed_form_and_solves_the_recurrence(k: int) -> None:
    assert Phi(k, Z).doit() == closed_form(k, Z)
    assert sp.simplify(Phi(k, 2 * Z).doit() - closed_form(k, 2 * Z)) == 0
    step = (closed_form(k, Z) - 1 / sp.factorial(k)) / Z
    assert sp.simplify(closed_form(k + 1, Z) - step) == 0


@pytest.mark.parametrize("k", range(1, 6))
def test_integral_and_taylor_series_agree_with_the_number(k: int) -> None:
    z = sp.Rational(-3, 10)
    assert float(integral(k, z).evalf(20)) == pytest.approx(phi(k, -0.3), rel=1e-14)
    assert float(taylor(k, z, 15)) == pytest.approx(phi(k, -0.3), rel=1e-14)


def test_latex() -> None:
    assert sp.latex(Phi(2, -2 * Z)) == r"\varphi_{2}\left(- 2 z\right)"
    assert sp.latex(Phi(2, Z) ** 2) == r"\varphi_{2}^{2}\left(z\right)"
    assert sp.latex(Phi(sp.Symbol("k"), Z)) == r"\varphi_{k}\left(z\right)"


@pytest.mark.parametrize("k", range(1, MAX_ORDER + 1))
def test_the_damped_function_keeps_its_digits_and_stays_finite(k: int) -> None:
    for z in (-20.0, -0.3, 0.0, 1e-9, 0.7, 2.999, 3.001, 40.0, 1e3, 1e8):
        with mpmath.workdps(50):
            wanted = mpmath.hyp1f1(k, k + 1, -mpmath.mpf(z)) / mpmath.factorial(k)
            assert abs(float(damped_phi(k, z) / wanted - 1)) < 2e-14
    many = np.array([0.5, 5.0, 1e6])
    assert damped_phi(k, many).tolist() == [float(damped_phi(k, z)) for z in many]


@pytest.mark.parametrize("k", range(1, MAX_ORDER + 1))
def test_the_damped_symbol_is_the_product(k: int) -> None:
    damped = DampedPhi(k, Z)
    assert sp.simplify(damped.doit() - (sp.exp(-Z) * Phi(k, Z)).doit()) == 0
    slope = sp.diff(damped.doit(), Z) - sp.diff(damped, Z).doit()
    assert sp.simplify(slope) == 0
    assert DampedPhi(k, 0) == 1 / sp.factorial(k)
    assert float(DampedPhi(k, sp.Rational(1, 3)).evalf()) == pytest.approx(
        float(damped_phi(k, 1 / 3)), rel=1e-14
    )
