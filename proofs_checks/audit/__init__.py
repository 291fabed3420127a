"""What a sampler converges to, how fast, and how it behaves: of any sampler, unmodified.

Errors are exact, without sampling, where it is affine in its estimates and its noise.

`audit` for a report, `check` for one of its checks, `assert_order` in a test; `assert_density` for the
log-density of a step.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
