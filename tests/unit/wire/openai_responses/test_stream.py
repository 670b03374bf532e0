import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.errors import ToolChoiceUnmet
from gateway.core.event import (
    Finish,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    UsageReport,
)
from gateway.core.message import Owner, Thinking
from gateway.core.seal import seal_for
from gateway.core.upstream_error import UpstreamError
from gateway.core.usage import Usage
from gateway.wire.openai_responses.reasoning import read_reasoning
from gateway.wire.openai_responses.response_object import Head
from gateway.wire.openai_responses.stream import Renderer


@pytest.fixture
def renderer(head):
    return Renderer(head, now=lambda: 1_700_000_009.5)


def short(payloads):
    return [payload["type"].removeprefix("response.") for payload in payloads]


def streamed(renderer, *batches):
    return b"".join(renderer.feed(list(batch)) for batch in batches) + renderer.close()


def test_text_is_reported_in_openais_order(renderer, events):
    batches = [TextDelta("Hel")], [TextDelta("lo"), Finish("stop")], [UsageReport(Usage(1, 2, 3))]
    payloads = events(streamed(renderer, *batches))
    assert short(payloads) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [p["delta"] for p in payloads if "delta" in p] == ["Hel", "lo"]
    assert payloads[6]["text"] == "Hello"
    final = payloads[-1]["response"]
    assert final["output"] == [payloads[8]["item"]]
    assert final["output"][0]["phase"] == "final_answer"
    assert (final["status"], final["completed_at"], final["usage"]["total_tokens"]) == ("completed", 1_700_000_009, 3)


def test_the_first_events_report_a_response_in_progress(renderer, events):
    first, second, *_ = events(streamed(renderer, [TextDelta("x"), Finish("stop")]))
    for payload in (first, second):
        response = payload["response"]
        assert (response["id"], response["status"]) == ("resp_1", "in_progress")
        assert (response["output"], response["usage"]) == ([], None)


def test_deltas_name_their_item(renderer, events):
    payloads = events(streamed(renderer, [TextDelta("a"), TextDelta("b"), Finish("stop")]))
    item = payloads[2]["item"]["id"]
    assert {payload["item_id"] for payload in payloads if "item_id" in payload} == {item}


def test_calls_follow_the_commentary_one_after_the_other(renderer, events):
    payloads = events(
        streamed(
            renderer,
            [TextDelta("Let me see.")],
            [ToolCallBegin(0, "call_1", "f"), ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}")],
            [ToolCallBegin(1, "call_2", "g"), ToolCallDelta(1, "{}"), Finish("tool_calls")],
        )
    )
    assert short(payloads[2:-1]) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    message, first, second = payloads[-1]["response"]["output"]
    assert message["phase"] == "commentary"
    assert (first["call_id"], first["name"], first["arguments"]) == ("call_1", "f", '{"a":1}')
    assert (second["call_id"], second["arguments"], second["status"]) == ("call_2", "{}", "completed")
    assert [p["output_index"] for p in payloads if p["type"] == "response.output_item.added"] == [0, 1, 2]


def test_interleaved_arguments_reach_their_own_calls(renderer, events):
    payloads = events(
        streamed(
            renderer,
            [ToolCallBegin(0, "a", "f"), ToolCallBegin(1, "b", "g")],
            [ToolCallDelta(1, '{"y":'), ToolCallDelta(0, '{"x":1}'), ToolCallDelta(1, "2}"), Finish("tool_calls")],
        )
    )
    first, second = payloads[-1]["response"]["output"]
    assert (first["arguments"], second["arguments"]) == ('{"x":1}', '{"y":2}')


def test_a_call_without_arguments_ends_with_the_answer(renderer, events):
    batch = [ToolCallBegin(0, "a", "f"), ToolCallBegin(1, "b", "g"), Finish("tool_calls")]
    items = events(streamed(renderer, batch))[-1]["response"]["output"]
    assert [item["arguments"] for item in items] == ["", ""]


def test_arguments_after_a_complete_call_fail_without_a_gap_in_the_numbers(renderer, events):
    sent = renderer.feed([ToolCallBegin(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallBegin(1, "b", "g")])
    with pytest.raises(UpstreamError) as caught:
        renderer.feed([ToolCallDelta(1, "{}"), ToolCallDelta(0, '{"again":1}')])
    payloads = events(sent + renderer.fail(caught.value))
    assert payloads[-1]["type"] == "response.failed"


def test_a_failure_in_the_first_batch_still_starts_the_response(renderer, events):
    batch = [ToolCallBegin(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallBegin(1, "b", "g"), ToolCallDelta(0, "{}")]
    with pytest.raises(UpstreamError) as caught:
        renderer.feed(batch)
    assert short(events(renderer.fail(caught.value))) == ["created", "in_progress", "failed"]


def test_white_space_after_a_complete_call_is_ignored(renderer, events):
    batch = [ToolCallBegin(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallBegin(1, "b", "g"), ToolCallDelta(0, "\n")]
    items = events(streamed(renderer, [*batch, Finish("tool_calls")]))[-1]["response"]["output"]
    assert items[0]["arguments"] == "{}"


def test_text_after_a_call_is_another_message(renderer, events):
    batch = [ToolCallBegin(0, "a", "f"), ToolCallDelta(0, "{}"), TextDelta("Done."), Finish("tool_calls")]
    items = events(streamed(renderer, batch))[-1]["response"]["output"]
    assert [item["type"] for item in items] == ["function_call", "message"]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_truncated_answer_ends_with_incomplete(renderer, events, finish, reason):
    payloads = events(streamed(renderer, [TextDelta("Hel"), Finish(finish)]))
    assert payloads[-1]["type"] == "response.incomplete"
    final = payloads[-1]["response"]
    assert (final["status"], final["incomplete_details"], final["completed_at"]) == (
        "incomplete",
        {"reason": reason},
        None,
    )
    assert final["output"][0]["status"] == "incomplete"


def test_only_the_last_call_of_a_truncated_answer_is_incomplete(renderer, events):
    batch = [ToolCallBegin(0, "a", "f"), ToolCallBegin(1, "b", "g"), ToolCallDelta(1, '{"x'), Finish("length")]
    items = events(streamed(renderer, batch))[-1]["response"]["output"]
    assert [item["status"] for item in items] == ["completed", "incomplete"]


def test_an_empty_answer_becomes_an_empty_message(renderer, events):
    payloads = events(streamed(renderer, [ThinkingDelta("hm")], [Finish("stop")]))
    assert payloads[-1]["response"]["output"][-1]["content"][0]["text"] == ""


def test_reasoning_is_an_item_before_the_message(renderer, events):
    block = Thinking("hm", owner=Owner("openai-completions", "fake", "small"))
    batches = ([ThinkingDelta("h")], [ThinkingDelta("m"), ThinkingEnd(block)], [TextDelta("a"), Finish("stop")])
    payloads = events(streamed(renderer, *batches))
    reasoning, message = payloads[-1]["response"]["output"]
    assert (reasoning["type"], reasoning["content"]) == ("reasoning", [{"type": "reasoning_text", "text": "hm"}])
    assert (reasoning["summary"], reasoning["encrypted_content"]) == ([], None)
    assert message["content"][0]["text"] == "a"
    deltas = [p["delta"] for p in payloads if p["type"] == "response.reasoning_text.delta"]
    assert deltas == ["h", "m"]
    names = [p["type"] for p in payloads]
    assert names.index("response.reasoning_text.done") < names.index("response.output_text.delta")


def test_a_reasoning_summary_is_reported_as_a_summary(renderer, events):
    block = Thinking("hm", kind="summary")
    payloads = events(streamed(renderer, [ThinkingDelta("hm", "summary"), ThinkingEnd(block)], [Finish("stop")]))
    reasoning = payloads[-1]["response"]["output"][0]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert [p["delta"] for p in payloads if p["type"] == "response.reasoning_summary_text.delta"] == ["hm"]


def test_encrypted_content_is_included_when_requested(head, events):
    block = Thinking("hm", signature="s", owner=Owner("openai-completions", "fake", "small"))
    seal = seal_for(b"x" * 32, "alice")
    asking = Renderer(structs.replace(head, seal=seal), now=lambda: 1_700_000_002.0)
    payloads = events(streamed(asking, [ThinkingDelta("hm"), ThinkingEnd(block)], [Finish("stop")]))
    item = payloads[-1]["response"]["output"][0]
    assert read_reasoning(item, seal) == block
    assert read_reasoning(item, seal_for(b"x" * 32, "bob")) is None
    assert read_reasoning(item, None) is None
    assert read_reasoning(item | {"encrypted_content": "gAAAA of somebody else"}, seal) == Thinking("hm")


def test_a_refusal_follows_the_text_as_a_separate_part(renderer, events):
    payloads = events(streamed(renderer, [TextDelta("Hm."), RefusalDelta("No"), RefusalDelta("."), Finish("stop")]))
    (message,) = payloads[-1]["response"]["output"]
    assert [part.get("text", part.get("refusal")) for part in message["content"]] == ["Hm.", "No."]
    assert [p["content_index"] for p in payloads if p["type"] == "response.refusal.delta"] == [1, 1]


def test_logprobs_are_sent_with_their_delta_and_again_at_the_end(renderer, events):
    token = {"token": "H", "logprob": -0.1, "bytes": [72], "top_logprobs": []}
    payloads = events(streamed(renderer, [TextDelta("H", {"content": [token]}), TextDelta("i"), Finish("stop")]))
    assert [p["logprobs"] for p in payloads if p["type"] == "response.output_text.delta"] == [[token], []]
    assert payloads[-1]["response"]["output"][0]["content"][0]["logprobs"] == [token]


def test_a_failure_reports_the_complete_items_and_ends_the_stream(renderer, events):
    batch = [TextDelta("Let me see."), ToolCallBegin(0, "a", "f"), ToolCallDelta(0, '{"x')]
    payloads = events(renderer.feed(batch) + renderer.fail(ToolChoiceUnmet("no call")))
    final = payloads[-1]["response"]
    assert (payloads[-1]["type"], final["status"]) == ("response.failed", "failed")
    assert (final["error"]["code"], final["error"]["message"]) == ("server_error", "no call")
    assert [item["type"] for item in final["output"]] == ["message"]


def test_a_failure_before_any_event_still_starts_the_response(renderer, events):
    assert short(events(renderer.fail(ToolChoiceUnmet("x")))) == ["created", "in_progress", "failed"]


@given(st.lists(st.lists(st.text(min_size=1), min_size=1), min_size=1))
def test_joined_deltas_are_the_text_under_any_split(batches):
    renderer = Renderer(Head("resp_1", 1, "m", {}), now=lambda: 1.0)
    sent = b"".join(renderer.feed([TextDelta(text) for text in batch]) for batch in batches)
    whole = "".join(text for batch in batches for text in batch)
    lines = (sent + renderer.feed([Finish("stop")])).split(b"\n")
    payloads = [json.loads(line[6:]) for line in lines if line[:6] == b"data: "]
    assert "".join(payload.get("delta", "") for payload in payloads) == whole
    assert next(payload["text"] for payload in payloads if payload["type"] == "response.output_text.done") == whole
