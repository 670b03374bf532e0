"""The fields of a provider's answers that the gateway reads. All are nullable, because servers differ."""

from typing import Any

from msgspec import Struct

from gateway.core.jsonio import StructDecoder


class ProviderResponse(Struct):
    """`response`, whole or inside an event."""

    status: str | None = None
    output: list[Any] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    incomplete_details: dict[str, Any] | None = None
    object: str | None = None


class StreamEvent(Struct):
    """One event of a stream; which fields it has depends on its type."""

    type: str = ""
    delta: Any = None
    logprobs: Any = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    item: dict[str, Any] | None = None
    annotation: Any = None
    response: ProviderResponse | None = None
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


RESPONSE = StructDecoder(ProviderResponse)
EVENT = StructDecoder(StreamEvent)
