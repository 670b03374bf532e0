"""OpenAI's Responses format, towards clients and providers: https://platform.openai.com/docs/api-reference/responses."""

WIRE = "openai-responses"

ITEM = "item"
"""The field of extras, or of a Foreign part, that holds a whole item of this format."""
