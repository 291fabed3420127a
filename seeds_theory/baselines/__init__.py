"""Samplers that are loops and not plans, one screen each: published ones outside the family, in the notation
of their papers, and SEEDS-2M, which has memory.

All run through the conventions of `seeds_theory.baselines.run`, and are known by name in `BASELINES`.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
