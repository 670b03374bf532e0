import pytest

from gateway.core.message import NO_EXTRAS, Extras, File, Foreign, Image, Message, Text, ToolCall, ToolResult
from gateway.core.turn import Turn

PICTURE = Image("data:image/png;base64,AA==")


@pytest.mark.parametrize("parts", [(), (Text(""),), (Text(" \n\t"),), (Text(""), Text("\N{NO-BREAK SPACE}"))])
def test_a_message_of_white_space_is_blank(parts):
    assert Message("user", parts).blank


@pytest.mark.parametrize(
    "parts",
    [
        (Text("a"),),
        (Text(" "), Text("a")),
        (PICTURE,),
        (Text(""), PICTURE),
        (Foreign("w", {}),),
        (ToolCall("", "f", "{}"),),
        (ToolResult("c", ()),),
    ],
)
def test_a_message_with_any_content_is_not_blank(parts):
    assert not Message("user", parts).blank


def test_the_form_of_a_message_does_not_affect_equality():
    assert Message("user", (Text("a"),), content_is_array=True) == Message("user", (Text("a"),))
    assert ToolResult("c", (), content_is_array=True) == ToolResult("c", ())


def test_extras_belong_to_their_wire_format():
    extras = Extras("one", {"a": 1})
    assert extras.of("one") == {"a": 1}
    assert extras.of("two") == {}
    assert NO_EXTRAS.of("one") == {}


def test_a_files_content_is_not_in_its_repr():
    assert "c2VjcmV0" not in repr(File("a.txt", data="c2VjcmV0"))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((), False),
        ((Message("user", (Text("a"),)),), False),
        ((Message("user", (Text("a"), PICTURE)), Message("assistant", (Text("b"),))), True),
        ((Message("tool", (ToolResult("c", (PICTURE,)),)),), False),
    ],
)
def test_a_turn_knows_whether_it_has_images(messages, expected):
    assert Turn("openclaw", messages).has_images() is expected
