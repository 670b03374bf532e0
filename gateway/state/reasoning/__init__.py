"""Reasoning and extra fields that models need back with their tool calls, by call id."""
