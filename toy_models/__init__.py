"""Models whose diffusion is known exactly, and the errors of samplers on them.

Models: `gaussian`, `mixture`, and `images` (imported by itself, as `toy_models.images`). Errors:
`response` (exact, for affine samplers on Gaussian data) and `paths` (Monte Carlo on coupled paths).
`convergence` makes studies of both; `order` is the command `seeds-order`. A study of steps that are chosen on
the way: `bridge`, `adaptive`, `work_precision`.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
