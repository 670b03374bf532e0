"""OpenAI's Responses format, towards clients: https://platform.openai.com/docs/api-reference/responses."""

WIRE = "openai-responses"
