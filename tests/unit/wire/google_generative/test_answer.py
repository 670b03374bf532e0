import json
from contextlib import suppress
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.accumulator import accumulated
from gateway.core.event import CitationFound, TextDelta, ThinkingEnd, ToolCallDelta
from gateway.core.message import Citation, Owner, Thinking
from gateway.core.upstream_error import UpstreamError
from gateway.core.upstream_error import UpstreamKind as Kind
from gateway.core.usage import Usage
from gateway.wire.google_generative.answer import StreamParser, parse_answer
from gateway.wire.google_generative.contents import signed
from gateway.wire.model import ModelSpec
from tests.unit.wire.streams import checked, read_stream

MODEL = ModelSpec("gemini-3-flash", provider="house")
OWNER = Owner("google-generative-ai", "house", "gemini-3-flash")


def event(*parts: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate | fields.pop("candidate", {})], **fields}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)


def read(*events: dict[str, Any]) -> Any:
    for one in events:
        types.GenerateContentResponse.model_validate(one)
    return read_stream(StreamParser(MODEL), [stream(*events)])


def thoughts(text: str, signature: str | None = None, **where: Any) -> Thinking:
    extras = {"extras": signed(**where)} if where else {}
    return Thinking(text, signature, kind="summary", owner=OWNER, **extras)


STOP = event(finish="STOP", usageMetadata={"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 2})


def test_calls_come_whole_with_unique_ids_and_end_with_calls_though_google_says_stop():
    call = {"functionCall": {"name": "look", "args": {"at": 1}}}
    events, failure = read(event(call, call), event({"functionCall": {"name": "touch"}}), STOP)
    answer = accumulated(events)
    assert (failure, answer.finish, answer.raw_finish) == (None, "tool_calls", "STOP")
    assert [(one.name, one.arguments) for one in answer.tool_calls] == [
        ("look", '{"at": 1}'), ("look", '{"at": 1}'), ("touch", "{}"),
    ]  # fmt: skip
    assert len({one.id for one in answer.tool_calls}) == 3
    assert answer.usage == Usage(7, 5, 12, 0, 2)


@pytest.mark.parametrize("name", ["default_api.look", "default_api:look", "look"])
def test_a_call_has_the_name_of_the_clients_tool(name):
    events, _ = read(event({"functionCall": {"name": name}}), STOP)
    assert [one.name for one in accumulated(events).tool_calls] == ["look"]


def test_the_end_of_another_formats_stream_is_passed_over():
    events, failure = read_stream(StreamParser(MODEL), [stream(event({"text": "a"}), STOP) + b"data: [DONE]\n\n"])
    assert (failure, accumulated(events).text) == (None, "a")
    _, failure = read_stream(StreamParser(MODEL), [stream(event({"text": "a"})) + b"data: [DONE]\n\n"])
    assert failure is not None  # it does not stand for a finish reason


def test_arguments_keep_the_bytes_of_the_model():
    parts = b'[{"functionCall":{"name":"f","args":{"a": 1.50}}}]'
    body = b'{"candidates":[{"content":{"parts":%b},"finishReason":"STOP"}]}' % parts
    assert ToolCallDelta(0, '{"a": 1.50}') in parse_answer(body, MODEL)


def test_a_signature_is_kept_with_the_part_that_it_came_with():
    call = {"functionCall": {"id": "c1", "name": "look", "args": {}}, "thoughtSignature": "Y2FsbA=="}
    events, _ = read(
        event({"text": "Hm.", "thought": True}), event({"text": "I look."}), event(call), event({"text": "So."}),
        event({"text": "", "thoughtSignature": "dGV4dA=="}), STOP,
    )  # fmt: skip
    assert [one.block for one in events if isinstance(one, ThinkingEnd)] == [
        thoughts("Hm."),
        thoughts("", "Y2FsbA==", on="call", call_id="c1"),
        thoughts("", "dGV4dA==", on="text"),
    ]
    signed_thought, _ = read(
        event({"text": "Hm.", "thought": True, "thoughtSignature": "dA=="}), event({"text": "a"}), STOP
    )
    assert accumulated(signed_thought).thinking == (thoughts("Hm.", "dA==", on="thought"),)
    thought_call, _ = read(event({"text": "Hm.", "thought": True}, call), STOP)
    assert accumulated(thought_call).thinking == (thoughts("Hm.", "Y2FsbA==", on="call", call_id="c1"),)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("STOP", "stop"), ("MAX_TOKENS", "length")]
    + [
        (reason, "content_filter")
        for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR")
    ],
)
def test_a_reason_of_google_has_a_neutral_one_and_is_reported(reason, finish):
    answer = accumulated(read(event({"text": "a"}, finish=reason))[0])
    assert (answer.finish, answer.raw_finish) == (finish, reason)


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
     "MISSING_THOUGHT_SIGNATURE", "OTHER", "NO_IMAGE"],
)  # fmt: skip
@pytest.mark.parametrize("started", [False, True])
def test_a_failure_of_the_model_is_no_answer(reason, started):
    message = {"finishMessage": "Malformed function call: print(x)"}
    events, failure = read(*[event({"text": "a"})] * started, event(finish=reason, candidate=message))
    assert events == [TextDelta("a")] * started
    assert failure.kind is Kind.MALFORMED
    assert f"{reason}: Malformed function call" in failure.message


def test_an_empty_answer_is_no_answer():
    for events in ([STOP], [event({"text": "Hm", "thought": True}), STOP], [event({"text": ""}, finish="STOP")]):
        _, failure = read(*events)
        assert failure.kind is Kind.MALFORMED
        assert "no text and no call" in failure.message
    assert read(event({"text": "Hm", "thought": True}, finish="MAX_TOKENS"))[1] is None


def test_a_blocked_prompt_is_a_content_filter():
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7}}
    for failure in (read(blocked)[1], failure_of(json.dumps(blocked).encode())):
        assert (failure.kind, failure.code, failure.status) == (Kind.CONTENT_FILTER, "content_filter", 400)
        assert "PROHIBITED_CONTENT" in failure.message


def failure_of(body: bytes) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        parse_answer(body, MODEL)
    return raised.value


def test_a_finish_reason_in_every_event_ends_nothing():
    parser = StreamParser(MODEL)
    events = parser.feed(stream(event({"text": "a"}, finish="STOP")))
    assert parser.complete
    events += parser.feed(stream(event({"text": "b"})))
    assert not parser.complete
    events += parser.feed(stream(STOP))
    assert accumulated([*events, *parser.close()]).text == "ab"


@pytest.mark.parametrize("started", [False, True])
def test_an_error_inside_a_stream_is_an_error(started):
    error = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    events, failure = read_stream(StreamParser(MODEL), [stream(*[event({"text": "a"})] * started, error)])
    assert events == [TextDelta("a")] * started
    assert failure is not None
    assert (failure.kind, failure.message) == (Kind.OVERLOADED, "Overloaded")


def test_a_list_of_events_is_an_answer():
    body = json.dumps([event({"text": "a"}), event({"text": "b"}), STOP]).encode()
    assert accumulated(parse_answer(body, MODEL)).text == "ab"
    assert failure_of(json.dumps([event({"text": "a"})]).encode()).kind is Kind.MALFORMED


def test_sources_have_offsets_in_characters_and_come_once():
    text = "é😀 so"
    grounding = {
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"maps": {"uri": "https://m.example"}},
        ],
        "groundingSupports": [
            {"segment": {"endIndex": 2}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 2, "endIndex": 6}, "groundingChunkIndices": [1, 7]},
        ],
    }
    cited = {"citationSources": [{"startIndex": 7, "endIndex": 9, "uri": "https://c.example", "license": ""}]}
    both = {"groundingMetadata": grounding, "citationMetadata": cited}
    chunks = stream(event({"text": text}), event(candidate=both), event(candidate=both), STOP)
    events, _ = read_stream(StreamParser(MODEL), [chunks])
    assert [one.citation for one in events if isinstance(one, CitationFound)] == [
        Citation("https://c.example", None, 3, 5),
        Citation("https://a.example", "A", 0, 1),
        Citation("https://m.example", None, 1, 2),
    ]
    assert [text[3:5], text[0:1], text[1:2]] == ["so", "é", "😀"]


def test_sources_without_segments_have_no_offsets():
    grounding = {"groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {}, 7]}
    body = json.dumps(event({"text": "a"}, finish="STOP", candidate={"groundingMetadata": grounding})).encode()
    assert accumulated(parse_answer(body, MODEL)).citations == (Citation("https://a.example", "A"),)


def test_media_and_code_of_the_answer_are_markdown():
    parts = (
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
    )
    answer = accumulated(read(event(*parts), STOP)[0])
    assert answer.text == "![](data:image/png;base64,iVBORw0KGgo=)\n```python\nprint(1)\n```\n\n```\n1\n```\n"


def test_log_probabilities_have_the_clients_form():
    token = {"token": "a", "tokenId": 1, "logProbability": -0.1}
    result = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]}
    events, _ = read(event({"text": "a"}, candidate={"logprobsResult": result}), STOP)
    rendered = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    assert accumulated(events).logprobs == {"content": [{**rendered, "top_logprobs": [rendered]}]}


def test_an_emoji_that_is_split_over_two_events_is_rejoined():
    raw = stream(event({"text": "a\ud83d"}), event({"text": "\ude00b"}), STOP)
    assert accumulated(read_stream(StreamParser(MODEL), [raw])[0]).text == "a😀b"


def test_a_stream_that_is_cut_at_any_byte_is_never_complete():
    call = {"functionCall": {"name": "f", "args": {"a": "é"}}, "thoughtSignature": "Y2FsbA=="}
    raw = stream(event({"text": "Hm", "thought": True}), event({"text": "Hé"}), event(call), STOP)
    for end in range(len(raw) - 2):  # the last two bytes are the empty line
        events, failure = read_stream(StreamParser(MODEL), [raw[:end]])
        assert not checked(events)
        assert failure is not None
        assert failure.kind in (Kind.TRANSPORT, Kind.MALFORMED)
    assert checked(read_stream(StreamParser(MODEL), [raw[:-2]])[0])


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_an_upstream_error(raw):
    events, failure = read_stream(StreamParser(MODEL), [raw])
    assert checked(events) == (failure is None)


FIELDS = st.sampled_from([
    "candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args", "id",
    "finishReason", "usageMetadata", "promptFeedback", "blockReason", "error", "groundingMetadata", "groundingChunks",
    "groundingSupports", "segment", "endIndex", "groundingChunkIndices", "citationMetadata", "citations", "web", "uri",
    "inlineData", "executableCode", "code", "logprobsResult", "chosenCandidates", "topCandidates", "index",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "STOP", "SAFETY", "f", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=16,
)
PARTS = st.dictionaries(st.sampled_from(["text", "thought", "thoughtSignature", "functionCall", "inlineData"]), JSON)
CANDIDATES = st.fixed_dictionaries(
    {"content": st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=3)})},
    optional={
        "finishReason": st.sampled_from(["STOP", "SAFETY", "MAX_TOKENS", "OTHER", ""]),
        "groundingMetadata": JSON,
        "citationMetadata": JSON,
        "logprobsResult": JSON,
    },
)
EVENTS = JSON | st.fixed_dictionaries(
    {"candidates": st.lists(CANDIDATES, max_size=2)}, optional={"usageMetadata": JSON}
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=4))
def test_any_events_are_an_answer_or_an_upstream_error(values):
    events, failure = read_stream(StreamParser(MODEL), [stream(*values)])
    assert checked(events) == (failure is None)
    with suppress(UpstreamError):
        assert checked(parse_answer(json.dumps(values).encode(), MODEL))
