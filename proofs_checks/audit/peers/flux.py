"""Flux: the loop ``denoise`` of black-forest-labs/flux, at the commit in `CHECKOUT`.

It takes the times of a flow as a list of numbers, and calls its network with them; what else the network is
given, text and positions, is empty here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from proofs_checks.audit.peers import Adapted, require_known
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.clocks import flow_time
from proofs_checks.audit.peers.counted import CountedModel, calls_a_step
from proofs_checks.audit.peers.flows import velocity
from proofs_checks.audit.protocol import Model, Sampler
from seeds_theory.baselines.run import require_options

CHECKOUT = Checkout(
    "black-forest-labs/flux",
    "802fb4713906133fcbd0d8dc5351620ca4773036",
    root="src",
    stand_ins=(
        *("flux.util", "einops", "transformers", "safetensors", "safetensors.torch"),
        *("huggingface_hub", "cv2"),
    ),
)


def names() -> tuple[str, ...]:
    """Its one sampler."""
    return ("denoise",)


def load(name: str, options: Mapping[str, Any]) -> Sampler:
    """The sampler; it has no options.

    Raises
    ------
    LibraryError, UnknownNameError, ParameterError.
    """
    require_known(name, names(), "sampler of flux")
    require_options(name, options, ())
    denoise = CHECKOUT.module("flux.sampling").denoise

    def run(
        model: Model, x: Tensor, sigmas: Tensor, extra_args: Any, callback: Any, disable: Any
    ) -> Tensor:
        times, nothing = flow_time(sigmas), x.new_zeros(0)
        estimate = CountedModel(model, sigmas, extra_args, callback, calls_a_step(1))

        def transformer(*, img: Tensor, timesteps: Tensor, **_: object) -> Tensor:
            return velocity(estimate, img, timesteps)

        start = (1 - times[0]) * x
        inputs = {"img_ids": None, "txt": nothing, "txt_ids": nothing, "vec": nothing}
        end = denoise(transformer, start, timesteps=times.tolist(), **inputs)
        return end / (1 - times[-1])

    return Adapted(name, run)
