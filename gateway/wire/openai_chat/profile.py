"""The quirks of one endpoint or model behind the chat completions format, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from gateway.wire.model import ModelSpec

_NAMES = {
    "supports_tool_choice": "tool_choice",
    "supports_parallel_tool_calls": "parallel_tool_calls",
    "supports_developer_role": "developer_role",
    "supports_usage_in_streaming": "usage_in_streaming",
    "max_tokens_field": "max_tokens_field",
    "embedding_base64": "embedding_base64",
    "supports_unknown_fields": "unknown_fields",
    "supports_tool_call_fields": "tool_call_fields",
}
"""The name of a quirk in a row → the field of Profile. Other names are other formats', or the gateway's own."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an endpoint accepts. The defaults are conservative: what every OpenAI-compatible server understands.

    `developer_role`: knows the role `developer`, else it is sent as `system`. `max_tokens_field`: name of the cap.
    `usage_in_streaming`: understands `stream_options.include_usage`. `tool_choice`, `parallel_tool_calls`: understands
    those fields. `embedding_base64`: can answer embeddings as base64. `unknown_fields`: tolerates unknown request
    fields; `tool_call_fields`: tolerates unknown fields of tool calls in the history, where another provider may have
    added them.
    """

    tool_choice: bool = True
    parallel_tool_calls: bool = True
    developer_role: bool = False
    usage_in_streaming: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    embedding_base64: bool = False
    unknown_fields: bool = True
    tool_call_fields: bool = True


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    given = {_NAMES[name]: value for name, value in quirks.items() if name in _NAMES and value is not None}
    return replace(DEFAULT, **given)  # type: ignore[arg-type]  # rows are checked where they are read


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT
