"""Ollama's own client against the answers that the tests of our format read, and its request beside ours."""

import base64
import json
from typing import Any

import ollama
import pytest
from aiohttp import web

from gateway.core.accumulator import accumulated
from gateway.core.answer import Answer
from gateway.core.message import Image, Message, Text, Thinking, ToolCall, ToolResult
from gateway.core.turn import Options, ResponseFormat, Sampling, ToolSpec, Turn
from gateway.core.usage import Usage
from gateway.wire.model import ModelSpec
from gateway.wire.ollama.upstream import Ollama
from tests.unit.wire.ollama import provider

CALL = ToolCall("c1", "look", '{"at": "é"}')
ANSWER = Answer("Hé 👋🏽, so", "tool_calls", Usage(110, 70, 180), (CALL,), (Thinking("Hm, then?"),))
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
SCHEMA = {"type": "object", "properties": {"at": {"type": "string", "description": "Where."}}, "required": ["at"]}


@pytest.fixture
async def server(aiohttp_server):
    """Ollama's client at a server that answers ANSWER, and the requests that it sent."""
    asked: list[tuple[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        asked.append((request.path, body))
        sent = b"".join(provider.frames(ANSWER)) if body["stream"] else provider.whole(ANSWER)
        return web.Response(body=sent, content_type="application/x-ndjson" if body["stream"] else "application/json")

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    client = ollama.AsyncClient(host=str((await aiohttp_server(app)).make_url("")))
    yield client, asked
    await client.close()


async def test_ollamas_client_reads_what_our_parser_reads(server):
    client, _ = server
    whole = await client.chat("m", [{"role": "user", "content": "hi"}])
    pieces = [one.message async for one in await client.chat("m", [{"role": "user", "content": "hi"}], stream=True)]
    parser = Ollama().parser(ModelSpec("m"))
    ours = accumulated([*parser.feed(b"".join(provider.frames(ANSWER))), *parser.close()])
    for messages in ([whole.message], pieces):
        assert "".join(one.content or "" for one in messages) == ours.text
        assert "".join(one.thinking or "" for one in messages) == ours.thinking[0].text
        (call,) = (call.function for one in messages for call in one.tool_calls or ())
        assert (call.name, call.arguments) == (CALL.name, json.loads(ours.tool_calls[0].arguments))


async def test_our_request_is_the_one_that_ollamas_client_sends(server):
    client, asked = server
    await client.chat(
        "m",
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "See", "images": [PIXEL]},
            {"role": "assistant", "content": "", "thinking": "Hm.",
             "tool_calls": [{"function": {"name": "look", "arguments": {"at": "é"}}}]},
            {"role": "tool", "content": "A cat.", "tool_name": "look"},
        ],
        tools=[{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA}}],
        think="low",
        format=SCHEMA,
        options={"num_ctx": 8192, "num_predict": 77, "temperature": 0.5, "stop": ["END"]},
        keep_alive="5m",
    )  # fmt: skip
    turn = Turn(
        "openclaw",
        (
            Message("system", (Text("Be kind."),)),
            Message("user", (Text("See"), Image(f"data:image/png;base64,{PIXEL}"))),
            Message("assistant", (Thinking("Hm."), CALL)),
            Message("tool", (ToolResult("c1", (Text("A cat."),)),)),
        ),
        (ToolSpec("look", "Look.", SCHEMA),),
        None,
        Sampling(0.5, stop=("END",), max_tokens=77, response_format=ResponseFormat("json_schema", {"schema": SCHEMA})),
        options=Options(effort="low"),
    )
    model = ModelSpec("m", context_window=8192, params={"keep_alive": "5m"})
    request = Ollama().request(turn, model)
    ((path, theirs),) = asked
    assert path == request.path
    ours = json.loads(request.body)
    assert (ours.pop("truncate"), ours.pop("shift")) == (False, False)  # newer than this client, as are ids of calls
    for message in ours["messages"]:
        message.pop("tool_call_id", None)
        for call in message.get("tool_calls", ()):
            call.pop("id")
    for message in theirs["messages"]:
        message.setdefault("content", "")
    assert ours == theirs
