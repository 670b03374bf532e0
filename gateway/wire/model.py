"""A model at a provider: its limits and quirks, as frozen values.

The provider overrides the defaults of its format; the model overrides the provider.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class Compat:
    """What an endpoint accepts. The defaults are conservative: what every OpenAI-compatible server understands.

    `developer_role`: knows the role `developer`, else it is sent as `system`. `max_tokens_field`: name of the cap.
    `usage_in_streaming`: understands `stream_options.include_usage`. `tools`, `tool_choice`, `parallel_tool_calls`:
    understands those fields. `accepts_prefill`: continues a trailing assistant message. `embedding_base64`: can answer
    embeddings as base64. `unknown_fields`: tolerates unknown request fields; `tool_call_fields`: tolerates unknown
    fields of tool calls in the history, where another provider may have added them.
    """

    tools: bool = True
    tool_choice: bool = True
    parallel_tool_calls: bool = True
    developer_role: bool = False
    usage_in_streaming: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    accepts_prefill: bool = False
    embedding_base64: bool = False
    unknown_fields: bool = True
    tool_call_fields: bool = True

    def merged(self, overrides: Mapping[str, Any]) -> Self:
        """A copy with the given fields replaced; a field that is None or unknown is ignored."""
        names = {field.name for field in fields(self)}
        return replace(
            self, **{name: value for name, value in overrides.items() if value is not None and name in names}
        )


DEFAULT = Compat()


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model at one provider: its id there, its limits (tokens), and its quirks.

    `max_tokens` is the maximum length of an answer, None when unknown; `images` is None when unknown, and images are
    then forwarded. A `reasoning` model may think for minutes before its first word. `provider` is the id of the
    provider's row.
    """

    id: str
    max_tokens: int | None = None
    context_window: int | None = None
    images: bool | None = None
    reasoning: bool = False
    compat: Compat = DEFAULT
    params: Mapping[str, Any] | None = None
    provider: str = ""
