"""Runs with real checkpoints: image generation, sample quality and benchmarks on an accelerator.

Nothing lives here yet. This package is to hold whatever needs a trained network or a GPU, so that
the theory (`seeds_theory`), the exact models (`toy_models`) and the proofs (`proofs_checks`) stay
small enough for a laptop. It may import them; none of them may import it.
"""
