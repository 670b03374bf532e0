"""Reads a provider's stream to its end, as `gateway.upstream.client` does; rules that every format's events keep."""

from collections.abc import Iterable

from gateway.core.event import Batch, Finish, ThinkingDelta, ThinkingEnd, ToolCallBegin, ToolCallDelta, UsageReport
from gateway.core.upstream_error import UpstreamError
from gateway.wire.contract import Parser


def read_stream(parser: Parser, pieces: Iterable[bytes]) -> tuple[Batch, UpstreamError | None]:
    """All events and the failure after them."""
    events: Batch = []
    try:
        for piece in pieces:
            events += parser.feed(piece)
            if parser.done or parser.failure:
                break
        events += parser.close()
    except UpstreamError as error:
        return events, error
    return events, None


def checked(events: Batch) -> bool:
    """Check the rules for the order of events. Returns whether they end an answer."""
    open_calls: set[int] = set()
    finished = thinking = False
    for event in events:
        assert not finished or isinstance(event, UsageReport)
        assert not thinking or isinstance(event, ThinkingDelta | ThinkingEnd)
        thinking = isinstance(event, ThinkingDelta)
        if isinstance(event, ToolCallBegin):
            assert event.index == len(open_calls)
            assert event.name
            assert event.id
            open_calls.add(event.index)
        if isinstance(event, ToolCallDelta):
            assert event.index in open_calls
            assert event.arguments
        finished = finished or isinstance(event, Finish)
    return finished
