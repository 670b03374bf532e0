import json

import pytest

from gateway.core.event import Finish, TextDelta, ThinkingDelta, ToolCallBegin, ToolCallDelta
from gateway.core.message import Image, Message, Text, ToolCall, ToolResult
from gateway.core.turn import Turn
from gateway.runs.attempt_capture import AttemptCapture
from gateway.traces import names
from gateway.traces.content import ContentPolicy, content_of

ALL = ContentPolicy(input=True, output=True, system=True)


def captured(*batches, messages=(), room=ALL.max_bytes):
    capture = AttemptCapture(room)
    capture.turn = Turn("openclaw", messages)
    for batch in batches:
        capture.feed(batch)
    return capture


def shown(capture, policy=ALL, hide=lambda text: text):
    return {
        name: json.loads(value) if isinstance(value, str) else value
        for name, value in content_of(capture, policy, hide).items()
    }


def said(role, text):
    return Message(role, (Text(text),))


def test_messages_have_the_form_of_the_conventions():
    messages = (
        said("system", "Be brief."),
        Message("user", (Text("Look"), Image("data:image/png;base64,AAAA"))),
        Message("assistant", (ToolCall("c1", "weather", '{"city":"Paris"}'),)),
        Message("tool", (ToolResult("c1", (Text("cold"),)),)),
    )
    answer = [[ThinkingDelta("hm")], [TextDelta("It is "), TextDelta("cold")], [Finish("stop")]]
    assert shown(captured(*answer, messages=messages)) == {
        names.SYSTEM_INSTRUCTIONS: [{"type": "text", "content": "Be brief."}],
        names.INPUT_MESSAGES: [
            {
                "role": "user",
                "parts": [{"type": "text", "content": "Look"}, {"type": "omitted", "modality": "image"}],
            },
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "cold"}]},
        ],
        names.OUTPUT_MESSAGES: [
            {
                "role": "assistant",
                "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "It is cold"}],
                "finish_reason": "stop",
            }
        ],
    }


def test_a_call_of_a_tool_is_an_answer_and_its_reason_has_the_name_of_the_conventions():
    answer = [[ToolCallBegin(0, "c1", "weather")], [ToolCallDelta(0, '{"city":'), ToolCallDelta(0, '"Rome"}')]]
    (message,) = shown(captured(*answer, [Finish("tool_calls")]))[names.OUTPUT_MESSAGES]
    assert message["finish_reason"] == "tool_call"
    assert message["parts"] == [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}]


def test_an_answer_that_broke_is_shown_as_far_as_it_came():
    (message,) = shown(captured([TextDelta("Hel")]))[names.OUTPUT_MESSAGES]
    assert message == {
        "role": "assistant",
        "parts": [{"type": "text", "content": "Hel"}],
        "finish_reason": "error",
    }


def test_an_attempt_without_an_answer_has_no_output():
    assert shown(captured())[names.OUTPUT_MESSAGES] == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (ContentPolicy(input=True), {names.INPUT_MESSAGES}),
        (ContentPolicy(output=True), {names.OUTPUT_MESSAGES}),
        (ContentPolicy(system=True), {names.SYSTEM_INSTRUCTIONS}),
        (ContentPolicy(), set()),
    ],
)
def test_each_part_is_enabled_on_its_own(policy, expected):
    messages = said("system", "a"), said("user", "b")
    assert content_of(captured([TextDelta("c")], messages=messages), policy, str).keys() == expected


@pytest.mark.parametrize("text", ["x" * 5000, "\n" * 5000, "\x01" * 5000, "ü" * 5000, "\ud83d" * 5000, "🙂" * 5000])
@pytest.mark.parametrize("limit", [256, 1000, 4000])
def test_no_attribute_exceeds_its_limit_and_each_stays_json(text, limit):
    policy = ContentPolicy(input=True, output=True, system=True, max_bytes=limit)
    messages = (said("system", text), *(said("user", text) for _ in range(50)))
    capture = captured(*([TextDelta(text[:100])] for _ in range(50)), messages=messages, room=limit)
    attributes = content_of(capture, policy, str)
    assert attributes.pop(names.CONTENT_TRUNCATED) is True
    assert len(attributes) == 3
    for value in attributes.values():
        assert len(value.encode()) <= limit
        assert json.loads(value)


def test_many_small_parts_stay_within_the_limit():
    call = ToolCall("c" * 40, "t", "{}")
    messages = tuple(Message("assistant", (call,) * 3) for _ in range(300))
    text = content_of(captured(messages=messages), ContentPolicy(input=True, max_bytes=2000), str)[names.INPUT_MESSAGES]
    assert len(text) <= 2000


def test_the_latest_messages_of_a_long_prompt_stay():
    messages = tuple(said("user", f"{number} " + "x" * 100) for number in range(100))
    attributes = shown(captured(messages=messages), ContentPolicy(input=True, max_bytes=1500))
    contents = [message["parts"][0]["content"] for message in attributes[names.INPUT_MESSAGES]]
    assert contents[-1] == messages[-1].parts[0].text
    numbers = [int(content.split()[0]) for content in contents]
    assert numbers == list(range(numbers[0], 100))
    assert len(numbers) >= 4


@pytest.mark.parametrize("before", range(0, 300, 7))
def test_not_even_a_part_of_a_secret_is_left_where_a_text_is_cut(before):
    secret = "hunter-two-and-three-and-four"
    capture = captured(messages=(said("user", "x" * before + secret + "y" * 10_000),))
    policy = ContentPolicy(input=True, max_bytes=300)
    text = str(content_of(capture, policy, lambda text: text.replace(secret, "[redacted]")))
    assert "hunter" not in text


def test_an_answer_beyond_the_limit_is_not_held_in_memory():
    capture = captured(*([TextDelta("x" * 100)] for _ in range(1000)), room=500)
    assert capture.answer is not None
    assert len(capture.answer.text) <= 600
    assert shown(capture)[names.CONTENT_TRUNCATED] is True
