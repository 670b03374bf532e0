"""Layer 4: what outlives a request, and what instances share."""
