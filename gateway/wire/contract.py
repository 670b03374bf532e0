"""What a wire format is to the rest: a codec towards providers, a codec towards clients, or both.

Codecs do no I/O and know no provider by name. `Parser.feed` takes any split of the response's bytes and may return
nothing; `Parser.close` reports a truncated stream as `UpstreamError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from msgspec import Struct

from gateway.core.answer import Answer
from gateway.core.errors import GatewayError
from gateway.core.event import Batch
from gateway.core.turn import Turn
from gateway.core.upstream_error import UpstreamError
from gateway.wire.model import ModelSpec

NO_HEADERS: Mapping[str, str] = {}


End = Literal["sure", "likely", "doubtful"]
"""How far a finish reason can be trusted before the stream ends: `likely` if text came with it, so that it may stand in
every chunk, `doubtful` if text followed an earlier one.
"""


OwnTools = Literal["any", "labelled", "none"]
"""Tools that are no functions (custom, hosted, shell …) and are sent in a format unchanged: `any` that a client offers,
`labelled` those that it offered in this same format, or `none`.
"""


class WireRequest(Struct, frozen=True):
    """One POST to a provider, or the GET of a `listing`.

    `path` is below the base URL, with its query; `headers` are those that the format itself needs. `choice_in_words`:
    the model can't be made to call a tool, so a demanded call is only asked for in words.
    """

    path: str
    body: bytes
    headers: Mapping[str, str] = NO_HEADERS
    choice_in_words: bool = False


class Parser(Protocol):
    """Reads one streamed answer."""

    @property
    def complete(self) -> bool:
        """Whether the answer seems to be at its end; token counts may still come, or more text after all."""
        ...

    @property
    def end(self) -> End:
        """See End; of an answer that is `complete`."""
        ...

    done: bool
    """Whether the provider has announced that nothing more will come."""

    @property
    def thinking(self) -> bool:
        """Whether the model is reasoning, perhaps without an event for minutes; False where the format has no sign."""
        ...

    failure: UpstreamError | None
    """Why the stream can't be read on, when events came before it: those go to the client first, then this."""

    def feed(self, data: bytes) -> Batch:
        """The events that these bytes complete. Raises UpstreamError for a failure that nothing came before."""
        ...

    def close(self) -> Batch:
        """The end of the bytes. Raises UpstreamError unless the answer was complete."""
        ...


class UpstreamFormat(Protocol):
    """The provider-facing half of a wire format. Stateless; one for all providers."""

    @property
    def name(self) -> str:
        """What a configuration calls it (`api`)."""
        ...

    @property
    def key_header(self) -> str | None:
        """The header that carries an API key; None for `Authorization: Bearer`."""
        ...

    @property
    def embeddings(self) -> "EmbeddingsFormat | None":
        """How it asks for embeddings; None where it has none."""
        ...

    @property
    def counting(self) -> "CountingFormat | None":
        """How it asks for the tokens of a prompt; None where it can't."""
        ...

    @property
    def base_version(self) -> str | None:
        """The version with which a base URL ends, for one that is written without a path; "" if the paths begin with
        it, so that a base URL loses its `/v1`; None if a base URL is used as it is written.
        """
        ...

    @property
    def own_tools(self) -> OwnTools:
        """See OwnTools."""
        ...

    @property
    def stop_sequences(self) -> bool:
        """Whether it has them; where it has none, the gateway ends the answer."""
        ...

    @property
    def listing(self) -> WireRequest | None:
        """The GET of its list of models, which costs nothing; None where it has none. The body is empty."""
        ...

    def profile(self, quirks: Mapping[str, object]) -> object:
        """What `ModelSpec.profile` holds for this format, from the quirks that a row or a model is configured with
        (`compat`, names in snake case); None or a missing one means the default, a foreign one is ignored.
        """
        ...

    def reads_pdfs(self, model: ModelSpec) -> bool:
        """Whether the model takes a PDF as it is, in a File part; else it gets the text of the PDF."""
        ...

    def paths(self) -> tuple[str, ...]:
        """Paths that are the same for every request, so that their addresses are checked and made at start."""
        ...

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """The provider's request."""
        ...

    def parse_answer(self, body: bytes, model: ModelSpec) -> Batch:
        """A whole answer, as the events of a stream. Raises UpstreamError when it is none."""
        ...

    def parser(self, model: ModelSpec) -> Parser:
        """A fresh parser for a streamed answer."""
        ...

    def error(self, status: int, payload: Any, retry_after: float | None) -> UpstreamError:
        """The failure behind a status other than 200; `payload` is the decoded body, None for no JSON."""
        ...


class CountingFormat(Protocol):
    """How a wire format asks a provider to count the tokens of a prompt, without an answer."""

    def request(self, turn: Turn, model: ModelSpec) -> WireRequest:
        """The provider's request: the prompt as for an answer, without the settings of an answer."""
        ...

    def parse(self, body: bytes) -> int:
        """The number of tokens. Raises UpstreamError when the body has none."""
        ...


class Renderer(Protocol):
    """The client-facing half of a stream: `feed` batches, then `close`, or `fail`; frames whole, for one write each."""

    def feed(self, batch: Batch) -> bytes:
        """The frames of one batch; may be empty. Raises UpstreamError for what the format can't express."""
        ...

    def close(self) -> bytes:
        """The frames after the last batch of a complete answer."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """The frames that report a failure and end the stream."""
        ...


class AnswerRenderer(Protocol):
    """How a client's format shows one answer: as a stream or as one body."""

    def stream(self, model: str) -> Renderer:
        """A renderer for a stream; `model` is the name to report. Called when the first event is there."""
        ...

    def body(self, answer: Answer, model: str) -> bytes:
        """A whole answer."""
        ...


EmbeddingInput = str | tuple[int, ...]
"""A text, or the ids of its tokens."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to embed; `dimensions` None for the model's own; `base64` when the caller wants packed float32.

    `others` are further fields of the client, such as `input_type`, for a provider of its format. `replies` are those
    of the first batches, if a provider takes fewer inputs at a time: a retry goes on after them.
    """

    model: str
    inputs: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    base64: bool = False
    others: Mapping[str, Any] = field(default_factory=dict)
    replies: "list[EmbeddingReply]" = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True)
class EmbeddingReply:
    """One vector per input, in order, as JSON text: an array of numbers, or a string of base64 of little-endian
    float32; token counts are the provider's.
    """

    vectors: Sequence[bytes | memoryview]
    prompt_tokens: int
    total_tokens: int


class EmbeddingsFormat(Protocol):
    """How a wire format asks for embeddings."""

    def paths(self) -> tuple[str, ...]:
        """See UpstreamFormat."""
        ...

    def max_inputs(self, model: ModelSpec) -> int:
        """The most inputs of one request."""
        ...

    def takes_tokens(self, model: ModelSpec) -> bool:
        """Whether an input may be the ids of its tokens."""
        ...

    def request(self, request: EmbeddingRequest, model: ModelSpec) -> WireRequest:
        """The provider's request; `model` is the embedding model. There are at most `max_inputs`."""
        ...

    def parse(self, body: bytes, expected: int) -> EmbeddingReply:
        """The provider's vectors in input order. Raises UpstreamError, also when their number is not `expected`."""
        ...
