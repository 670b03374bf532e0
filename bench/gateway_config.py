"""The gateway's configuration for benchmarks: token auth, and one agent per model of the fake provider."""

import json
from pathlib import Path
from typing import Any

from scenarios import TOKEN

MODELS = ("chat1k", "chat4k", "burst200", "timed")
OTHER_FORMATS = {
    "responses1k": "openai-responses",
    "anthropic1k": "anthropic-messages",
    "ollama1k": "ollama",
    "google1k": "google-generative-ai",
    "bedrock1k": "bedrock-converse-stream",
}
"""The model → the wire format that its provider speaks."""


def write(path: Path, *, provider: str, redis: str | None = None) -> None:
    """Write the configuration; `provider` is the fake provider's URL without a path, `redis` a shared Redis, if any."""
    # Wrong tokens are measured as plain 401s, so the limiter must never lock.
    never_locked = {
        "maxAttempts": 1_000_000,
        "windowMs": 1,  # ten or so at a time are counted, as with real limits
        "lockoutMs": 1000,
        "exemptLoopback": False,
        "global": False,
    }
    models: list[dict[str, Any]] = [
        {
            "id": model,
            "name": model,
            "reasoning": False,
            "input": ["text"],
            "contextWindow": 128_000,
            "maxTokens": 4096,
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        }
        for model in MODELS
    ]
    config = {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN, "rateLimit": never_locked},
            "controlUi": {"enabled": False},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
            "redis": {"url": redis},
            "drain": {"noticeMs": 0},
        },
        "models": {
            "mode": "replace",
            "providers": {
                "bench": {"baseUrl": f"{provider}/v1", "apiKey": "k", "api": "openai-completions", "models": models},
                **{
                    model: {"baseUrl": provider, "apiKey": "k", "api": api, "models": [models[0] | {"id": model}]}
                    for model, api in OTHER_FORMATS.items()
                },
            },
        },
        "memory": {"search": {"provider": "bench", "model": "emb"}},
        "agents": {
            "default": "chat1k",
            "defaults": {"model": {"primary": "bench/chat1k"}, "skipBootstrap": True},
            "entries": {
                **{model: {"model": f"bench/{model}"} for model in MODELS},
                **{model: {"model": f"{model}/{model}"} for model in OTHER_FORMATS},
            },
        },
    }
    path.write_text(json.dumps(config, indent=2))
