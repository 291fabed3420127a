# Made by `make emitted` from seeds_theory.methods (SEEDS, Algorithm 3, type 2a).
# Made from: sha256 ac96e7df0292e4520916a0b45253c633
"""One step of seeds-2: for each row its level, and the weights of state, integrands and normals.

Inputs: noise levels s > t, numbers or arrays, eta, nodes c_2 <= 1."""

from numpy import exp, expm1, log1p, sqrt


def data(s, t, eta, c_2):
    """The rows of seeds-2, data prediction, from level s to t."""
    h = log1p((s - t) / t)
    z = -(1 + eta) * h
    s_2 = s * exp(-c_2 * h)
    z_2 = c_2 * z
    p_2 = exp(z_2)
    a_21 = -expm1(z_2)
    std = sqrt(-expm1(-2 * c_2 * eta * h))
    n_21 = s_2 * std
    p_t = exp(z)
    growth = expm1(z)
    b_2 = -growth / (2 * c_2)
    b_1 = -growth - b_2
    rest_2 = 1 - c_2
    n_t1 = t * std * exp(-rest_2 * eta * h)
    n_t2 = t * sqrt(-expm1(-2 * rest_2 * eta * h))
    return (
        (s_2, p_2, (a_21,), (n_21,)),
        (t, p_t, (b_1, b_2), (n_t1, n_t2)),
    )


def noise(s, t, eta, c_2):
    """The rows of seeds-2, noise prediction, from level s to t."""
    h = log1p((s - t) / t)
    s_2 = s * exp(-c_2 * h)
    kappa = 1 + eta
    a_21 = -s_2 * kappa * expm1(c_2 * h)
    std = sqrt(eta * expm1(2 * c_2 * h))
    n_21 = s_2 * std
    growth = expm1(h)
    b_2 = -t * kappa * growth / (2 * c_2)
    b_1 = -t * kappa * growth - b_2
    rest_2 = 1 - c_2
    n_t1 = t * std * exp(rest_2 * h)
    n_t2 = t * sqrt(eta * expm1(2 * rest_2 * h))
    return (
        (s_2, 1, (a_21,), (n_21,)),
        (t, 1, (b_1, b_2), (n_t1, n_t2)),
    )
