r"""sbi: its ``Diffuser``, which samples by a predictor and perhaps a corrector, on a diffusion of alpha = 1.

Its time is the noise level: no drift, a diffusion of :math:`\sqrt{2\sigma}`, and the score :math:`(D - x) /
\sigma^2`. The states that it starts from are given, where it would draw them. A score is not defined at the
level 0: there, the run ends with the estimate at the last positive one.

The predictor's ``eta`` is the square root of the audit's. The correctors take ``num_steps`` steps each at a
level.

Left out: the ODE, which sbi gives to zuko.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.peers import (
    Adapted,
    defaults,
    imported,
    require_known,
    to_zero_by_estimate,
)
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

PREDICTOR = "euler_maruyama"
CORRECTORS = {PREDICTOR: None, "langevin": "langevin", "gibbs": "gibbs"}
"""A sampler is called as its corrector, the one without as the predictor."""


def names() -> tuple[str, ...]:
    """The predictor alone, and with each corrector."""
    _library()
    return tuple(CORRECTORS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler; options: the predictor's ``eta``, and those of the corrector.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of sbi")
    corrector = CORRECTORS[name]
    of_corrector = defaults(_correctors()[corrector]) if corrector else {}
    keywords = {"eta": 1.0} | of_corrector
    require_options(name, options, tuple(keywords))

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        eta: float,
        **settings: Any,
    ) -> Tensor:
        begin = calls_a_step(1 + settings.get("num_steps", 0))
        estimate = CountedModel(model, sigmas, extra_args, callback, begin)
        diffuser = _library().Diffuser(
            _potential(estimate),
            PREDICTOR,
            corrector,
            predictor_params={"eta": eta},
            corrector_params=settings,
        )
        diffuser.initialize = lambda count: x
        return diffuser.run(len(x), sigmas, show_progress_bars=False)

    return Adapted(name, to_zero_by_estimate(solve), {**keywords, **options})


def _library() -> Any:
    return imported("sbi.samplers.score.diffuser", "--no-deps sbi")


def _correctors() -> Any:
    return imported("sbi.samplers.score.correctors", "--no-deps sbi").CORRECTORS


def _potential(estimate: CountedModel) -> Any:
    """What the sampler asks of a score-based posterior, of no condition."""
    nothing = torch.zeros(1)
    estimator = SimpleNamespace(
        drift_fn=lambda x, t: torch.zeros_like(x),
        diffusion_fn=lambda x, t: (2 * t).sqrt(),
        t_min=None,
        t_max=None,
        mean_base=0.0,
        std_base=1.0,
        input_shape=torch.Size(),
        condition_shape=nothing.shape,
    )
    return SimpleNamespace(
        device="cpu",
        x_o=nothing,
        vector_field_estimator=estimator,
        gradient=lambda x, t: (estimate(x, t) - x) / t**2,
    )
