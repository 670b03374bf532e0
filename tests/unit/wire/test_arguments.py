import pytest
from msgspec import Raw

from gateway.core.jsonio import dumps
from gateway.core.message import ToolCall
from gateway.wire.arguments import arguments_object, arguments_text


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('{"a":  1.50, "a": 2}', b'{"a":  1.50, "a": 2}'),  # the model's bytes
        ("", b"{}"),
        (" \n", b"{}"),
        ('\ufeff{"a":1}', b'{"a":1}'),
        ('"a text"', b'{"input":"\\"a text\\""}'),
        ('{"cut": "of', b'{"input":"{\\"cut\\": \\"of"}'),
        ("[1]", b'{"input":"[1]"}'),
    ],
)
def test_arguments_become_an_object(text, body):
    assert dumps(arguments_object(ToolCall("c", "f", text))) == body


def test_the_text_of_a_custom_tool_is_a_field():
    assert arguments_object(ToolCall("c", "f", '{"a":1}', kind="custom")) == {"input": '{"a":1}'}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"null", "{}"),
        (b' {"a": 1} ', '{"a": 1}'),
        (b'"x"', "x"),
        (b'"[1]"', "[1]"),
        (b'"{\\"a\\": 1}"', '{"a": 1}'),
        (b'"{\\"a\\": 1.50}"', '{"a": 1.50}'),
        (b'""', "{}"),
        (b'" "', "{}"),
    ],
)
def test_an_object_becomes_text(raw, text):
    assert arguments_text(Raw(raw)) == text
