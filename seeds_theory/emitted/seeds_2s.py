# Made by `make emitted` from seeds_theory.methods (this project).
# Made from: sha256 a216a1778765ce192d495edc39419fe2
"""One step of seeds-2s: for each row its level, and the weights of state, integrands and normals.

Inputs: noise levels s > t, numbers or arrays, eta, nodes c_2 <= 1."""

from numpy import exp, expm1, log1p, sqrt

from seeds_theory.special_functions import damped_phi, phi


def data(s, t, eta, c_2):
    """The rows of seeds-2s, data prediction, from level s to t."""
    h = log1p((s - t) / t)
    z = -(1 + eta) * h
    s_2 = s * exp(-c_2 * h)
    z_2 = c_2 * z
    p_2 = exp(z_2)
    a_21 = -expm1(z_2)
    decay = exp(-(1 - c_2) * h)
    damped_2 = damped_phi(2, 2 * eta * h)
    phi_1 = phi(1, -2 * eta * h)
    phi_2 = phi(2, z)
    n_21 = s_2 * c_2 * damped_2 * sqrt(2 * eta * h / phi_1) * decay / phi_2
    q = 2 * damped_phi(3, 2 * eta * h) - damped_2**2 / phi_1
    n_22 = s_2 * c_2 * sqrt(2 * q * eta * h) * decay / phi_2
    p_t = exp(z)
    b_2 = -z * phi_2 / c_2
    b_1 = -expm1(z) - b_2
    n_t1 = t * sqrt(-expm1(-2 * eta * h))
    return (
        (s_2, p_2, (a_21,), (n_21, n_22)),
        (t, p_t, (b_1, b_2), (n_t1,)),
    )
