"""The ledger: one record per claim of the book, decided by proof or by measurement.

`ledger` has the records and what may count as a proof, `claims` one file per chapter, `catalogue` finds
them by name, `verify` is the command `seeds-verify`.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
