import json
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire.framing.error import FramingError
from gateway.wire.framing.sse import DONE, SseDecoder, sse_frame

ENDS = [b"\n", b"\r\n", b"\r"]
LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:{}",
        b"data: ",
        b"data:",
        b"data",
        b": ping",
        b"event: x",
        b"id: 1",
        b"",
        b"",
        b"x",
        b"data:  y",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(ENDS)).map(b"".join), max_size=12).map(b"".join)


def decoded(*pieces):
    decoder = SseDecoder()
    payloads = [payload for piece in pieces for payload in decoder.feed(piece)]
    return payloads + decoder.flush()


def split(data, positions):
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def expected(stream):
    """The rules of the standard, line by line, over the whole stream at once."""
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    payloads, lines = [], []
    for line in (*text.split(b"\n"), b""):
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                lines.append(value.removeprefix(b" "))
        else:
            payloads.append(b"\n".join(lines))
            lines = []
    return [payload for payload in payloads if payload]


@given(STREAMS)
def test_decoding_follows_the_standard_except_for_empty_events(stream):
    assert decoded(stream) == expected(stream)


@given(STREAMS, st.lists(st.integers(0, 400), max_size=6))
@example(b"data: a\r\n\ndata: b\n\n", [8, 9])
@example(b"data: a\r\r\ndata: b\r\n\r\n", [7, 8, 9])
def test_any_split_of_any_stream_decodes_to_the_same_payloads(stream, positions):
    assert decoded(*split(stream, positions)) == decoded(stream)


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_each_kind_of_line_end_is_recognised_at_every_split(end):
    stream = end.join((b": hello", b"event: x", b"data: a", b"data: b", b"", b"data: c", b"", b""))
    for position in range(len(stream) + 1):
        assert decoded(stream[:position], stream[position:]) == [b"a\nb", b"c"]
    assert decoded(*(bytes((byte,)) for byte in stream)) == [b"a\nb", b"c"]


def test_an_encoded_frame_is_decoded_to_its_payload():
    assert decoded(sse_frame(b'{"a":1}') + DONE) == [b'{"a":1}', b"[DONE]"]


def test_an_event_is_returned_as_soon_as_its_blank_line_arrives():
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\nda") == [b"a"]
    assert decoder.feed(b"ta: b\n\n") == [b"b"]
    assert decoder.flush() == []


def test_flush_returns_a_last_event_without_its_blank_line():
    assert decoded(b"data: a\n\ndata: b") == [b"a", b"b"]
    assert decoded(b"data: a\r\n\r\ndata: b\r\n") == [b"a", b"b"]


def test_an_event_without_data_is_ignored():
    assert decoded(b"event: ping\n\n: comment\n\ndata:\n\ndata: \n\n") == []


def test_a_byte_order_mark_before_the_first_event_is_skipped():
    assert decoded(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


@pytest.mark.parametrize("before", [b"", b"data: a\n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n\r\n"])
def test_a_json_object_without_a_field_name_is_read_as_data(before, end):
    assert decoded(before + b'{"error":\n "no"}' + end)[-1] == b'{"error":\n "no"}'


def test_the_bytes_of_a_character_may_be_split():
    stream = 'data: {"text":"\N{GRINNING FACE}"}\n\n'.encode()
    for position in range(len(stream)):
        assert decoded(stream[:position], stream[position:]) == [stream[6:-2]]


def test_a_large_event_in_small_pieces_takes_time_in_proportion_to_its_size():
    data = sse_frame(b"x" * 2**21)
    decoder = SseDecoder()
    began = time.process_time()
    payloads = []
    for start in range(0, len(data), 256):
        piece = data[start : start + 256]
        if (events := decoder.feed_plain(piece)) is not None:
            payloads += events.payloads()
        else:
            payloads += decoder.feed(piece)
    assert payloads == [b"x" * 2**21]
    assert time.process_time() - began < 2  # many seconds if each piece copied what came before it


def test_an_endless_event_is_refused():
    with pytest.raises(FramingError, match="more than"):
        decoded(*[b"x" * 2**20] * 9)


NAMED = b'event: a\ndata: {"a": 1}\n\nevent: b.c\ndata: {"b": "\\n\\n"}\n\n'


@pytest.mark.parametrize("cut", range(len(NAMED) + 1))
def test_events_with_names_are_joined_however_they_come(cut):
    decoder, payloads = SseDecoder(), []
    for piece in (NAMED[:cut], NAMED[cut:]):
        events = decoder.feed_named(piece)
        if events is None:
            payloads += decoder.feed(piece)
        else:
            assert json.loads(b"[%b]" % events.joined) == [json.loads(one) for one in events.payloads()]
            assert events.count == len(events.payloads())
            payloads += events.payloads()
    assert payloads == [b'{"a": 1}', b'{"b": "\\n\\n"}']
    assert decoder.flush() == []


@pytest.mark.parametrize(
    "data",
    [
        b"data: 1\n\n",
        b"event: a\ndata: 1\r\n\r\n",
        b"event: a\ndata: 1\ndata: 2\n\n",
        b": c\n\nevent: a\ndata: 1\n\n",
        b"event: a\n",
    ],
)
def test_other_forms_are_left_to_the_general_decoder(data):
    decoder = SseDecoder()
    assert decoder.feed_named(data) is None
    assert decoder.feed(data) == decoder.feed(data)[:0] + SseDecoder().feed(data)
