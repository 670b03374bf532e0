"""The fields of a client's request and their types; `ingress` interprets them. Null means absent."""

from typing import Any

from msgspec import Struct

from gateway.wire.request_body import BodyReader, Number

OBJECT = "chat.completion"
"""The `object` of a whole answer."""


class StreamOptions(Struct):
    """`stream_options`."""

    include_usage: bool | None = None


class ChatRequest(Struct):
    """`POST /v1/chat/completions`; `messages` and `tools` hold raw fields, which `ingress` decodes."""

    model: str | None = None
    messages: list[Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Number | None = None
    max_completion_tokens: Number | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    seed: Number | None = None
    stop: str | list[str] | None = None
    response_format: Any = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    user: str | None = None
    n: Any = None


class EmbeddingsRequest(Struct):
    """`POST /v1/embeddings`."""

    model: str | None = None
    input: Any = None
    dimensions: Number | None = None
    encoding_format: str | None = None


CHAT = BodyReader(ChatRequest)
EMBEDDINGS = BodyReader(EmbeddingsRequest)
