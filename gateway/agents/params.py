"""An agent's `params`: request settings that hold unless the caller sets its own.

OpenClaw's spelling is camelCase, providers' is snake_case; both are understood. What is not a sampling setting goes to
the provider as it stands.
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
    """The turn with the agent's settings under the caller's own."""
    settings: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in params.items():
        field = _SAMPLING.get(name)
        if field is None:
            rest[name] = value
        elif getattr(turn.sampling, field) is None:
            settings[field] = value
    return replace(turn, sampling=replace(turn.sampling, **settings), params=rest or None)
