"""Google's own client against the answers that the tests of our format read, and its request beside ours."""

import asyncio
import base64
import json
from typing import Any

import pytest
from aiohttp import web
from google import genai
from google.genai import types

from gateway.core.accumulator import accumulated
from gateway.core.answer import Answer
from gateway.core.message import Image, Message, Owner, Text, Thinking, ToolCall, ToolResult
from gateway.core.turn import Options, Sampling, ToolChoice, ToolSpec, Turn
from gateway.core.usage import Usage
from gateway.wire.google_generative.contents import signed
from gateway.wire.google_generative.upstream import GoogleGenerative
from gateway.wire.model import ModelSpec
from tests.unit.wire.google_generative import provider

CALL = ToolCall("c1", "look", '{"at": "é"}')
ANSWER = Answer("Hé 👋🏽, so", "tool_calls", Usage(110, 70, 180, 30, 20), (CALL,), (Thinking("Hm.", "c2ln+/8="),))
PIXEL = b"\x89PNG\r\n\x1a\n"
SIGNATURE = base64.b64encode(b"sig").decode()


@pytest.fixture
async def google(aiohttp_server):
    """Google's client at a server that answers ANSWER, and the requests that it sent."""
    asked: list[tuple[str, dict[str, str], Any]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path_qs, dict(request.headers), json.loads(await request.read())))
        stream = "stream" in request.path
        body = b"".join(provider.frames(ANSWER)) if stream else provider.whole(ANSWER)
        return web.Response(body=body, content_type="text/event-stream" if stream else "application/json")

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    url = str((await aiohttp_server(app)).make_url(""))
    client = genai.Client(api_key="key", http_options=types.HttpOptions(base_url=url))
    yield client, asked
    client.close()


async def test_googles_client_reads_what_our_parser_reads(google):
    client, _ = google
    question = {"model": "gemini-3-flash", "contents": "hi"}
    whole = await asyncio.to_thread(client.models.generate_content, **question)
    chunks = await asyncio.to_thread(lambda: list(client.models.generate_content_stream(**question)))
    streamed = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    parser = GoogleGenerative().parser(ModelSpec("gemini-3-flash"))
    ours = accumulated([*parser.feed(b"".join(provider.frames(ANSWER))), *parser.close()])
    for parts, usage in (
        (whole.candidates[0].content.parts, whole.usage_metadata),
        (streamed, chunks[-1].usage_metadata),
    ):
        assert "".join(part.text or "" for part in parts if not part.thought) == ours.text
        assert "".join(part.text or "" for part in parts if part.thought) == ours.thinking[0].text
        (call,) = (part for part in parts if part.function_call)
        assert (call.function_call.name, call.function_call.args) == (
            CALL.name,
            json.loads(ours.tool_calls[0].arguments),
        )
        assert base64.b64encode(call.thought_signature).decode() == ours.thinking[-1].signature
        assert usage.candidates_token_count + usage.thoughts_token_count == ours.usage.completion


async def test_our_request_is_the_one_that_googles_client_sends(google):
    client, asked = google
    properties = {"at": types.Schema(type="STRING", description="Where.")}
    await asyncio.to_thread(
        client.models.generate_content,
        model="gemini-3-flash",
        contents=[
            types.Content(
                role="user",
                parts=[types.Part(text="See"), types.Part(inline_data=types.Blob(data=PIXEL, mime_type="image/png"))],
            ),
            types.Content(
                role="model",
                parts=[
                    types.Part(
                        function_call=types.FunctionCall(id="c1", name="look", args={"at": "é"}),
                        thought_signature=b"sig",
                    )
                ],
            ),
            types.Content(
                role="user",
                parts=[
                    types.Part(
                        function_response=types.FunctionResponse(id="c1", name="look", response={"output": "A cat."})
                    )
                ],
            ),
        ],
        config=types.GenerateContentConfig(
            system_instruction="Be kind.",
            max_output_tokens=77,
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            seed=7,
            stop_sequences=["END"],
            thinking_config=types.ThinkingConfig(thinking_level="LOW", include_thoughts=True),
            tools=[
                types.Tool(
                    function_declarations=[
                        types.FunctionDeclaration(
                            name="look",
                            description="Look.",
                            parameters=types.Schema(type="OBJECT", properties=properties, required=["at"]),
                        )
                    ]
                )
            ],
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["look"])
            ),
        ),
    )
    schema = {
        "type": "object",
        "properties": {"at": {"type": "string", "description": "Where."}},
        "required": ["at"],
        "additionalProperties": False,
    }
    owner = Owner("google-generative-ai", "", "gemini-3-flash")
    turn = Turn(
        "openclaw",
        (
            Message("system", (Text("Be kind."),)),
            Message("user", (Text("See"), Image(f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"))),
            Message("assistant", (Thinking("", SIGNATURE, owner=owner, extras=signed("call", "c1")), CALL)),
            Message("tool", (ToolResult("c1", (Text("A cat."),)),)),
        ),
        (ToolSpec("look", "Look.", schema),),
        ToolChoice("pinned", "look"),
        Sampling(0.5, 0.9, seed=7, stop=("END",), max_tokens=77),
        options=Options(effort="low", top_k=40),
    )
    request = GoogleGenerative().request(turn, ModelSpec("gemini-3-flash"))
    ((path, headers, theirs),) = asked
    assert path.endswith(request.path)
    assert {name.lower(): value for name, value in headers.items()}["x-goog-api-key"] == "key"
    assert lowered(json.loads(request.body)) == lowered(theirs)


def lowered(node: Any) -> Any:
    """Names in either case, types of schemas in either case, and the role of an instruction mean the same."""
    if isinstance(node, dict):
        if "parts" in node and node["parts"] == [{"text": "Be kind."}]:
            return node["parts"]
        return {
            _camel(name): value.lower() if name == "type" and isinstance(value, str) else lowered(value)
            for name, value in node.items()
        }
    return [lowered(one) for one in node] if isinstance(node, list) else node


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(one.title() for one in others)
