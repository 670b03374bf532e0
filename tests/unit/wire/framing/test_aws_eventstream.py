"""The maker's own library is the oracle: it reads the same messages, and refuses the same bytes."""

import json
import struct
import time
from binascii import crc32
from itertools import pairwise

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.framing.aws_eventstream import EventStreamDecoder
from gateway.wire.framing.error import FramingError

TYPES = {
    0: lambda: b"", 1: lambda: b"", 2: lambda: b"\x07", 3: lambda: b"\0\x07", 4: lambda: b"\0\0\0\x07",
    5: lambda: b"\0" * 8, 8: lambda: b"\0" * 8, 9: lambda: b"\x01" * 16,
}  # fmt: skip


def message(headers, payload):
    """A message by the specification; a value is a text, or the number of another type."""
    encoded = b""
    for name, value in headers.items():
        encoded += bytes([len(name.encode())]) + name.encode()
        if isinstance(value, int):
            encoded += bytes([value]) + (TYPES[value]() if value in TYPES else b"\0\x02hi")
        else:
            encoded += b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    body = prelude + struct.pack(">I", crc32(prelude)) + encoded + payload
    return body + struct.pack(">I", crc32(body))


HEADERS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.one_of(st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from([*TYPES, 6])),
    max_size=5,
)
MESSAGES = st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=4)


def by_botocore(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [
        ({name: value for name, value in one.headers.items() if isinstance(value, str)}, one.payload) for one in buffer
    ]


class NoMessage(Exception):
    """The oracle waits for more bytes."""


def by_botocore_complete(data):
    if not by_botocore(data):
        raise NoMessage


@settings(max_examples=400)
@given(MESSAGES, st.lists(st.integers(0, 900), max_size=6))
def test_messages_are_those_of_the_makers_library_under_any_split(messages, cuts):
    data = b"".join(message(*one) for one in messages)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    decoder = EventStreamDecoder()
    seen = [one for start, end in pairwise(edges) for one in decoder.feed(data[start:end])]
    texts = [
        ({name: value for name, value in headers.items() if isinstance(value, str)}, body) for headers, body in messages
    ]
    assert [(one.headers, one.payload) for one in seen] == by_botocore(data) == texts


WHOLE = message(
    {":event-type": "contentBlockDelta", ":message-type": "event"}, json.dumps({"delta": {"text": "Hé"}}).encode()
)


def test_any_byte_that_was_altered_is_noticed():
    for position in range(len(WHOLE)):
        broken = WHOLE[:position] + bytes([WHOLE[position] ^ 1]) + WHOLE[position + 1 :]
        with pytest.raises((ParserError, NoMessage)):
            by_botocore_complete(broken)
        with pytest.raises(FramingError):
            EventStreamDecoder().feed(broken)


def test_a_message_that_was_cut_anywhere_is_none():
    for size in range(len(WHOLE)):
        decoder = EventStreamDecoder()
        assert decoder.feed(WHOLE[:size]) == [], size
        assert len(decoder.feed(WHOLE[size:])) == 1, size


@pytest.mark.parametrize("length", [0, 15, 2**31])
def test_an_impossible_length_is_refused(length):
    prelude = struct.pack(">II", length, 0)
    with pytest.raises(FramingError, match="length"):
        EventStreamDecoder().feed(prelude + struct.pack(">I", crc32(prelude)) + b"\0" * 4)


@pytest.mark.parametrize(
    "headers", [b"\x05a", b"\x01a\x0b", b"\x01\xff\x00", b"\x01a\x07\0\x09x", b"\x01a\x07\0\x01\xff"]
)
def test_headers_that_can_not_be_read_are_refused(headers):
    prelude = struct.pack(">II", 16 + len(headers), len(headers))
    body = prelude + struct.pack(">I", crc32(prelude)) + headers
    with pytest.raises(FramingError):
        EventStreamDecoder().feed(body + struct.pack(">I", crc32(body)))


def test_a_large_message_in_many_parts_takes_time_in_proportion_to_its_size():
    data = message({"a": "b"}, b"x" * 8_000_000)
    decoder = EventStreamDecoder()
    began = time.process_time()
    decoded = [one for start in range(0, len(data), 1460) for one in decoder.feed(data[start : start + 1460])]
    assert time.process_time() - began < 1.5, "joining it again for every part takes several seconds"
    assert [len(one.payload) for one in decoded] == [8_000_000]
