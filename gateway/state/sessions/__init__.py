"""Stored conversations, and the leases for adding to them."""
