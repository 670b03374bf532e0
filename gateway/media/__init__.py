"""Layer 5: what callers attach, brought within limits."""
