"""Layer 6: what an agent is and what a run of it does."""
