# Made by `make emitted` from seeds_theory.methods (SEEDS, Algorithm 2).
# Made from: sha256 183e8badc1cd00f53895870b039654b8
"""One step of seeds-1: for each row its level, and the weights of state, integrands and normals.

Inputs: noise levels s > t, numbers or arrays, eta."""

from numpy import exp, expm1, log1p, sqrt


def data(s, t, eta):
    """The rows of seeds-1, data prediction, from level s to t."""
    h = log1p((s - t) / t)
    z = -(1 + eta) * h
    p_t = exp(z)
    b_1 = -expm1(z)
    n_t1 = t * sqrt(-expm1(-2 * eta * h))
    return (
        (t, p_t, (b_1,), (n_t1,)),
    )


def noise(s, t, eta):
    """The rows of seeds-1, noise prediction, from level s to t."""
    h = log1p((s - t) / t)
    b_1 = -t * (1 + eta) * expm1(h)
    n_t1 = t * sqrt(eta * expm1(2 * h))
    return (
        (t, 1, (b_1,), (n_t1,)),
    )
