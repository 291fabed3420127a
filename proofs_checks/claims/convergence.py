"""Chapter "Convergence": strong order 1, weak order 2, the barrier, and what wrong noise costs."""
