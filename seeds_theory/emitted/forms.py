# Made by `make emitted` from seeds_theory.exact.
# Made from: sha256 af21c5d4c1e6830c83c4370494d47686
"""Propagators, noise kernels and noise rates of the semilinear forms (`seeds_theory.exact`)."""

from numpy import exp, sqrt


def data_propagator(t, s, eta, parameter):
    """Propagator of the data form; t and s are log-SNRs."""
    return exp((1 + eta) * (s - t))


def data_noise_kernel(t, s, eta, parameter):
    """Noise kernel of the data form; t and s are log-SNRs."""
    return sqrt(2 * eta) * exp(s * eta - t - t * eta)


def data_rate(eta):
    """The rate of the noise of the data form."""
    return eta


def noise_propagator(t, s, eta, parameter):
    """Propagator of the noise form; t and s are log-SNRs."""
    return 1


def noise_noise_kernel(t, s, eta, parameter):
    """Noise kernel of the noise form; t and s are log-SNRs."""
    return sqrt(2 * eta) * exp(-s)


def noise_rate(eta):
    """The rate of the noise of the noise form."""
    return -1


def F_propagator(t, s, eta, parameter):
    """Propagator of the F form; t and s are log-SNRs."""
    q = parameter**2
    q2 = q + exp(-2 * t)
    return (sqrt(q2 / (q + exp(-2 * s))) ** (1 + eta))


def F_noise_kernel(t, s, eta, parameter):
    """Noise kernel of the F form; t and s are log-SNRs."""
    q = parameter**2
    q2 = q + exp(-2 * t)
    return (sqrt(q2 / (q + exp(-2 * s))) ** (1 + eta)) * sqrt(2 * eta) * exp(-s)


def gaussian_propagator(t, s, eta, parameter):
    """Propagator of the gaussian form; t and s are log-SNRs."""
    return ((sqrt(parameter + exp(-2 * t)) / sqrt(parameter + exp(-2 * s))) ** (1 + eta))


def gaussian_noise_kernel(t, s, eta, parameter):
    """Noise kernel of the gaussian form; t and s are log-SNRs."""
    return ((sqrt(parameter + exp(-2 * t)) / sqrt(parameter + exp(-2 * s))) ** (1 + eta)) * sqrt(2 * eta) * exp(-s)


def rate_0_propagator(t, s, eta, parameter):
    """Propagator of the rate 0 form; t and s are log-SNRs."""
    return exp(s - t)


def rate_0_noise_kernel(t, s, eta, parameter):
    """Noise kernel of the rate 0 form; t and s are log-SNRs."""
    return sqrt(2 * eta) * exp(-t)


def rate_0_rate(eta):
    """The rate of the noise of the rate 0 form."""
    return 0


def rate_3_eta_propagator(t, s, eta, parameter):
    """Propagator of the rate 3*eta form; t and s are log-SNRs."""
    return exp((1 + 3 * eta) * (s - t))


def rate_3_eta_noise_kernel(t, s, eta, parameter):
    """Noise kernel of the rate 3*eta form; t and s are log-SNRs."""
    return sqrt(2 * eta) * exp(3 * s * eta - t - 3 * t * eta)


def rate_3_eta_rate(eta):
    """The rate of the noise of the rate 3*eta form."""
    return 3 * eta
