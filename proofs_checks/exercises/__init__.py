"""The exercises of the book: answers are checked, and a wrong one gets a hint.

A chapter's exercises are a module of that chapter's name, so that ``phi-2`` is found in `phi`. What is right
is computed from the package, never typed: an exercise fails its tests when the theory changes.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
