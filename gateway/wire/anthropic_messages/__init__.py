"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages): the provider-facing half."""

WIRE = "anthropic-messages"
"""The name of this format in configurations (`api`), and the label of its extras."""
