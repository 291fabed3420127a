r"""Score-based SDEs, yang-song/score_sde_pytorch at cb1f359: predictor-corrector and ODE samplers.

With ``sde=ve`` states are x, with ``vp`` :math:`\alpha x`. The predictors ``reverse_diffusion`` and
``ancestral_sampling`` step through tables of sigmas or betas, one entry a level, which are made of the
grid; they always end at 0: on a grid that does not, the run goes on and the state at the last level is
returned. ``euler_maruyama`` and the ODE sampler use the SDE as a function of time, that of a
`GridSchedule`; they stop at the last positive level, and the estimate there follows if the grid ends at 0.
A corrector makes its ``n_steps`` before each predictor's. Left out: sub-VP, whose noise is no function of
its signal alone, and controllable generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known, to_zero_by_estimate
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import preserving
from proofs_checks.audit.peers.running import Estimates, numbers_of, with_zero
from proofs_checks.audit.peers.schedules import GridSchedule, betas, cumulative
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options
from seeds_theory.errors import ParameterError

CHECKOUT = Checkout("yang-song/score_sde_pytorch", "cb1f359f4aadf0ff9a5e122fe8fffc9451fd6e44")

_OF_PC = {"corrector": "none", "snr": 0.16, "n_steps": 1, "probability_flow": False}

SAMPLERS: dict[str, dict[str, Any]] = {
    "euler_maruyama": {"sde": "ve", **_OF_PC},
    "reverse_diffusion": {"sde": "ve", **_OF_PC},
    "ancestral_sampling": {"sde": "ve", **_OF_PC},
    "ode": {"sde": "ve", "rtol": 1e-5, "atol": 1e-5},
}
"""The predictors and the ODE sampler, and the options of each with their defaults."""

_EARLIEST = {"ve": 1e-5, "vp": 1e-3}
"""The repository's own ``eps``, the last time, of samplers on tables."""


def names() -> tuple[str, ...]:
    """All predictors, and ``ode``."""
    return tuple(SAMPLERS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A predictor with its options, ``sde`` (ve or vp) and ``corrector`` (langevin, ald or none); or ``ode``.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of score_sde")
    require_options(name, options, tuple(SAMPLERS[name]))
    kind = options.get("sde", "ve")
    if kind not in _EARLIEST:
        raise ParameterError(f"sde is one of {', '.join(_EARLIEST)}; got {kind!r}")
    sampling = CHECKOUT.module("sampling")
    library = sampling.sde_lib
    on_a_table = name in ("reverse_diffusion", "ancestral_sampling")

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        **of_sampler: Any,
    ) -> Tensor:
        del of_sampler["sde"]
        levels = with_zero(sigmas)[:-1]
        frame = preserving if kind == "vp" else torch.ones_like
        with numbers_of(x):
            sde, time = (_on_table if on_a_table else _in_time)(library, kind, levels)
        end_time = time.end if isinstance(time, GridSchedule) else _EARLIEST[kind]
        sde.prior_sampling = lambda shape: frame(levels[0]) * x
        common = {"sde": sde, "shape": x.shape, "inverse_scaler": lambda states: states}
        common |= {"device": x.device, "denoise": on_a_table}
        if name == "ode":
            network = Network(Estimates(model, levels, extra_args, callback), kind, time)
            with numbers_of(x):
                sample = sampling.get_ode_sampler(**common, eps=end_time, **of_sampler)
                return sample(network)[0].to(x) / frame(levels[-1])
        corrector = of_sampler.pop("corrector")
        calls_a_step = 1 + (corrector != "none") * of_sampler["n_steps"]
        estimates = Estimates(model, sigmas, extra_args, callback, calls_a_step)
        with numbers_of(x):
            sample = sampling.get_pc_sampler(
                **common,
                predictor=sampling.get_predictor(name),
                corrector=sampling.get_corrector(corrector),
                continuous=not on_a_table,
                eps=end_time,
                **of_sampler,
            )
            network = Network(estimates, kind, time)
            return estimates.until_the_end(lambda: sample(network)[0])

    whole = solve if on_a_table else to_zero_by_estimate(solve)
    return Adapted(name, whole, {**SAMPLERS[name], **options})


class Network:
    """A network as the repository asks it: for the score at a label of VE, the noise at one of VP."""

    def __init__(self, estimates: Estimates, kind: str, time: GridSchedule | Tensor) -> None:
        self._estimates, self._kind, self._time = estimates, kind, time

    def eval(self) -> None:
        """Be in the mode for sampling."""

    def __call__(self, state: Tensor, labels: Tensor) -> Tensor:
        """The score or the noise."""
        label = labels[0]
        if isinstance(self._time, Tensor):
            # By number: of VE from the first level, of VP from the last.
            sigma = self._time[label] if self._kind == "ve" else self._time.flip(0)[label.long()]
        else:
            sigma = label if self._kind == "ve" else self._time.level(label / 999)
        x = state if self._kind == "ve" else state / preserving(sigma)
        noise = (x - self._estimates(x, sigma)) / sigma
        return -noise / sigma if self._kind == "ve" else noise


def _on_table(library: Any, kind: str, levels: Tensor) -> tuple[Any, Tensor]:
    """An SDE whose tables are made of the levels, and the levels."""
    if kind == "ve":
        sde = library.VESDE(N=len(levels))
        sde.discrete_sigmas = deviations = levels.flip(0)
    else:
        sde = library.VPSDE(N=len(levels))
        sde.discrete_betas, sde.alphas_cumprod = betas(levels), cumulative(levels)
        sde.alphas = 1 - sde.discrete_betas
        sde.sqrt_alphas_cumprod = sde.alphas_cumprod.sqrt()
        sde.sqrt_1m_alphas_cumprod = deviations = (1 - sde.alphas_cumprod).sqrt()
    # Of it, correctors use the deviation.
    sde.marginal_prob = lambda x, t: (x, deviations[(t * (len(levels) - 1)).long()])
    return sde, levels


def _in_time(library: Any, kind: str, levels: Tensor) -> tuple[Any, GridSchedule]:
    """An SDE whose noise level as a function of time is a `GridSchedule`, and that."""
    time = GridSchedule(levels)

    class Exploding(library.VESDE):
        def sde(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros_like(x), time.level(t) * (2 * time.slope(t)).sqrt()

        def marginal_prob(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            return x, time.level(t)

    class Preserving(library.VPSDE):
        def sde(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            beta = 2 * time.slope(t) * time.marginal_std(t) ** 2
            return -0.5 * beta[:, None, None, None] * x, beta.sqrt()

        def marginal_prob(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            return time.marginal_alpha(t)[:, None, None, None] * x, time.marginal_std(t)

    return (Exploding if kind == "ve" else Preserving)(N=len(levels)), time
