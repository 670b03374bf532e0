"""The fields of a client's request and their types; `ingress` interprets them.

Unknown fields are ignored and null means absent, because official clients send both.
"""

from typing import Any, Literal

from msgspec import Struct

from gateway.wire.request_body import BodyReader, Number


class Reasoning(Struct):
    """`reasoning`: how much the model thinks."""

    effort: str | None = None
    summary: str | None = None


class TextOptions(Struct):
    """`text`: the form of the answer; `options` reads `format`."""

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ResponsesRequest(Struct):
    """`POST /v1/responses`; `items` reads the entries of `input`, `wire.tools` those of `tools`."""

    model: str | None = None
    input: Any = None
    instructions: str | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    max_output_tokens: Number | None = None
    max_tool_calls: Number | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    top_logprobs: Number | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    include: list[str] | None = None
    metadata: dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    user: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None


class ResponseCreate(ResponsesRequest):
    """The event `response.create` of a WebSocket: a request with its type.

    `generate` false only prepares a conversation: it has no answer.
    """

    type: str | None = None
    generate: bool | None = None


RESPONSES = BodyReader(ResponsesRequest)
RESPONSE_CREATE = BodyReader(ResponseCreate)
