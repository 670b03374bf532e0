"""What a chat template that reads one system message at the beginning gets of a conversation with several."""

import json

import pytest

from gateway.core.message import Extras, Image, Message, Text, ToolCall, ToolResult
from gateway.core.turn import Turn
from gateway.wire.anthropic_messages.ingress import MessagesIngress
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import request as openai_chat
from gateway.wire.openai_chat.profile import Profile
from gateway.wire.system_messages import with_system_first

CALL = Message("assistant", (ToolCall("call_1", "look", "{}"),))
RESULT = Message("tool", (ToolResult("call_1", (Text("seen"),)),))


def message_of(role, text):
    return Message(role, (Text(text),))


def roles_and_texts(messages):
    return [(message.role, "|".join(getattr(part, "text", "-") for part in message.parts)) for message in messages]


CONVERSATIONS = {
    "nothing to do": ([("system", "a"), ("user", "b"), ("assistant", "c")], None),
    "no system message": ([("user", "a"), ("user", "b")], None),
    "several at the beginning": (
        [("system", "a"), ("developer", "b"), ("user", "c")],
        [("system", "a\n\nb"), ("user", "c")],
    ),
    "only system messages": ([("developer", "a"), ("system", "b")], [("developer", "a\n\nb")]),
    "after the first user message": (
        [("system", "a"), ("user", "b"), ("system", "c"), ("assistant", "d"), ("user", "e")],
        [("system", "a"), ("user", "b\n\nc"), ("assistant", "d"), ("user", "e")],
    ),
    "between assistant and user": (
        [("user", "a"), ("assistant", "b"), ("developer", "c"), ("user", "d")],
        [("user", "a"), ("assistant", "b"), ("user", "c\n\nd")],
    ),
    "at the end": (
        [("user", "a"), ("assistant", "b"), ("system", "c")],
        [("user", "a"), ("assistant", "b"), ("user", "c")],
    ),
    "other messages of the user stay apart": (
        [("user", "a"), ("user", "b"), ("assistant", "c"), ("system", "d")],
        [("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_one_system_message_comes_first_and_later_ones_are_text_of_the_user(name):
    before, after = CONVERSATIONS[name]
    messages = [message_of(*entry) for entry in before]
    result = with_system_first(messages)
    assert roles_and_texts(result) == (after or before)
    assert after is not None or result is messages


def test_a_system_message_after_results_follows_them():
    messages = [message_of("user", "a"), CALL, RESULT, message_of("system", "b"), message_of("assistant", "c")]
    assert with_system_first(messages) == [
        message_of("user", "a"),
        CALL,
        RESULT,
        message_of("user", "b"),
        message_of("assistant", "c"),
    ]


def test_pictures_and_fields_of_parts_survive():
    marked = Text("b", Extras("openai-completions", {"cache_control": {"type": "ephemeral"}}))
    picture = Image("https://a.example/1.png")
    messages = [
        message_of("system", "a"),
        Message("system", (marked,)),
        Message("user", (picture,)),
        message_of("system", "c"),
    ]
    first, second = with_system_first(messages)
    assert first.parts == (Text("a"), marked)
    assert second.parts == (picture, Text("c"))


def test_fields_of_messages_survive():
    fields = [Extras("openai-completions", {name: 1}) for name in ("x_a", "x_b")]
    messages = [Message("system", (Text(name),), name, extras) for name, extras in zip("ab", fields, strict=True)]
    (joined,) = with_system_first(messages)
    assert (joined.name, joined.extras.fields) == ("a", {"x_a": 1, "x_b": 1})


CLAUDE_CODE = {
    "model": "openclaw",
    "max_tokens": 99,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: x"},
        {"type": "text", "text": "You are Claude."},
        {"type": "text", "text": "Be brief."},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Today is Friday."}, {"type": "text", "text": "hi"}]},
        {"role": "system", "content": "The agents are: none."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "one"}]},
        {"role": "system", "content": [{"type": "text", "text": "A file has changed."}]},
    ],
}


@pytest.fixture
def turn() -> Turn:
    """A request of Claude Code."""
    return MessagesIngress.read(json.dumps(CLAUDE_CODE).encode()).turn(None)


def test_a_strict_template_reads_what_claude_code_sends(turn):
    model = ModelSpec("m", profile=Profile(late_system=False))
    sent = json.loads(openai_chat.build_request(turn, model))["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool", "user"]
    assert sent[0]["content"] == "You are Claude.\n\nBe brief."
    assert sent[1]["content"] == "Today is Friday.\n\nhi\n\nThe agents are: none."
    assert sent[4]["content"] == "A file has changed."


def test_other_endpoints_get_system_messages_as_the_client_sent_them(turn):
    sent = json.loads(openai_chat.build_request(turn, ModelSpec("m")))["messages"]
    assert [message["role"] for message in sent] == [
        "system",
        "system",
        "user",
        "system",
        "assistant",
        "tool",
        "system",
    ]
