"""Chapter "What the published code computes": departures, ablations, and their orders."""
