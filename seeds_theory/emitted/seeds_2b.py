# Made by `make emitted` from seeds_theory.methods (SEEDS, Algorithm 3, type 2b).
# Made from: sha256 da9bdbbc75c7ee5f116ddc2757824936
"""One step of seeds-2b: for each row its level, and the weights of state, integrands and normals.

Inputs: noise levels s > t, numbers or arrays, eta, nodes c_2 <= 1."""

from numpy import exp, expm1, log1p, sqrt

from seeds_theory.special_functions import phi


def data(s, t, eta, c_2):
    """The rows of seeds-2b, data prediction, from level s to t."""
    h = log1p((s - t) / t)
    z = -(1 + eta) * h
    s_2 = s * exp(-c_2 * h)
    z_2 = c_2 * z
    p_2 = exp(z_2)
    a_21 = -expm1(z_2)
    std = sqrt(-expm1(-2 * c_2 * eta * h))
    n_21 = s_2 * std
    p_t = exp(z)
    b_2 = -z * phi(2, z) / c_2
    b_1 = -expm1(z) - b_2
    rest_2 = 1 - c_2
    n_t1 = t * std * exp(-rest_2 * eta * h)
    n_t2 = t * sqrt(-expm1(-2 * rest_2 * eta * h))
    return (
        (s_2, p_2, (a_21,), (n_21,)),
        (t, p_t, (b_1, b_2), (n_t1, n_t2)),
    )


def noise(s, t, eta, c_2):
    """The rows of seeds-2b, noise prediction, from level s to t."""
    h = log1p((s - t) / t)
    s_2 = s * exp(-c_2 * h)
    kappa = 1 + eta
    a_21 = -s_2 * kappa * expm1(c_2 * h)
    std = sqrt(eta * expm1(2 * c_2 * h))
    n_21 = s_2 * std
    b_2 = -t * kappa * h * phi(2, h) / c_2
    b_1 = -t * kappa * expm1(h) - b_2
    rest_2 = 1 - c_2
    n_t1 = t * std * exp(rest_2 * h)
    n_t2 = t * sqrt(eta * expm1(2 * rest_2 * h))
    return (
        (s_2, 1, (a_21,), (n_21,)),
        (t, 1, (b_1, b_2), (n_t1, n_t2)),
    )
