"""What follows from the address of a row, as in OpenClaw."""

from collections.abc import Mapping
from typing import Any

from yarl import URL

from gateway.wire import DEFAULT_UPSTREAM

_OLLAMA_PORT = 11434
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_MAX_CALL_ID = 40  # characters of an id in `tool_calls`; vLLM's have 46, and others hold the signature of the reasoning


def quirks_of_address(url: str) -> dict[str, object]:
    """Quirks of every server at this host: OpenRouter passes breakpoints of the prompt cache on to Claude; OpenAI and
    Azure refuse long ids of calls.
    """
    host = URL(url).host or ""
    if host == "openrouter.ai":
        return {"cached_models": "anthropic/"}
    return {"max_call_id": _MAX_CALL_ID} if host == "api.openai.com" or host.endswith(_AZURE) else {}


def params_of_address(provider: str, wire: str, url: str, context: int | None) -> Mapping[str, Any]:
    """Request fields for a model with `context` tokens. Ollama's OpenAI-compatible side is asked for that context,
    since its own default is a fraction of it.
    """
    if wire != DEFAULT_UPSTREAM or context is None or not _is_ollama(provider, URL(url)):
        return {}
    return {"options": {"num_ctx": context}}


def _is_ollama(provider: str, url: URL) -> bool:
    if provider == "ollama":
        return True
    by_name = "ollama" in provider and url.path.rstrip("/") in ("", "/v1")
    return url.port == _OLLAMA_PORT and (url.host in _LOOPBACK or by_name)
