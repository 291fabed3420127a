# Made by `make emitted` from seeds_theory.multistep.multistep_formula.
# Made from: sha256 edab04e5ba21af72452c104c7e349ea4
"""One step of seeds-2m: the level of its stage, and the weights of state, estimates and normals.

Inputs: noise levels s > t, eta, the node c_m of the stage, and in units of the step how far the
last stage is before s, and the one before that before the last; gap is infinite in a first step."""

from numpy import exp, expm1, log1p, sqrt

from seeds_theory.special_functions import damped_phi, phi


def node(d):
    """The best node, if the last stage is d steps before the start of this one."""
    return (3 + 8 * d) / (4 + 12 * d)


def step(s, t, eta, c_m, d, gap):
    """From level s to t: s_m, the weights of stage and step, N_1, (M_1, M_2)."""
    h = log1p((s - t) / t)
    kappa = 1 + eta
    z = -kappa * h
    s_m = s * exp(-c_m * h)
    z_m = c_m * z
    p_m = exp(z_m)
    growth_m = expm1(z_m)
    a_2 = (c_m**2 * z * phi(2, z_m) + d * growth_m) / gap
    a_1 = -growth_m - a_2
    p_t = exp(z)
    growth = expm1(z)
    b_0 = -(z * phi(2, z) + d * growth) / (d + c_m)
    b_1 = -growth - b_0
    N_1 = t * sqrt(-expm1(-2 * eta * h))
    damped_2 = damped_phi(2, 2 * eta * h)
    phi_1 = phi(1, -2 * eta * h)
    q = h**3
    M_1 = t * kappa * damped_2 * sqrt(2 * eta * q / phi_1)
    q2 = 2 * damped_phi(3, 2 * eta * h) - damped_2**2 / phi_1
    M_2 = t * kappa * sqrt(2 * q2 * eta * q)
    return (
        s_m,
        (p_m, a_1, a_2),
        (p_t, b_0, b_1),
        N_1,
        (M_1, M_2),
    )
