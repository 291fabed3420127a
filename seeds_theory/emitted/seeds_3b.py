# Made by `make emitted` from seeds_theory.methods (SEEDS, Algorithm 4, type 3b).
# Made from: sha256 007ea67e10cffe2e4837e0e2002765a6
"""One step of seeds-3b: for each row its level, and the weights of state, integrands and normals.

Inputs: noise levels s > t, numbers or arrays, eta, nodes c_2 < c_3 <= 1."""

from numpy import exp, expm1, log1p, sqrt

from seeds_theory.special_functions import phi


def data(s, t, eta, c_2, c_3):
    """The rows of seeds-3b, data prediction, from level s to t."""
    h = log1p((s - t) / t)
    z = -(1 + eta) * h
    s_2 = s * exp(-c_2 * h)
    z_2 = c_2 * z
    p_2 = exp(z_2)
    a_21 = -expm1(z_2)
    std = sqrt(-expm1(-2 * c_2 * eta * h))
    n_21 = s_2 * std
    s_3 = s * exp(-c_3 * h)
    z_3 = c_3 * z
    p_3 = exp(z_3)
    a_32 = -c_3**2 * z * phi(2, z_3) / c_2
    a_31 = -expm1(z_3) - a_32
    gap_23 = c_3 - c_2
    n_31 = s_3 * std * exp(-gap_23 * eta * h)
    std2 = sqrt(-expm1(-2 * gap_23 * eta * h))
    n_32 = s_3 * std2
    p_t = exp(z)
    phi_3 = phi(3, z)
    phi_2 = phi(2, z)
    b_2 = -(2 * phi_3 - c_3 * phi_2) * z / (c_2 * (c_2 - c_3))
    b_3 = -(2 * phi_3 - c_2 * phi_2) * z / (c_3 * gap_23)
    b_1 = -expm1(z) - b_2 - b_3
    n_t1 = t * std * exp(-(1 - c_2) * eta * h)
    rest_3 = 1 - c_3
    n_t2 = t * std2 * exp(-rest_3 * eta * h)
    n_t3 = t * sqrt(-expm1(-2 * rest_3 * eta * h))
    return (
        (s_2, p_2, (a_21,), (n_21,)),
        (s_3, p_3, (a_31, a_32), (n_31, n_32)),
        (t, p_t, (b_1, b_2, b_3), (n_t1, n_t2, n_t3)),
    )


def noise(s, t, eta, c_2, c_3):
    """The rows of seeds-3b, noise prediction, from level s to t."""
    h = log1p((s - t) / t)
    s_2 = s * exp(-c_2 * h)
    kappa = 1 + eta
    a_21 = -s_2 * kappa * expm1(c_2 * h)
    std = sqrt(eta * expm1(2 * c_2 * h))
    n_21 = s_2 * std
    s_3 = s * exp(-c_3 * h)
    h_3 = c_3 * h
    a_32 = -s_3 * c_3**2 * kappa * h * phi(2, h_3) / c_2
    a_31 = -s_3 * kappa * expm1(h_3) - a_32
    gap_23 = c_3 - c_2
    n_31 = s_3 * std * exp(gap_23 * h)
    std2 = sqrt(eta * expm1(2 * gap_23 * h))
    n_32 = s_3 * std2
    phi_3 = phi(3, h)
    phi_2 = phi(2, h)
    b_2 = -t * kappa * (2 * phi_3 - c_3 * phi_2) * h / (c_2 * (c_2 - c_3))
    b_3 = -t * kappa * (2 * phi_3 - c_2 * phi_2) * h / (c_3 * gap_23)
    b_1 = -t * kappa * expm1(h) - b_2 - b_3
    n_t1 = t * std * exp((1 - c_2) * h)
    rest_3 = 1 - c_3
    n_t2 = t * std2 * exp(rest_3 * h)
    n_t3 = t * sqrt(eta * expm1(2 * rest_3 * h))
    return (
        (s_2, 1, (a_21,), (n_21,)),
        (s_3, 1, (a_31, a_32), (n_31, n_32)),
        (t, 1, (b_1, b_2, b_3), (n_t1, n_t2, n_t3)),
    )


def data_10(s, t, eta, c_2, c_3):
    """The rows of seeds-3b, data prediction, from level s to t; its stages are at c_3, c_2."""
    h = log1p((s - t) / t)
    z = -(1 + eta) * h
    s_2 = s * exp(-c_3 * h)
    z_3 = c_3 * z
    p_2 = exp(z_3)
    a_21 = -expm1(z_3)
    std = sqrt(-expm1(-2 * c_2 * eta * h))
    gap_23 = c_3 - c_2
    n_21 = s_2 * std * exp(-gap_23 * eta * h)
    std2 = sqrt(-expm1(-2 * gap_23 * eta * h))
    n_22 = s_2 * std2
    s_3 = s * exp(-c_2 * h)
    z_2 = c_2 * z
    p_3 = exp(z_2)
    a_32 = -c_2**2 * z * phi(2, z_2) / c_3
    a_31 = -expm1(z_2) - a_32
    n_31 = s_3 * std
    p_t = exp(z)
    phi_3 = phi(3, z)
    phi_2 = phi(2, z)
    b_2 = -(2 * phi_3 - c_2 * phi_2) * z / (c_3 * gap_23)
    b_3 = -(2 * phi_3 - c_3 * phi_2) * z / (c_2 * (c_2 - c_3))
    b_1 = -expm1(z) - b_2 - b_3
    n_t1 = t * std * exp(-(1 - c_2) * eta * h)
    rest_3 = 1 - c_3
    n_t2 = t * std2 * exp(-rest_3 * eta * h)
    n_t3 = t * sqrt(-expm1(-2 * rest_3 * eta * h))
    return (
        (s_2, p_2, (a_21,), (n_21, n_22)),
        (s_3, p_3, (a_31, a_32), (n_31,)),
        (t, p_t, (b_1, b_2, b_3), (n_t1, n_t2, n_t3)),
    )


def noise_10(s, t, eta, c_2, c_3):
    """The rows of seeds-3b, noise prediction, from level s to t; its stages are at c_3, c_2."""
    h = log1p((s - t) / t)
    s_2 = s * exp(-c_3 * h)
    kappa = 1 + eta
    a_21 = -s_2 * kappa * expm1(c_3 * h)
    std = sqrt(eta * expm1(2 * c_2 * h))
    gap_23 = c_3 - c_2
    n_21 = s_2 * std * exp(gap_23 * h)
    std2 = sqrt(eta * expm1(2 * gap_23 * h))
    n_22 = s_2 * std2
    s_3 = s * exp(-c_2 * h)
    h_2 = c_2 * h
    a_32 = -s_3 * c_2**2 * kappa * h * phi(2, h_2) / c_3
    a_31 = -s_3 * kappa * expm1(h_2) - a_32
    n_31 = s_3 * std
    phi_3 = phi(3, h)
    phi_2 = phi(2, h)
    b_2 = -t * kappa * (2 * phi_3 - c_2 * phi_2) * h / (c_3 * gap_23)
    b_3 = -t * kappa * (2 * phi_3 - c_3 * phi_2) * h / (c_2 * (c_2 - c_3))
    b_1 = -t * kappa * expm1(h) - b_2 - b_3
    n_t1 = t * std * exp((1 - c_2) * h)
    rest_3 = 1 - c_3
    n_t2 = t * std2 * exp(rest_3 * h)
    n_t3 = t * sqrt(eta * expm1(2 * rest_3 * h))
    return (
        (s_2, 1, (a_21,), (n_21, n_22)),
        (s_3, 1, (a_31, a_32), (n_31,)),
        (t, 1, (b_1, b_2, b_3), (n_t1, n_t2, n_t3)),
    )
