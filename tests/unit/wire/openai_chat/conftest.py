"""Reads a provider's stream to its end, as `gateway.upstream.client` does."""

import json
from collections.abc import Callable, Iterable

import pytest

from gateway.core.event import Batch
from gateway.core.upstream_error import UpstreamError
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.answer import StreamParser

MODEL = ModelSpec("small", provider="fake")

DONE = b"data: [DONE]\n\n"


def read_stream(pieces: Iterable[bytes]) -> tuple[Batch, UpstreamError | None]:
    """All events and the failure after them; a failure after a complete answer is ignored."""
    parser, events = StreamParser(MODEL), []
    left = iter(pieces)
    try:
        for piece in left:
            events += parser.feed(piece)
            if parser.complete or parser.failure:
                break
        if not parser.complete:
            events += parser.close()
    except UpstreamError as error:
        return events, error
    try:
        while not parser.done and (piece := next(left, None)) is not None:
            events += parser.feed(piece)
    except UpstreamError:
        pass
    try:
        events += parser.close()
    except UpstreamError as error:
        return events, error
    return events, None


def stream_of(*chunks: object, end: bytes = DONE) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + end


@pytest.fixture(scope="session")
def read() -> Callable[..., tuple[Batch, UpstreamError | None]]:
    """Events and failure of a stream that arrives in these pieces."""
    return lambda *pieces: read_stream(pieces)


@pytest.fixture(scope="session")
def stream() -> Callable[..., bytes]:
    """Chunks as a provider sends them, ending with `[DONE]` unless `end` is given."""
    return stream_of
