import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.core.jsonio import dumps, fields_of, loads
from gateway.core.message import NO_EXTRAS, Extras, File, Foreign, Image, Message, Text, ToolCall, ToolResult
from gateway.core.message_json import UnknownVersion, read_message, read_messages, write_message, write_messages

texts = st.text(st.characters(), max_size=30)  # lone surrogates included: providers emit them
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
objects = st.dictionaries(texts, values, max_size=3)
extras = st.just(NO_EXTRAS) | st.builds(Extras, st.just("openai-completions"), objects.filter(bool))
written = texts | texts.map(lambda text: Raw(dumps(text)))
contents = (
    st.builds(Text, written, extras)
    | st.builds(Image, texts, st.none() | texts, extras)
    | st.builds(Foreign, texts, objects)
)
parts = (
    contents
    | st.builds(File, *[st.none() | texts] * 4)
    | st.builds(ToolCall, texts, texts, texts, extras)
    | st.builds(ToolResult, texts, st.lists(contents, max_size=2).map(tuple), st.booleans())
)
messages = st.builds(
    Message,
    st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]),
    st.lists(parts, max_size=4).map(tuple),
    st.none() | texts,
    extras,
    st.booleans(),
)


@given(st.lists(messages, max_size=3).map(tuple))
def test_stored_messages_are_read_unchanged(original):
    read = read_messages(loads(dumps(write_messages(original))))
    assert read == original
    # Equality ignores these, but a provider gets the form that the client chose.
    assert [message.content_is_array for message in read] == [message.content_is_array for message in original]


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
