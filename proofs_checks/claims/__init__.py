"""One file per chapter of the book, in its order."""

CHAPTERS = (
    "phi",
    "exact",
    "noise",
    "methods",
    "emitted",
    "orders",
    "taylor",
    "convergence",
    "behaviour",
    "wrong",
    "martingale",
    "ends",
    "published",
    "beyond",
    "few",
    "guidance",
    "policy",
    "adaptive",
    "baselines",
    "audit",
)
