"""What a wire format is to the rest: an upstream codec, and for OpenAI's formats an ingress codec too.

Codecs do no I/O and know no provider by name. `Parser.feed` takes any split of the response's bytes and may return
nothing; `Parser.close` reports a truncated stream as `UpstreamError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.errors import GatewayError
from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.wire.compat import ModelSpec


class Parser(Protocol):
    """Reads one streamed answer."""

    complete: bool
    """Whether the answer has ended; only its token counts may still come."""

    done: bool
    """Whether the provider has said that nothing more will come."""

    failure: UpstreamError | None
    """Why the stream can't be read on, when events came before it: those are the caller's, then comes this."""

    def feed(self, data: bytes) -> Batch:
        """The events that these bytes complete. Raises UpstreamError for a failure that nothing came before."""
        ...

    def close(self) -> Batch:
        """The end of the bytes. Raises UpstreamError unless the answer was complete."""
        ...


class Upstream(Protocol):
    """The provider-facing half of a wire format."""

    path: str
    """Below the provider's base URL, such as `/chat/completions`."""

    def build_request(self, turn: Turn, model: ModelSpec) -> bytes:
        """The body of the provider's request."""
        ...

    def parse_reply(self, body: bytes) -> Batch:
        """A whole answer, as the events of a stream. Raises UpstreamError when it is none."""
        ...

    def parser(self) -> Parser:
        """A fresh parser for a streamed answer."""
        ...


class Renderer(Protocol):
    """The client-facing half of a stream: `feed` batches, then `close`, or `fail`; frames whole, for one write each."""

    def feed(self, batch: Batch) -> bytes:
        """The frames of one batch; may be empty. Raises UpstreamError for what the format can't tell."""
        ...

    def close(self) -> bytes:
        """The frames after the last batch of a complete answer."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """The frames that tell of a failure and end the stream."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to embed; `dimensions` None for the model's own; `base64` when the caller wants packed float32."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    base64: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddingReply:
    """One vector per input, in order, as JSON text: an array of numbers, or a string of base64 of little-endian
    float32; token counts are the provider's.
    """

    vectors: Sequence[bytes | memoryview]
    prompt_tokens: int
    total_tokens: int
