"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), for clients and towards providers."""

WIRE = "anthropic-messages"
"""The name of this format in configurations (`api`), and the label of its extras."""

BETAS = "anthropic-beta"
"""The header with the betas of a request, and the key of their names in a turn's extras."""
