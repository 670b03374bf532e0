"""What clients get of errors and demanded calls, through the whole application."""

import json

import pytest
import pytest_asyncio

from gateway.core.answer import Answer
from gateway.core.message import ToolCall
from gateway.core.usage import Usage
from tests.unit.wire.anthropic_messages.provider import MODEL
from tests.unit.wire.clients import CLIENTS, Question, error_of
from tests.unit.wire.every_format import ASK, each_client, each_way

WIRE = "anthropic-messages"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def house(open_house, config):
    config["agents"]["defaults"]["model"]["primary"] = f"house/{MODEL}"
    return await open_house("house", WIRE)


def error(name, message="It failed.", code=None):
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": name, "message": message, **details}, "request_id": "req_1"}


ERRORS = {
    "invalid": (400, error("invalid_request_error", "messages: nonsense"), 400, "invalid_request_error"),
    "overflow": (400, error("invalid_request_error", "prompt is too long: 9 > 8"), 400, "invalid_request_error"),
    "credit": (400, error("invalid_request_error", "Your credit balance is too low"), 502, "upstream_auth_error"),
    "key": (401, error("authentication_error"), 502, "upstream_auth_error"),
    "billing": (402, error("billing_error"), 502, "upstream_auth_error"),
    "model": (404, error("not_found_error", "model: nobody"), 404, "invalid_request_error"),
    "size": (413, error("request_too_large"), 413, "invalid_request_error"),
    "spent": (429, error("rate_limit_error", code="enforced_spend_limit_reached"), 502, "upstream_auth_error"),
    "broken": (500, error("api_error"), 502, "upstream_error"),
    "timeout": (504, error("timeout_error"), 504, "upstream_timeout"),
    "overloaded": (529, error("overloaded_error"), 503, "upstream_error"),
}


@each_client
@each_way
@pytest.mark.parametrize("kind", ERRORS)
async def test_an_error_is_what_it_means_to_the_client(house, ask, client, stream, kind):
    status, body, expected, name = ERRORS[kind]
    house.sends([json.dumps(body).encode()], stream=False, status=status)
    got, answer = await ask(client, client.body(ASK, stream=stream))
    assert (got, json.loads(answer)["error"]["type"]) == client.error(expected, name)
    assert body["error"]["message"] in error_of(answer).error


@each_client
@pytest.mark.parametrize("kind", sorted(ERRORS.keys() - {"model", "size"}))
async def test_an_error_at_the_begin_of_a_stream_has_the_same_status(house, ask, client, kind):
    _, body, expected, name = ERRORS[kind]
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}
    frames = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in (start, {"type": "ping"}, body)]
    house.sends(frames, stream=True)
    got, answer = await ask(client, client.body(ASK, stream=True))
    assert (got, json.loads(answer)["error"]["type"]) == client.error(expected, name)


NO, CALL = (
    Answer("No.", "stop", Usage(10, 2, 12)),
    Answer(None, "tool_calls", Usage(10, 5, 15), (ToolCall("call_1", "look", "{}"),)),
)


@each_client
@each_way
@pytest.mark.parametrize("pinned", ["look", None], ids=["pinned", "required"])
async def test_a_call_that_is_asked_for_in_words_is_asked_for_twice(house, ask, client, stream, pinned):
    for answer in (NO, CALL):
        house.answers(answer)
    body = client.body(Question(ASK.messages, ASK.tools, pinned, settings=True), stream=stream)
    if pinned is None:
        body["tool_choice"] = client.required
    status, answer = await ask(client, body)
    assert status == 200
    seen = client.stream(answer) if stream else client.whole(answer)
    assert (seen.text, seen.calls, seen.tokens) == ("", (("call_1", "look", "{}"),), (20, 7, 0, 0))
    assert [asked["choice"] for asked in house.asked] == [None, None]
    assert all("by calling" in asked["messages"][-1][-1][1] for asked in house.asked)


@each_client
async def test_a_call_that_does_not_come_the_second_time_fails_the_request(house, ask, client):
    for answer in (NO, NO):
        house.answers(answer)
    status, answer = await ask(
        client, client.body(Question(ASK.messages, ASK.tools, "look", settings=True), stream=False)
    )
    assert (status, len(house.asked)) == (502, 2)
    assert "look tool call" in error_of(answer).error


@each_client
async def test_a_demanded_call_is_asked_for_once_where_it_can_be_demanded(house, ask, client):
    house.answers(NO)
    status, _ = await ask(client, client.body(Question(ASK.messages, ASK.tools, "look"), stream=False))
    assert (status, len(house.asked)) == (502, 1)
    assert house.asked[0]["choice"] == ["pinned", "look"]


@pytest.mark.parametrize("client", [client for client in CLIENTS if "audio" not in client.lacks])
async def test_audio_is_refused_by_name(house, ask, client):
    question = Question([["user", ["text", "hi"], ["audio", "wav", "UklGRg=="]]])
    status, answer = await ask(client, client.body(question, stream=False))
    assert status == 400
    assert "audio" in error_of(answer).error
    assert not house.asked
