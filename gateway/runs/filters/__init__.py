"""Filters that an answer passes on its way to the client."""
