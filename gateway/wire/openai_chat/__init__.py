"""OpenAI's chat completions format, both halves: https://platform.openai.com/docs/api-reference/chat."""

WIRE = "openai-completions"
