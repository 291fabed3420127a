"""Runs with real checkpoints: image generation, sample quality and benchmarks on an accelerator.

`load_checkpoint` opens a network from a pickle of EDM or EDM2, from the project's own safetensors or from a
torch file of ADM or score_sde, without running anything that the file holds. What needs a trained network or
a GPU lives here, so that the theory (`seeds_theory`), the exact models (`toy_models`) and the proofs
(`proofs_checks`) stay small enough for a laptop. It may import them; none of them may import it.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
