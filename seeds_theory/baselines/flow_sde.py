r"""Flow-SDE: Euler-Maruyama in the time of a rectified flow, the sampler of Flow-GRPO and DanceGRPO.

For states :math:`X = (1-\tau)\,x_0 + \tau\,\varepsilon`, with the velocity v and a diffusion g of its own,

.. math::  X' = X + \Big(v + \frac{g^2}{2\tau}\,\big(X + (1-\tau)\,v\big)\Big)\,(\tau' - \tau)
                + g \sqrt{\tau - \tau'}\,z .

Any g keeps the marginals. With :math:`x = X/(1-\tau)` and :math:`\sigma = \tau/(1-\tau)` it is the SDE of
:math:`\eta = g^2 (1-\tau) / (2\tau)`, and the step from s to t is

.. math::  x_t = x_s - (1+\eta)\Big(1 - \frac ts\Big)(x_s - D) + \sqrt{2\eta\,s\,(s-t)\,\frac{1+t}{1+s}}\;z .

Flow-GRPO has :math:`g = a\sqrt{\tau/(1-\tau)}`, that is :math:`\eta = a^2/2`; DanceGRPO a constant g, that is
:math:`\eta(\sigma) = g^2/(2\sigma)`, of which its step takes the value at s, as in `seeds_theory.policies`;
of a function a step takes the mean. At eta = 0 it is Euler's method in the time of the flow, which is DDIM.

The published codes take this step to :math:`\tau = 0` as well, where it adds noise to the samples, and from
:math:`\tau = 1` with g of the second level. Here the ends are those of the other baselines.

References: Liu et al., Flow-GRPO, arXiv 2505.05470; Xue et al., DanceGRPO, arXiv 2505.07818.
"""

from __future__ import annotations

import math

from torch import Tensor

from seeds_theory.baselines.run import Baseline, Declared, Run


def flow_sde(run: Run) -> Tensor:
    """Euler-Maruyama on the reverse SDE in the time of a rectified flow, for any eta."""
    x = run.x
    for s, t in run.steps:
        eta = run.eta
        (z,) = run.normals(s, t)
        D = run.denoise(x, s)
        deviation = math.sqrt(2 * eta * s * (s - t) * (1 + t) / (1 + s))
        x = x - (1 + eta) * (s - t) / s * (x - D) + deviation * z
        x = run.step(x, s, t, D)
    return run.to_zero(x)


FLOW_SDE = Baseline(
    "flow-sde",
    flow_sde,
    Declared(strong=1, weak=1, ode=1),
    "Liu et al. 2025, arXiv 2505.05470",
)
