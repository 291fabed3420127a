import math

import pytest
import sympy as sp
import torch

from proofs_checks.least_defect import enclosed, step

x, y = sp.symbols("x y")


def test_a_minimum_is_enclosed_and_its_value_too():
    # (x - 2)^2 + (x - 4)^2 + (2 y - 1)^2 is least at 3 and 1/2, where it is 2.
    total, inside, definite = enclosed([x - 2, x - 4, 2 * y - 1], [x, y], ["2.9", "0.4"], "1e-20")
    assert inside
    assert definite
    assert total.a <= 2 <= total.b
    assert float(total.delta) < 1e-18


def test_a_maximum_is_no_minimum():
    _, inside, definite = enclosed([x**2 - 1], [x], ["0"], "1e-20")
    assert inside
    assert not definite


def test_a_box_is_not_proved_to_hold_a_root_that_is_elsewhere():
    # The half of ((x^2 + 1)^2 - ...)' has no root near 10 to which four Newton steps lead.
    _, inside, _ = enclosed([x**8 - 1], [x], ["10"], "1e-20")
    assert not inside


def test_a_step_is_exact_for_a_constant_and_for_the_noise_of_the_end():
    start, normals = torch.full((1, 1), 3.0, dtype=torch.float64), torch.zeros(2, 1, 1).double()
    gain = 0.25  # (1/2)^2
    plain = step(lambda y, _: torch.full_like(y, 0.7), start, 2.0, 1.0, normals)
    assert float(plain) == pytest.approx(gain * 3.0 + (1 - gain) * 0.7, abs=1e-12)
    normals[0] = 1.0
    noisy = step(lambda y, _: torch.full_like(y, 0.7), start, 2.0, 1.0, normals)
    assert float(noisy - plain) == pytest.approx(math.sqrt(1 - gain), abs=1e-12)


def test_a_denoiser_that_is_linear_in_the_log_snr_is_integrated_exactly():
    start, normals = torch.zeros(1, 1, dtype=torch.float64), torch.zeros(2, 1, 1).double()
    end = step(lambda y, sigma: torch.full_like(y, -math.log(sigma)), start, 1.0, 0.5, normals)
    h = math.log(2)
    assert float(end) == pytest.approx(h - (1 - math.exp(-2 * h)) / 2, abs=1e-12)
