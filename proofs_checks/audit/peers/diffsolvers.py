r"""The toolbox of Zhou et al., zju-pi/diff-sampler at 68d5ce4: the samplers of diff-solvers-main/solvers.py.

They take states x and the levels as they are, and start at ``latents`` times the first level. ``dpm_pp``
and ``unipc`` clamp their estimates to the range of images by dynamic thresholding wherever they predict
data. It would change estimates above 1 only, so these two run on states in a unit of 10^4, where none is
above: what is audited is the solver. They have no step to 0: after the last positive level the estimate
there follows, which is their ``denoise_to_zero``. ``deis`` has the tables that the module makes for it.
Left out: AMED, GITS and SFD, whose steps are learned from a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known, to_zero_by_estimate
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.running import Estimates, numbers_of
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "zju-pi/diff-sampler", "68d5ce427f261962b89ce3b0ee8f6b29f0577328", "diff-solvers-main"
)

_MULTISTEP = {"afs": False, "max_order": 3, "predict_x0": True, "lower_order_final": True}

SAMPLERS: dict[str, dict[str, Any]] = {
    "euler": {"afs": False},
    "heun": {"afs": False},
    "dpm_2": {"afs": False, "r": 0.5},
    "ipndm": {"afs": False, "max_order": 4},
    "ipndm_v": {"afs": False, "max_order": 4},
    "deis": {"afs": False, "max_order": 4, "deis_mode": "tab"},
    "dpm_pp": _MULTISTEP,
    "unipc": {**_MULTISTEP, "variant": "bh2"},
}
"""The samplers ``<name>_sampler``, and the options of each with their defaults."""

_TWO_CALLS = ("heun", "dpm_2")
_THRESHOLDED, _UNIT = ("dpm_pp", "unipc"), 1e4


def names() -> tuple[str, ...]:
    """All samplers that can be loaded."""
    return tuple(SAMPLERS)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """A sampler by its name without ``_sampler``, with its options.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of diff-solvers")
    require_options(name, options, tuple(SAMPLERS[name]))
    module = CHECKOUT.module("solvers")
    function, unit = getattr(module, f"{name}_sampler"), _UNIT if name in _THRESHOLDED else 1.0

    def solve(
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any,
        callback: Any,
        disable: Any,
        deis_mode: str = "",
        **of_function: Any,
    ) -> Tensor:
        estimates = Estimates(model, sigmas, extra_args, callback, 1 + (name in _TWO_CALLS))

        def network(state: Tensor, t: Tensor, class_labels: None = None) -> Tensor:
            return estimates(unit * state, unit * t) / unit

        levels = sigmas / unit
        with numbers_of(x):
            if name == "deis":
                of_function["coeff_list"] = module.get_deis_coeff_list(
                    levels, of_function["max_order"], deis_mode=deis_mode
                )
            end = function(
                network,
                x / sigmas[0],
                num_steps=len(sigmas),
                t_steps=levels,
                **of_function,
            )
        return unit * end

    return Adapted(name, to_zero_by_estimate(solve), {**SAMPLERS[name], **options})
