"""Chapter "Order conditions": the Taylor engine, checked and applied to every tableau."""
