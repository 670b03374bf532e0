"""OpenAI's Responses format, the client's half: https://platform.openai.com/docs/api-reference/responses."""

WIRE = "openai-responses"
