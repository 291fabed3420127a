# Made by `make emitted` from seeds_theory.methods (this project).
# Made from: sha256 f8a241a0036b5b4e5668868cfe8b6565
"""One step of seeds-4s: for each row its level, and the weights of state, integrands and normals.

Inputs: noise levels s > t, numbers or arrays, eta."""

from numpy import exp, expm1, log1p, sqrt

from seeds_theory.special_functions import phi


def data(s, t, eta):
    """The rows of seeds-4s, data prediction, from level s to t."""
    h = log1p((s - t) / t)
    z = -(1 + eta) * h
    s_2 = s * exp(-53 * h / 165)
    p_2 = exp(53 * z / 165)
    a_21 = -expm1(53 * z / 165)
    phi_1 = phi(1, -2 * eta * h)
    root = sqrt(2 * eta * h / phi_1)
    phi_1_2 = phi(1, -106 * eta * h / 165)
    n_21 = 53 * s_2 * phi_1_2 * root * exp(-112 * eta * h / 165) / 165
    phi_1_3 = phi(1, -224 * eta * h / 165)
    n_22 = 212 * s_2 * sqrt(6 * eta * h * phi_1_3 * phi_1_2 / phi_1) / 825
    n_23 = 16 * s_2 * sqrt(106 * eta * h * phi_1_3 * phi_1_2 / phi_1) / 825
    s_3 = s * exp(-h / 3)
    p_3 = exp(z / 3)
    a_32 = -55 * z * phi(2, z / 3) / 159
    a_31 = -expm1(z / 3) - a_32
    phi_1_4 = phi(1, -2 * eta * h / 3)
    n_31 = s_3 * phi_1_4 * root * exp(-2 * eta * h / 3) / 3
    phi_1_5 = phi(1, -4 * eta * h / 3)
    n_32 = 7 * s_3 * sqrt(6 * eta * h * phi_1_5 * phi_1_4 / phi_1) / 30
    n_33 = s_3 * sqrt(106 * eta * h * phi_1_5 * phi_1_4 / phi_1) / 30
    s_4 = s * exp(-5 * h / 6)
    p_4 = exp(5 * z / 6)
    a_42 = -1375 * z * phi(2, 5 * z / 6) / 636
    a_41 = -expm1(5 * z / 6) - a_42
    phi_1_6 = phi(1, -5 * eta * h / 3)
    n_41 = 5 * s_4 * phi_1_6 * root * exp(-eta * h / 6) / 6
    phi_1_7 = phi(1, -eta * h / 3)
    n_42 = s_4 * sqrt(6 * eta * h * phi_1_6 * phi_1_7 / phi_1) / 8
    n_43 = -s_4 * sqrt(106 * eta * h * phi_1_6 * phi_1_7 / phi_1) / 24
    p_t = exp(z)
    phi_2 = phi(2, z)
    phi_3 = phi(3, z)
    b_3 = -(5 * phi_2 - 12 * phi_3) * z
    b_4 = -(24 * phi_3 / 5 - 4 * phi_2 / 5) * z
    b_1 = -expm1(z) - b_3 - b_4
    n_t1 = t * sqrt(-expm1(-2 * eta * h))
    return (
        (s_2, p_2, (a_21,), (n_21, n_22, n_23)),
        (s_3, p_3, (a_31, a_32), (n_31, n_32, n_33)),
        (s_4, p_4, (a_41, a_42, 0), (n_41, n_42, n_43)),
        (t, p_t, (b_1, 0, b_3, b_4), (n_t1,)),
    )
