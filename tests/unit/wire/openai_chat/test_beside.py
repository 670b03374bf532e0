"""What answers have beside text, reasoning and calls."""

import json

import pytest

from gateway.core.accumulator import accumulated
from gateway.core.event import CitationFound, Finish, ForeignFound, TextDelta
from gateway.core.message import Citation, Foreign, Message
from gateway.core.turn import Turn
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.answer import StreamParser, parse_answer
from gateway.wire.openai_chat.profile import Profile
from gateway.wire.openai_chat.render import ChatRenderer, render_answer
from gateway.wire.openai_chat.request import build_request

MODEL = ModelSpec("small", provider="fake")
AUDIO = {"id": "audio_1", "data": "UklGRg==", "transcript": "Hello.", "expires_at": 7}
IMAGES = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
FILE_CITED = {"type": "file_citation", "file_citation": {"file_id": "f"}}
URL_CITED = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}
FOUND = {"citations": ["u"], "search_results": [{"url": "u", "title": "t", "date": "2026"}]}
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 4,
    "total_tokens": 7,
    "cost": 0.25,
    "cost_details": {"upstream_inference_cost": 0.2},
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1, "image_tokens": 2},
}


def completion(message, **fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], **fields}).encode()


def chunks(*deltas, **fields):
    choices = [{"index": 0, "delta": delta} for delta in deltas] + [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    return b"".join(b"data: " + json.dumps({"choices": [c], **fields}).encode() + b"\n\n" for c in choices)


def read(stream):
    parser = StreamParser(MODEL)
    return [*parser.feed(stream + b"data: [DONE]\n\n"), *parser.close()]


def rendered(answer):
    return json.loads(render_answer(answer, id="c", created=7, model="m"))


def streamed(events):
    """The chunks that the client gets, with the role and the finish left out."""
    renderer = ChatRenderer(now=7, include_usage=True).stream("m")
    frames = (renderer.feed(events) + renderer.close()).decode().split("\n\n")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames if frame and "[DONE]" not in frame][1:]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"audio": AUDIO}, "Hello."),
        ({"images": IMAGES}, "![](data:image/png;base64,AA==)"),
        ({"annotations": [FILE_CITED]}, ""),
    ],
)
def test_a_chat_client_gets_the_field_as_it_came_and_a_text_stands_for_it_elsewhere(message, text):
    events = parse_answer(completion(message), MODEL)
    assert events == [ForeignFound(Foreign(WIRE, {"message": message}, text)), Finish("stop")]
    assert rendered(accumulated(events))["choices"][0]["message"].items() >= message.items()
    (chunk, *_) = streamed(events)
    assert chunk["choices"][0]["delta"] == message


def test_pieces_of_audio_and_several_images_are_one_field_of_a_whole_answer():
    deltas = [
        {"audio": {"id": "audio_1"}},
        {"audio": {"transcript": "Hel", "data": "Ukl"}},
        {"audio": {"transcript": "lo.", "data": "GRg=="}},
        {"audio": {"expires_at": 7}},
        {"images": IMAGES},
        {"images": IMAGES},
    ]
    events = read(chunks(*deltas))
    message = rendered(accumulated(events))["choices"][0]["message"]
    assert (message["audio"], message["images"]) == (AUDIO, IMAGES * 2)
    assert [chunk["choices"][0]["delta"] for chunk in streamed(events)[: len(deltas)]] == deltas


def test_annotations_of_all_types_come_together():
    events = parse_answer(completion({"content": "a", "annotations": [FILE_CITED, URL_CITED]}), MODEL)
    assert rendered(accumulated(events))["choices"][0]["message"]["annotations"] == [URL_CITED, FILE_CITED]


def test_what_a_server_found_comes_once_and_is_cited():
    whole = parse_answer(completion({"content": "a"}, **FOUND), MODEL)
    events = read(chunks({"content": "a"}, **FOUND))
    cited = CitationFound(Citation("u", "t"))
    assert (
        events
        == whole
        == [TextDelta("a"), cited, ForeignFound(Foreign(WIRE, {"completion": FOUND}, "")), Finish("stop")]
    )
    assert rendered(accumulated(events)).items() >= FOUND.items()
    (chunk,) = [chunk for chunk in streamed(events) if chunk.items() >= FOUND.items()]
    assert chunk["choices"][0]["delta"] == {}


def test_sources_that_the_message_cites_itself_are_not_cited_twice():
    events = read(chunks({"content": "a", "annotations": [URL_CITED]}, citations=["u"]))
    assert [type(event) for event in events].count(CitationFound) == 1


def test_every_field_of_the_usage_comes_through():
    events = parse_answer(completion({"content": "a"}, usage=USAGE), MODEL)
    assert rendered(accumulated(events))["usage"] == USAGE
    assert streamed(events)[-1]["usage"] == USAGE


def test_the_usage_of_two_answers_adds_up():
    (*_, one) = parse_answer(completion({"content": "a"}, usage={**USAGE, "tier": "a"}), MODEL)
    (*_, other) = parse_answer(completion({"content": "a"}, usage=USAGE), MODEL)
    both = (one.usage + other.usage).others
    assert both["cost"] == 0.5
    assert both["completion_tokens_details"] == {"image_tokens": 4}
    assert both["tier"] == "a"


@pytest.mark.parametrize(("strict", "sent"), [(False, {"audio": {"id": "audio_1"}, "images": IMAGES}), (True, {})])
def test_audio_goes_back_by_its_id_and_nothing_to_a_strict_endpoint(strict, sent):
    parts = accumulated(parse_answer(completion({"audio": AUDIO, "images": IMAGES}), MODEL)).parts
    model = ModelSpec("small", profile=Profile(strict_messages=strict))
    body = json.loads(build_request(Turn("m", (Message("assistant", parts),)), model))
    assert body["messages"][0] == {"role": "assistant", "content": None if sent else "", **sent}


def test_a_text_stands_for_a_part_of_another_format():
    picture = ForeignFound(Foreign("another", {"type": "picture"}, "![](u)"))
    events = [TextDelta("See: "), picture, Finish("stop")]
    assert rendered(accumulated(events))["choices"][0]["message"]["content"] == "See: ![](u)"
    assert streamed(events)[1]["choices"][0]["delta"] == {"content": "![](u)"}
