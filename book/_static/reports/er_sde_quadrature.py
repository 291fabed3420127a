"""ER-SDE of three stages, its coefficients by a quadrature: a model of common code.

For one step of noise levels from s down to t, with the scale f of the noise,

    x_t = r x_s + (1 - r) D + (t - s + f(t) I_0) D' + ((t - s)^2 / 2 + f(t) I_1) D''
          + sqrt(t^2 - r^2 s^2) z,          r = f(t) / f(s),

    I_0 = integral from t to s of du / f(u),
    I_1 = integral from t to s of (u - s) du / f(u).
"""

import itertools

import numpy as np
import torch


def scale(sigma):
    """The noise scale of the method's authors' choice."""
    return sigma * (torch.exp(sigma**0.3) + 10)


def left_sums(s, t, points=200):
    """I_0 and I_1 by left Riemann sums in single precision."""
    width = (s - t) / points
    u = t + torch.arange(points, dtype=torch.float32) * width
    return (width / scale(u)).sum(), (width * (u - s) / scale(u)).sum()


def gauss_sums(s, t, points=16):
    """I_0 and I_1 by Gauss-Legendre quadrature in double precision."""
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(points))
    u, width = t + (s - t) * (nodes + 1) / 2, (s - t) / 2 * weights
    return (width / scale(u)).sum(), (width * (u - s) / scale(u)).sum()


def sample_er_sde(
    model,
    x,
    sigmas,
    extra_args=None,
    callback=None,
    disable=None,
    noise_sampler=None,
    sums=left_sums,
):
    """ER-SDE-3 on states x_0 + sigma z; the first two steps have fewer stages."""
    draw = noise_sampler or (lambda s, t: torch.randn_like(x))
    before = None
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        D = model(x, s * x.new_ones(len(x)), **(extra_args or {}))
        if callback is not None:
            callback({"x": x, "i": i, "sigma": s, "sigma_hat": s, "denoised": D})
        if t == 0:
            return D
        r = scale(t) / scale(s)
        increment = (1 - r) * D
        slope = None
        if before is not None:
            I_0, I_1 = sums(s, t)
            D_last, slope_last, s_last = before
            slope = (D - D_last) / (s - s_last)
            increment = increment + (t - s + scale(t) * I_0) * slope
            if slope_last is not None:
                second = (slope - slope_last[0]) / ((s - slope_last[1]) / 2)
                increment = increment + ((t - s) ** 2 / 2 + scale(t) * I_1) * second
        before = D, None if slope is None else (slope, s_last), s
        x = r * x + increment + (t**2 - (r * s) ** 2).clamp(min=0).sqrt() * draw(s, t)
    return x
