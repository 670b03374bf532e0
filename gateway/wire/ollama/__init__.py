"""Ollama's own chat format, towards providers: https://docs.ollama.com/api/chat."""

WIRE = "ollama"
