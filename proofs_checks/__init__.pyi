from proofs_checks.catalogue import all_claims as all_claims
from proofs_checks.ledger import Claim as Claim
from proofs_checks.ledger import Record as Record
from proofs_checks.ledger import Verdict as Verdict
from proofs_checks.ledger import decide as decide
