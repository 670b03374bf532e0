"""The quirks of one endpoint or model behind the chat completions format, as a frozen value made at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gateway.wire.efforts import ANY_EFFORT, Efforts, efforts_from
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.thinking_format import LEVELS_IF_CONFIGURED, ThinkingFormat

_NAMES = {
    "supports_tool_choice": "tool_choice",
    "supports_parallel_tool_calls": "parallel_tool_calls",
    "supports_developer_role": "developer_role",
    "supports_late_system": "late_system",
    "supports_usage_in_streaming": "usage_in_streaming",
    "max_tokens_field": "max_tokens_field",
    "embedding_base64": "embedding_base64",
    "embedding_batch_size": "embedding_batch",
    "supports_embedding_tokens": "embedding_tokens",
    "supports_unknown_fields": "unknown_fields",
    "supports_tool_call_fields": "tool_call_fields",
    "supports_store": "store",
    "supports_temperature": "temperature",
    "supports_prompt_cache_key": "cache_key",
    "supports_json_schema_response_format": "json_schema",
    "supports_strict_mode": "strict_tools",
    "strict_message_keys": "strict_messages",
    "requires_string_content": "string_content",
    "requires_tool_result_name": "result_name",
    "seed_field": "seed_field",
    "thinking_format": "thinking_format",
    "requires_assistant_after_tool_result": "assistant_after_result",
    "requires_thinking_as_text": "thinking_as_text",
    "zai_tool_stream": "tool_stream",
    "cached_models": "cached_models",
    "requires_mistral_tool_ids": "nine_character_ids",
    "max_call_id": "max_call_id",
    "requires_reasoning_content_on_assistant_messages": "reasoning_content",
}
"""The name of a quirk in a row → the field of Profile. Other names are other formats', or the gateway's own."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an endpoint accepts. The defaults are conservative: what every OpenAI-compatible server understands.

    `developer_role`: knows the role `developer`, else it is sent as `system`. `late_system`: reads any number of system
    messages at any index, else they are sent as `with_system_first` says. `max_tokens_field`: name of the cap.
    `usage_in_streaming`: understands `stream_options.include_usage`. `tool_choice`, `parallel_tool_calls`: understands
    those fields. `embedding_base64`: can answer embeddings as base64, `embedding_batch`: the most inputs of one request
    for them, `embedding_tokens`: inputs may be token ids. `unknown_fields`: tolerates unknown request fields;
    `tool_call_fields`: tolerates unknown fields of tool calls in the history, where another provider may have added
    them. `efforts`: the values of `reasoning_effort` that it accepts.

    `store`, `cache_key` (and `prompt_cache_retention`, `prompt_cache_options`), `temperature` (and `top_p` and the
    penalties): understands those fields. `json_schema`: understands a schema as `response_format`; `strict_tools`:
    understands `strict` of a function. `strict_messages`: refuses fields of messages, parts and tools that it does not
    know, and so does an endpoint without `unknown_fields`. `string_content`: content must be one text, not an array.
    `result_name`: a tool's result must have the name of the tool. `seed_field`: the name of the seed.

    `thinking_format`: the field for the effort (`thinking_format.write_effort`). `reasoning_content`: every message of
    an assistant must have this field, if the model reasons. `routing`: fields that say which servers behind the
    endpoint may answer, which no client can change.

    `assistant_after_result`: a message of the user may not follow the result of a tool, and content may not be null.
    `thinking_as_text`: reasoning goes back as text before the answer. `visible_details`: types of `reasoning_details`
    whose text belongs to the answer. `tool_stream`: streams the arguments of calls if `tool_stream` says so.
    `nine_character_ids`: ids of calls have nine letters and digits; `max_call_id`: the most characters of one.
    `cached_models`: the beginning of the ids of models that take breakpoints of Anthropic's prompt cache; None: none.
    """

    tool_choice: bool = True
    parallel_tool_calls: bool = True
    developer_role: bool = False
    late_system: bool = True
    usage_in_streaming: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    embedding_base64: bool = False
    embedding_batch: int = 2048
    embedding_tokens: bool = False
    unknown_fields: bool = True
    tool_call_fields: bool = True
    efforts: Efforts = ANY_EFFORT
    store: bool = True
    temperature: bool = True
    cache_key: bool = True
    json_schema: bool = True
    strict_tools: bool = True
    strict_messages: bool = False
    string_content: bool = False
    result_name: bool = False
    seed_field: Literal["seed", "random_seed"] = "seed"
    thinking_format: ThinkingFormat = "openai"
    reasoning_content: bool = False
    assistant_after_result: bool = False
    thinking_as_text: bool = False
    visible_details: frozenset[str] = frozenset()
    tool_stream: bool = False
    nine_character_ids: bool = False
    max_call_id: int | None = None
    cached_models: str | None = None
    adjusts_body: bool = field(default=False, init=False)
    """Whether a body needs more than the fields of the format, so that a request to others costs nothing."""
    routing: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.unknown_fields:
            object.__setattr__(self, "strict_messages", True)  # the class is frozen
        adjusts = self.refuses_fields or self.tool_stream or self.cached_models is not None or bool(self.routing)
        object.__setattr__(self, "adjusts_body", adjusts or not self.parallel_tool_calls)

    @property
    def refuses_fields(self) -> bool:
        """Whether any field of a request has to be left out."""
        return not (self.store and self.cache_key and self.unknown_fields)


DEFAULT = Profile()


def profile_from(quirks: Mapping[str, object]) -> Profile:
    """The profile of a row's quirks; one that is None keeps its default."""
    given = {_NAMES[name]: value for name, value in quirks.items() if name in _NAMES and value is not None}
    if given.get("strict_messages") is True or given.get("unknown_fields") is False:
        given.setdefault("tool_call_fields", False)
    efforts = efforts_from(quirks)
    if quirks.get("thinking_format") in LEVELS_IF_CONFIGURED:
        efforts = replace(efforts, accepted=quirks.get("supports_reasoning_effort") is True or bool(efforts.supported))
    if types := quirks.get("visible_reasoning_detail_types"):
        given["visible_details"] = frozenset(types)  # type: ignore[call-overload]  # names, as rows are checked
    if quirks.get("cache_control_format") == "anthropic":
        given["cached_models"] = ""  # this row's, or this model's
    if routing := _routing(quirks):
        given["routing"] = routing
    return replace(DEFAULT, efforts=efforts, **given)  # type: ignore[arg-type]  # rows are checked where they are read


def _routing(quirks: Mapping[str, object]) -> dict[str, object]:
    """The fields of OpenRouter (https://openrouter.ai/docs/features/provider-routing) and of Vercel's AI Gateway."""
    routing: dict[str, object] = {}
    if quirks.get("open_router_routing"):
        routing["provider"] = quirks["open_router_routing"]
    if quirks.get("vercel_gateway_routing"):
        routing["providerOptions"] = {"gateway": quirks["vercel_gateway_routing"]}
    return routing


def profile_of(model: ModelSpec) -> Profile:
    """The model's profile; the default one for a model that was made without."""
    profile = model.profile
    return profile if isinstance(profile, Profile) else DEFAULT
