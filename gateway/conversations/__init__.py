"""Stored conversations: history, leases, transcript, context window and summary."""
