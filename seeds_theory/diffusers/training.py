"""The tables of diffusers' training schedules."""

from __future__ import annotations

import math

import numpy as np

from seeds_theory.errors import unknown


def betas(count: int, start: float, end: float, name: str) -> np.ndarray:
    """The table of betas of that name, one for each of the training timesteps.

    Raises
    ------
    UnknownNameError : lists the known ones.
    """
    if name == "linear":
        return np.linspace(start, end, count)
    if name == "scaled_linear":
        return np.linspace(math.sqrt(start), math.sqrt(end), count) ** 2
    if name == "squaredcos_cap_v2":  # Nichol and Dhariwal 2021, eq. 17
        times = np.arange(count + 1) / count
        squares = np.cos((times + 0.008) / 1.008 * math.pi / 2) ** 2
        return np.minimum(1 - squares[1:] / squares[:-1], 0.999)
    known = ("linear", "scaled_linear", "squaredcos_cap_v2")
    raise unknown("beta_schedule", name, known, "; others as trained_betas")


def alphas_cumprod(betas: np.ndarray, *, zero_snr: bool, snr_shift: float = 1.0) -> np.ndarray:
    r"""The products :math:`\bar\alpha = \alpha^2` of a schedule.

    zero_snr : alpha is shifted to end at 0 and scaled to begin where it did (Lin et al. 2024, algorithm 1).
    snr_shift : the signal-to-noise ratio is divided by it, before that.
    """
    products = np.cumprod(1 - betas)
    products = products / (products + snr_shift * (1 - products))
    if not zero_snr:
        return products
    alpha = np.sqrt(products)
    return ((alpha - alpha[-1]) * (alpha[0] / (alpha[0] - alpha[-1]))) ** 2
