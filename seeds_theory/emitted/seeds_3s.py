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
    q3 = -2 * eta * h
    phi_1 = phi(1, q3)
    root = sqrt(2 * eta * h / phi_1)
    decay = exp(-rest_2 * h)
    q4 = 2 * eta * h
    damped_3 = damped_phi(3, q4)
    n_21 = s_2 * c_2 * damped_3 * root * decay / (rest_2 * q2)
    damped_2 = damped_phi(2, q4)
    q5 = 3 * damped_phi(4, q4) - damped_2 * damped_3 / phi_1
    q6 = 2 * damped_3 - damped_2**2 / phi_1
    n_22 = s_2 * c_2 * q5 * sqrt(2 * eta * h / q6) * decay / (rest_2 * q2)
    root2 = sqrt(2 * (6 * damped_phi(5, q4) - q5**2 / q6 - damped_3**2 / phi_1) * eta * h)
    n_23 = s_2 * c_2 * root2 * decay / (rest_2 * q2)
    s_3 = s * exp(-h)
    p_3 = exp(z)
    a_32 = -rest_2**2 * q2 * z / (c_2 * q)
    growth = expm1(z)
    a_31 = -growth - a_32
    q7 = 1 + eta - c_2 * kappa
    n_31 = s_3 * (q7 * damped_2 / kappa - damped_3) * root / q
    root3 = sqrt(q6)
    n_32 = s_3 * (q7 * root3 / kappa - q5 / root3) * sqrt(q4) / q
    n_33 = -s_3 * root2 / q
    b_2 = -q2 * z / c_2
    b_3 = -q * z / rest_2
    b_1 = -growth - b_2 - b_3
    n_t1 = t * sqrt(-expm1(q3))
    return (
        (s_2, p_2, (a_21,), (n_21, n_22, n_23)),
        (s_3, p_3, (a_31, a_32), (n_31, n_32, n_33)),
        (t, p_3, (b_1, b_2, b_3), (n_t1,)),
    )
