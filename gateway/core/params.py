"""An operator's `params`: request settings for an agent or a model that apply unless the client sets them.

Those that a turn has a field for are neutral, whatever the wire format of the model: each format translates them or
leaves them out. All others go to the provider unchanged.
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
_OPTIONS = {
    "parallel_tool_calls": "parallel_tool_calls",
    "safety_identifier": "end_user",
    "service_tier": "service_tier",
    "top_k": "top_k",
    "verbosity": "verbosity",
}
_EFFORTS = ("thinking", "reasoning_effort", "reasoningEffort", "think")
_OFF = frozenset({"off", "disabled", "", False})


def with_params(turn: Turn, params: Mapping[str, Any]) -> Turn:
    """The turn with the operator's settings; what it has already wins, be it the client's or that of other `params`."""
    sampling: dict[str, Any] = {}
    options: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in params.items():
        if (field := _SAMPLING.get(name)) is not None:
            if getattr(turn.sampling, field) is None:
                sampling[field] = value
        elif (field := _OPTIONS.get(name)) is not None:
            if getattr(turn.options, field) is None:
                options[field] = value
        elif name in _EFFORTS and (effort := effort_of(value)) is not None:
            if turn.options.effort is None and turn.options.thinking_budget is None:
                options.setdefault("effort", effort)
        else:
            extra[name] = value
    if turn.params:
        extra.update(turn.params)
    return replace(
        turn,
        sampling=replace(turn.sampling, **sampling) if sampling else turn.sampling,
        options=replace(turn.options, **options) if options else turn.options,
        params=extra or None,
    )


def effort_of(value: object) -> str | None:
    """The effort that a value of `thinking` or `reasoning_effort` means; None for a field of the provider's own."""
    if value is False or (isinstance(value, str) and value.strip().lower() in _OFF):
        return "none"
    return value if isinstance(value, str) else None


def has_effort(params: Mapping[str, Any]) -> bool:
    """Whether the settings say how much the model should reason."""
    return "reasoning" in params or any(name in params for name in _EFFORTS)


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all layers; later ones win, also over an effort under another of its names."""
    result: dict[str, Any] = {}
    for layer in layers:
        if has_effort(layer):
            result = {name: value for name, value in result.items() if name not in _EFFORTS}
        result |= layer
    return result


def split(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The neutral settings of `params`, and the provider's own."""
    neutral = {
        name: value
        for name, value in params.items()
        if name in _SAMPLING or (name in _EFFORTS and effort_of(value) is not None)
    }
    return neutral, {name: value for name, value in params.items() if name not in neutral}
