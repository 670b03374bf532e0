import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.jsonio import dumps, fields_of, loads
from gateway.core.message import Message, Text, Thinking, ToolResult
from gateway.core.message_json import (
    UnknownVersion,
    read_message,
    read_messages,
    read_part,
    write_message,
    write_messages,
    write_part,
)
from tests.unit.core.message_values import messages, parts, thinking


@given(st.lists(messages, max_size=3).map(tuple))
def test_stored_messages_are_read_unchanged(original):
    read = read_messages(loads(dumps(write_messages(original))))
    assert read == original
    # Equality ignores these, but a provider gets the form that the client chose.
    assert [message.content_is_array for message in read] == [message.content_is_array for message in original]
    assert [message.hidden for message in read] == [message.hidden for message in original]


@given(parts)
def test_every_part_is_read_as_it_was_written(part):
    read = read_part(loads(dumps(write_part(part))))
    assert (type(read), read) == (type(part), part)
    if type(part) is ToolResult:
        assert read.content_is_array == part.content_is_array
    assert write_part(read) == loads(dumps(write_part(part)))


@given(thinking)
def test_reasoning_keeps_its_owner_and_its_signature(block):
    read = read_part(loads(dumps(write_part(block))))
    for name in Thinking.__struct_fields__:
        assert getattr(read, name) == getattr(block, name), name


def test_a_raw_text_is_stored_without_its_document():
    document = b'{"padding": "%s", "content": "caf\\u00e9"}' % (b"x" * 100)
    message = Message("user", (Text(fields_of(document)["content"]),))
    (text,) = read_message(loads(dumps(write_message(message)))).parts
    assert text.raw == "café"


def test_fields_with_default_values_are_not_written():
    assert dumps(write_message(Message("user", (Text("hi"),)))) == (
        b'{"role":"user","parts":[{"type":"text","text":"hi"}]}'
    )


@pytest.mark.parametrize("document", [{}, {"v": 2, "messages": []}, {"v": "1", "messages": []}])
def test_an_unknown_version_is_refused(document):
    with pytest.raises(UnknownVersion):
        read_messages(document)


def test_a_part_of_a_newer_gateway_is_refused():
    document = {"v": 1, "messages": [{"role": "user", "parts": [{"type": "hologram"}]}]}
    with pytest.raises(UnknownVersion, match="hologram"):
        read_messages(document)
