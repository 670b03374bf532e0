"""Layer 4: the only code that calls providers."""
