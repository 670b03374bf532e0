"""An agent's `params`: request settings that apply unless the client sets them.

OpenClaw writes them in camelCase, providers in snake_case; both are understood. Those that are not sampling settings go
to the provider unchanged.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.core.turn import Turn

_SAMPLING = {
    "temperature": "temperature",
    "topP": "top_p",
    "top_p": "top_p",
    "frequencyPenalty": "frequency_penalty",
    "frequency_penalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "maxTokens": "max_tokens",
    "max_tokens": "max_tokens",
}


def with_params(turn: Turn, params: Mapping[str, Any]) -> Turn:
    """The turn with the agent's settings; the client's own win."""
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in params.items():
        field = _SAMPLING.get(name)
        if field is None:
            extra[name] = value
        elif getattr(turn.sampling, field) is None:
            settings[field] = value
    return replace(turn, sampling=replace(turn.sampling, **settings), params=extra or None)
