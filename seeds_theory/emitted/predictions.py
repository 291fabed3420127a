# Made by `make emitted` from seeds_theory.prediction.PREDICTIONS.
# Made from: sha256 1f214ed3ab1bbed0841430028e6a089f
"""What networks predict: D = skip x + out F at one noise level (`seeds_theory.prediction`)."""

from numpy import sqrt


def data(alpha, sigma, sigma_data):
    """Skip and out of a data prediction."""
    return (
        0,
        1,
    )


def noise(alpha, sigma, sigma_data):
    """Skip and out of a noise prediction."""
    return (
        1 / alpha,
        -sigma / alpha,
    )


def score(alpha, sigma, sigma_data):
    """Skip and out of a score prediction."""
    return (
        1 / alpha,
        sigma**2 / alpha,
    )


def v(alpha, sigma, sigma_data):
    """Skip and out of a v prediction."""
    q = alpha**2 + sigma**2
    return (
        alpha / q,
        -sigma / q,
    )


def flow(alpha, sigma, sigma_data):
    """Skip and out of a flow prediction."""
    q = alpha + sigma
    return (
        1 / q,
        -sigma / q,
    )


def F(alpha, sigma, sigma_data):
    """Skip and out of a F prediction."""
    q = sigma_data**2
    q2 = sigma**2 + q
    return (
        q / q2,
        sigma * sigma_data / sqrt(q2),
    )
