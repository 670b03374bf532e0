"""OpenAI's Responses format, towards clients and providers: https://platform.openai.com/docs/api-reference/responses."""

WIRE = "openai-responses"

AZURE = "azure-openai-responses"
"""The same format at Azure. Reasoning and extras of both are labelled WIRE."""

ITEM = "item"
"""The field of extras, or of a Foreign part, that holds a whole item of this format."""
