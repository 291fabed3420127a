# Made by `make emitted` from seeds_theory.noise.moment_factor.
# Made from: sha256 d6f06b6176202b2533d60f7cbef9db4d
"""The joint law of white-noise moments on one stretch (`seeds_theory.noise`)."""

from numpy import sqrt

from seeds_theory.special_functions import damped_phi, phi


def factor_1(rate, h):
    """`seeds_theory.noise.moment_factor` of a noise rate on a stretch of length h."""
    return (
        (sqrt(h * phi(1, -2 * rate * h)),),
    )


def factor_2(rate, h):
    """`seeds_theory.noise.moment_factor` of a noise rate on a stretch of length h."""
    phi_1 = phi(1, -2 * rate * h)
    q = 2 * rate * h
    damped_2 = damped_phi(2, q)
    q2 = h**3
    q3 = 2 * damped_phi(3, q) - damped_2**2 / phi_1
    return (
        (sqrt(h * phi_1), 0),
        (damped_2 * sqrt(q2 / phi_1), sqrt(q3 * q2)),
    )


def factor_3(rate, h):
    """`seeds_theory.noise.moment_factor` of a noise rate on a stretch of length h."""
    phi_1 = phi(1, -2 * rate * h)
    q = 2 * rate * h
    damped_2 = damped_phi(2, q)
    q2 = h**3
    damped_3 = damped_phi(3, q)
    q3 = 2 * damped_3 - damped_2**2 / phi_1
    q4 = h**5
    q5 = 3 * damped_phi(4, q) - damped_2 * damped_3 / phi_1
    q6 = 6 * damped_phi(5, q) - q5**2 / q3 - damped_3**2 / phi_1
    return (
        (sqrt(h * phi_1), 0, 0),
        (damped_2 * sqrt(q2 / phi_1), sqrt(q3 * q2), 0),
        (damped_3 * sqrt(q4 / phi_1), q5 * sqrt(q4 / q3), sqrt(q6 * q4)),
    )


def average(h, eta):
    """`seeds_theory.formula.average_formula`."""
    phi_1 = phi(1, -2 * eta * h)
    damped_2 = damped_phi(2, 2 * eta * h)
    kappa = 1 + eta
    q = h**3
    q2 = 2 * damped_phi(3, 2 * eta * h) - damped_2**2 / phi_1
    return (
        (sqrt(h * phi_1), 0),
        (kappa * damped_2 * sqrt(q / phi_1), kappa * sqrt(q2 * q)),
    )
