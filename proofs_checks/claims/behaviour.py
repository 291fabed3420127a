"""Chapter "At few steps": martingales, growth factors, and denoisers that are wrong."""
