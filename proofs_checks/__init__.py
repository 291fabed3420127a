"""The ledger: one record per claim of the book, decided by proof or by measurement.

`ledger` has the records and what may count as a proof, `claims` one file per chapter, `catalogue` finds
them by name, `verify` is the command `seeds-verify`.
"""

from proofs_checks.catalogue import all_claims
from proofs_checks.ledger import Claim, Record, Verdict, decide

__all__ = ["Claim", "Record", "Verdict", "all_claims", "decide"]
