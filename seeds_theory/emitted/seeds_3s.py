# Made by `make emitted` from seeds_theory.methods (this project).
# Made from: sha256 db15d72414c705949ee4cef96b8c6de7
"""One step of seeds-3s: for each row its level, and the weights of state, integrands and normals.

Inputs: noise levels s > t, numbers or arrays, eta, nodes c_2 <= 1."""

from numpy import exp, expm1, log1p, sqrt

from seeds_theory.special_functions import damped_phi, phi


def data(s, t, eta, c_2):
    """The rows of seeds-3s, data prediction, from level s to t."""
    h = log1p((s - t) / t)
    kappa = 1 + eta
    z = -kappa * h
    s_2 = s * exp(-c_2 * h)
    z_2 = c_2 * z
    p_2 = exp(z_2)
    a_21 = -expm1(z_2)
    phi_2 = phi(2, z)
    q = 2 * phi(3, z) - c_2 * phi_2
    rest_2 = 1 - c_2
    q2 = phi_2 - q / rest_2
    phi_1 = phi(1, -2 * eta * h)
    root = sqrt(2 * eta * h / phi_1)
    decay = exp(-rest_2 * h)
    damped_3 = damped_phi(3, 2 * eta * h)
    n_21 = s_2 * c_2 * damped_3 * root * decay / (rest_2 * q2)
    damped_2 = damped_phi(2, 2 * eta * h)
    q3 = 3 * damped_phi(4, 2 * eta * h) - damped_2 * damped_3 / phi_1
    q4 = 2 * damped_3 - damped_2**2 / phi_1
    n_22 = s_2 * c_2 * q3 * sqrt(2 * eta * h / q4) * decay / (rest_2 * q2)
    q5 = 6 * damped_phi(5, 2 * eta * h) - q3**2 / q4 - damped_3**2 / phi_1
    root2 = sqrt(2 * q5 * eta * h)
    n_23 = s_2 * c_2 * root2 * decay / (rest_2 * q2)
    p_3 = exp(z)
    a_32 = -rest_2**2 * q2 * z / (c_2 * q)
    growth = expm1(z)
    a_31 = -growth - a_32
    q6 = 1 + eta - c_2 * kappa
    n_31 = t * (q6 * damped_2 / kappa - damped_3) * root / q
    root3 = sqrt(q4)
    n_32 = t * (q6 * root3 / kappa - q3 / root3) * sqrt(2 * eta * h) / q
    n_33 = -t * root2 / q
    b_2 = -q2 * z / c_2
    b_3 = -q * z / rest_2
    b_1 = -growth - b_2 - b_3
    n_t1 = t * sqrt(-expm1(-2 * eta * h))
    return (
        (s_2, p_2, (a_21,), (n_21, n_22, n_23)),
        (t, p_3, (a_31, a_32), (n_31, n_32, n_33)),
        (t, p_3, (b_1, b_2, b_3), (n_t1,)),
    )
