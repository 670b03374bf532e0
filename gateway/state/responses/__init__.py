"""Responses that callers may fetch, continue or delete later."""
