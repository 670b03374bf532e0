import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.framing import ndjson
from gateway.wire.framing.error import FramingError
from gateway.wire.framing.ndjson import NdjsonDecoder


@given(st.data())
def test_lines_are_the_same_for_any_split(data):
    text = b'{"a":1}\n\r\n{"b":"\xc3\xa9"}\r\n  \n{"c":3}'
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    decoder, lines = NdjsonDecoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        lines += decoder.feed(text[start:end])
    assert [line.strip() for line in [*lines, *decoder.flush()]] == [b'{"a":1}', b'{"b":"\xc3\xa9"}', b'{"c":3}']
    assert decoder.flush() == []


def test_a_line_without_end_is_not_kept_without_limit(monkeypatch):
    monkeypatch.setattr(ndjson, "_MAX_LINE", 10)
    decoder = NdjsonDecoder()
    decoder.feed(b"12345")
    with pytest.raises(FramingError):
        decoder.feed(b"678901")
