import pytest

from gateway.core.event import TextDelta
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat.answer import StreamParser

MODEL = ModelSpec("small", provider="fake")

GOOD = b'data: {"choices":[{"index":0,"delta":{"content":"good"}}]}\n\n'


@pytest.mark.parametrize(
    "bad",
    [
        b"data: {not json}\n\n",
        b'data: {"error":{"message":"gone"}}\n\n',
        b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
    ],
    ids=["garbage", "error", "wrong-shape"],
)
def test_events_before_a_failure_in_the_same_read_are_not_lost(bad):
    parser = StreamParser(MODEL)
    assert parser.feed(GOOD + bad) == [TextDelta("good")]
    assert parser.failure is not None
    with pytest.raises(UpstreamError):
        parser.close()


def test_a_failure_without_earlier_events_is_raised_at_once():
    with pytest.raises(UpstreamError) as caught:
        StreamParser(MODEL).feed(b"data: {not json}\n\n")
    assert caught.value.kind is UpstreamKind.MALFORMED
