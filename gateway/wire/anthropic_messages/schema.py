"""The fields of a client's request and their types; `ingress` interprets them. Null means absent."""

from typing import Any

from msgspec import Struct

from gateway.wire.request_body import BodyReader, Number


class MessagesRequest(Struct):
    """`POST /v1/messages`; `messages`, `system` and `tools` hold raw fields, which `ingress` decodes."""

    model: str | None = None
    messages: list[Any] | None = None
    max_tokens: Number | None = None
    system: str | list[Any] | None = None
    stream: bool | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Number | None = None
    stop_sequences: list[str] | None = None
    tools: list[Any] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None


class CountRequest(MessagesRequest):
    """`POST /v1/messages/count_tokens`, where `max_tokens` has no effect."""


MESSAGES = BodyReader(MessagesRequest)
