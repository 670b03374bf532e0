"""Every provider's format with every client's format, through the whole application: nothing is lost on either way.

A format that is added brings its package with a `provider.py` beside its tests; see `tests.unit.wire.formats`.
"""

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.app import create_app
from gateway.core.accumulator import accumulated
from gateway.core.answer import Answer
from gateway.core.message import Citation, Message, Owner, Text, Thinking, ToolCall
from gateway.core.turn import Turn
from gateway.core.usage import Usage
from gateway.upstream.catalog import CATALOG, Row
from gateway.validation import validated
from gateway.wire import UPSTREAMS
from gateway.wire.model import ModelSpec
from tests.pdf import make_pdf
from tests.unit.wire import toy
from tests.unit.wire.clients import CLIENTS, Question, Seen, error_of, visible
from tests.unit.wire.formats import FORMATS, PROVIDERS

TOOL_SERVER = Path(__file__).parents[2] / "tool_server.py"
TOKEN = "token-of-the-tests"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

USAGE = Usage(110, 70, 180, 30, 20)
TEXT = 'Hé 👋🏽, that is\n"it" \\u00e9.'
THOUGHT = Thinking("First, what is asked? Then:\n…", "c2ln+/8=")
CALLS = (ToolCall("call_1", "look", '{"at": "the é"}'), ToolCall("call_2", "look", '{"at":\n[1, 2.50]}'))
SOURCES = (Citation("https://a.example/1", "One", 0, 2), Citation("https://b.example/2", "Two", 3, 7))
ANSWERS = {
    "text": Answer(TEXT, "stop", USAGE),
    "refusal": Answer(None, "stop", USAGE, refusal="I can't help with that."),
    "one call": Answer(None, "tool_calls", USAGE, CALLS[:1]),
    "parallel calls": Answer(None, "tool_calls", USAGE, CALLS),
    "text and calls": Answer(TEXT, "tool_calls", USAGE, CALLS),
    "thinking": Answer(TEXT, "stop", USAGE, thinking=(THOUGHT,)),
    "thinking and calls": Answer(None, "tool_calls", USAGE, CALLS, (THOUGHT,)),
    "citations": Answer(TEXT, "stop", USAGE, citations=SOURCES),
    "no details of usage": Answer(TEXT, "stop", Usage(11, 7, 18, 0, 0)),
    "length": Answer(TEXT, "length", USAGE),
    "length in a call": Answer(None, "length", USAGE, (ToolCall("call_1", "look", '{"at": "th'),)),
    "length while thinking": Answer(None, "length", USAGE, thinking=(THOUGHT,)),
    "content filter": Answer("That is", "content_filter", USAGE),
    "content filter at once": Answer(None, "content_filter", USAGE),
    "everything": Answer(TEXT, "tool_calls", USAGE, CALLS, (THOUGHT,), citations=SOURCES),
}

each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.path)
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
each_answer = pytest.mark.parametrize("name", ANSWERS)
ASK = Question([["user", ["text", "hi"]]], [["look", "Look at it.", {"type": "object"}]])


@dataclass
class House:
    """A provider that speaks `says`; `script` are its answers, `asked` what it was asked."""

    says: Any
    url: str = ""
    script: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    def answers(self, answer: Answer) -> None:
        """Once more answer so, as it is asked for: streamed or whole."""
        self.script.append(answer)

    def sends(self, frames: list[bytes], *, stream: bool, status: int = 200) -> None:
        """Once more answer with these bytes."""
        self.script.append((status, self.says.STREAM_TYPE if stream else self.says.WHOLE_TYPE, frames))

    def refuses(self, text: str) -> None:
        """Once more answer with an error."""
        status, body = self.says.refusal(text)
        self.sends([body], status=status, stream=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(self.says.asked(request.path, body))
        if request.content_type == "application/json":
            self.bodies.append(json.loads(body))
        self.headers.append(request.headers)
        if isinstance(answer := self.script.pop(0), Answer):
            stream = self.asked[-1]["stream"]
            self.sends(self.says.frames(answer) if stream else [self.says.whole(answer)], stream=stream)
            answer = self.script.pop()
        status, content_type, frames = answer
        response = web.StreamResponse(status=status, headers={"Content-Type": content_type})
        await response.prepare(request)
        for frame in frames:
            await response.write(frame)
        return response


@pytest.fixture(autouse=True)
def toy_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPSTREAMS, toy.WIRE, FORMATS[toy.WIRE])


@pytest.fixture
def open_house(aiohttp_server: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A provider of a format, known to the gateway by a row of the catalogue and nothing else."""

    async def build(name: str, api: str) -> House:
        house = House(PROVIDERS[api])
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/base/{path:.*}", house.handle)
        house.url = str((await aiohttp_server(app)).make_url("/base"))
        monkeypatch.setitem(CATALOG, name, Row(house.url, ("HOUSE_KEY",), house.says.MODEL, api=api))
        return house

    return build


@pytest.fixture(params=PROVIDERS)
async def house(request: pytest.FixtureRequest, open_house: Callable[..., Any], config: dict[str, Any]) -> House:
    """The agent's provider, in each format."""
    house: House = await open_house("house", request.param)
    config["agents"]["defaults"]["model"]["primary"] = f"house/{house.says.MODEL}"
    return house


@pytest.fixture(params=PROVIDERS)
async def fallback(request: pytest.FixtureRequest, open_house: Callable[..., Any], config: dict[str, Any]) -> House:
    """The provider of the agent's fallback, in each format; it finishes answers that break off."""
    config["gateway"]["stream"]["rescue"] = True
    house: House = await open_house("fallback", request.param)
    config["agents"]["defaults"]["model"]["fallbacks"] = [f"fallback/{house.says.MODEL}"]
    return house


@pytest.fixture
def config() -> dict[str, Any]:
    """The configuration file, for tests to change."""
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {name: {"enabled": True} for name in ("responses", "chatCompletions", "messages")}},
            "stream": {"rescue": False},
            "retry": {"maxRetries": 0},
        },
        "agents": {"defaults": {"model": {"primary": "house/small"}}, "entries": {"main": {}}},
    }


@pytest.fixture
async def gateway(house: House, config: dict[str, Any], aiohttp_client: Any, tmp_path: Path) -> TestClient:
    return await served(config, aiohttp_client, tmp_path)


async def served(config: dict[str, Any], aiohttp_client: Any, folder: Path) -> TestClient:
    file = folder / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    loaded = validated(file, {"HOUSE_KEY": "key-of-the-house"}).loaded
    app = create_app(loaded.config, loaded.env, folder)
    gateway: TestClient = await aiohttp_client(app, headers={"Authorization": f"Bearer {TOKEN}"})
    return gateway


@pytest.fixture
def ask(gateway: TestClient) -> Callable[..., Any]:
    """POST a body; its status and the bytes of the answer."""

    async def post(client: Any, body: dict[str, Any]) -> tuple[int, bytes]:
        async with gateway.post(client.path, json=body) as response:
            return response.status, await response.read()

    return post


def read(client: Any, status: int, body: bytes, *, stream: bool) -> Seen:
    if status != 200:
        return error_of(body)
    seen: Seen = client.stream(body) if stream else client.whole(body)
    return seen


def test_every_wire_format_is_proven_here():
    assert PROVIDERS.keys() == UPSTREAMS.keys()
    assert all(name == upstream.name for name, upstream in UPSTREAMS.items())


@each_client
@each_way
@each_answer
async def test_a_client_sees_what_the_provider_sent(house, ask, client, stream, name):
    house.answers(ANSWERS[name])
    status, body = await ask(client, client.body(ASK, stream=stream))
    seen = client.sees(visible(house.says.received(ANSWERS[name], stream=stream)), stream=stream)
    assert (status, read(client, status, body, stream=stream)) == (200, seen)


@each_client
@each_way
async def test_an_error_before_the_first_event_keeps_its_status(house, ask, client, stream):
    house.refuses("Too many people.")
    status, body = await ask(client, client.body(ASK, stream=stream))
    assert status == client.error(503, "")[0]
    assert "Too many people." in error_of(body).error


@each_client
@each_way
async def test_an_error_in_place_of_an_answer_is_an_error(house, ask, client, stream):
    house.sends([house.says.failure("Too many people.", stream=stream)], stream=stream)
    status, body = await ask(client, client.body(ASK, stream=stream))
    assert status == client.error(503, "")[0]
    assert "Too many people." in error_of(body).error


@each_client
@pytest.mark.parametrize("text", ["Too many people.", None], ids=["reported", "cut"])
async def test_an_error_after_the_first_event_ends_the_stream_as_one(house, ask, client, text):
    *_, last, _, _ = frames = house.says.frames(ANSWERS["text"])
    started = frames[: frames.index(last)]
    house.sends(started if text is None else [*started, house.says.failure(text, stream=True)], stream=True)
    status, body = await ask(client, client.body(ASK, stream=True))
    seen = read(client, status, body, stream=True)
    assert status == 200
    assert (text or "broke off") in seen.error
    assert seen.finish is None
    assert seen.text
    assert TEXT.startswith(seen.text)


CONVERSATION = [
    ["system", ["text", "Be kind."]],
    ["user", ["text", "What is it?"], ["image", PIXEL], ["audio", "wav", "UklGRg=="]],
    ["assistant", ["text", "I'll look."], ["call", "c1", "look", '{"at":  "é"}'], ["call", "c2", "look", "{}"]],
    ["tool", ["result", "c1", ["text", "A cat."]]],
    ["tool", ["result", "c2", ["text", "A 🐕."]]],
    ["user", ["text", "And now?"]],
]
TOOLS = [
    ["look", "Look at it.", {"type": "object", "properties": {"at": {"type": "string"}}}],
    ["touch", "Touch it.", {"type": "object"}],
]


@each_client
@each_way
async def test_a_provider_gets_what_the_client_sent(house, ask, client, stream):
    house.answers(ANSWERS["text"])
    lacks = house.says.LACKS | client.lacks
    conversation = [[role, *(part for part in parts if part[0] not in lacks)] for role, *parts in CONVERSATION]
    question = Question(conversation, TOOLS, settings=True)
    status, _ = await ask(client, client.body(question, stream=stream))
    assert status == 200
    assert house.asked == [
        {
            "model": "small",
            "stream": stream,
            "settings": client.settings(house.says.SETTINGS),
            "tools": TOOLS,
            "choice": None,
            "messages": [
                [role, *([*part[:3], client.arguments(part[3])] if part[0] == "call" else part for part in parts)]
                for role, *parts in conversation
            ],
        }
    ]
    assert house.says.authorised(house.headers[0], "key-of-the-house")


@each_client
async def test_a_provider_is_asked_for_the_one_tool_that_the_client_wants(house, ask, client):
    house.answers(ANSWERS["one call"])
    status, _ = await ask(client, client.body(Question(CONVERSATION[-1:], TOOLS, pinned="look"), stream=False))
    assert status == 200
    assert house.asked[0]["choice"] == ["pinned", "look"]


def calls_of(house: House, *, stream: bool) -> tuple[ToolCall, ...]:
    """CALLS as a client sees them that was given them by this house."""
    calls: tuple[ToolCall, ...] = house.says.received(ANSWERS["thinking and calls"], stream=stream).tool_calls
    return calls


@each_client
@each_way
@pytest.mark.parametrize("forgets", [False, True], ids=["returned", "dropped"])
async def test_reasoning_goes_back_to_its_model_with_the_call_that_it_led_to(house, ask, client, stream, forgets):
    house.answers(ANSWERS["thinking and calls"])
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=stream)
    _, body = await ask(client, first)
    returned = client.returned(body, stream=stream)
    if forgets:
        returned = client.forgetful(returned)
    calls = calls_of(house, stream=stream)
    results = [(call.id, "a cat") for call in calls]
    status, _ = await ask(client, client.followed(first, returned, results))
    assert status == 200
    assert house.asked[1]["messages"] == [
        *ASK.messages,
        [
            "assistant",
            house.says.thought(THOUGHT),
            *(["call", call.id, call.name, client.arguments(call.arguments)] for call in calls),
        ],
        *(["tool", ["result", call.id, ["text", "a cat"]]] for call in calls),
    ]


@each_client
@each_way
@pytest.mark.parametrize("house", [api for api, says in PROVIDERS.items() if says.SIGNS], indirect=True)
async def test_reasoning_that_has_only_a_signature_goes_back_too(house, ask, client, stream):
    blocks = (Thinking("", "b25l"), Thinking("Then?", "dHdv"), Thinking("", "dGhyZWU="))
    house.answers(Answer(None, "tool_calls", USAGE, CALLS[:1], blocks))
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=stream)
    _, body = await ask(client, first)
    status, _ = await ask(client, client.followed(first, client.returned(body, stream=stream), [("call_1", "a cat")]))
    assert status == 200
    _, *parts, call = house.asked[1]["messages"][1]
    assert parts == [house.says.thought(block) for block in blocks]
    assert call[:2] == ["call", "call_1"]


@each_client
@each_way
@pytest.mark.parametrize("forgets", [False, True], ids=["returned", "dropped"])
async def test_a_loop_of_three_rounds_has_all_of_its_reasoning_in_order(house, ask, client, stream, forgets):
    signatures = [base64.b64encode(b"sig%d" % number).decode() for number in range(3)]
    thoughts = [Thinking(f"Thought {number}.", signature) for number, signature in enumerate(signatures)]
    calls = [ToolCall(f"call_{number}", "look", f'{{"at": {number}}}') for number in range(3)]
    body = client.body(ASK, stream=stream)
    for thought, call in zip(thoughts, calls, strict=True):
        house.answers(Answer(None, "tool_calls", USAGE, (call,), (thought,)))
        _, answer = await ask(client, body)
        returned = client.returned(answer, stream=stream)
        body = client.followed(body, client.forgetful(returned) if forgets else returned, [(call.id, "a cat")])
    house.answers(ANSWERS["text"])
    status, answer = await ask(client, body)
    seen = client.sees(visible(house.says.received(ANSWERS["text"], stream=stream)), stream=stream)
    assert (status, read(client, status, answer, stream=stream)) == (200, seen)
    _, *steps = house.asked[3]["messages"]
    assert steps == [
        message
        for thought, call in zip(thoughts, calls, strict=True)
        for message in (
            ["assistant", house.says.thought(thought), ["call", call.id, call.name, client.arguments(call.arguments)]],
            ["tool", ["result", call.id, ["text", "a cat"]]],
        )
    ]


@each_client
async def test_a_picture_that_a_tool_returned_reaches_the_model(house, ask, client):
    house.answers(ANSWERS["parallel calls"])
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=False)
    _, body = await ask(client, first)
    results = [(CALLS[0].id, client.pictured("a cat", PIXEL)), (CALLS[1].id, "a dog")]
    status, _ = await ask(client, client.followed(first, client.returned(body, stream=False), results))
    assert status == 200
    parts = [part for message in house.asked[1]["messages"][2:] for part in message[1:]]
    texts = [part[2:] if part[0] == "result" else [part] for part in parts]
    assert ["image", PIXEL] in [one for inner in texts for one in inner]
    assert [part[:2] for part in parts if part[0] == "result"] == [["result", call.id] for call in CALLS]


@each_client
@each_way
@pytest.mark.parametrize("house", [api for api, says in PROVIDERS.items() if says.PDFS], indirect=True)
async def test_a_pdf_reaches_a_model_that_reads_it_as_it_is(house, ask, client, stream):
    data = base64.b64encode(make_pdf("Hello")).decode()
    house.answers(ANSWERS["text"])
    body = client.body(ASK, stream=stream)
    field = "messages" if "messages" in body else "input"
    body[field] = [*body[field], *client.file("a.pdf", f"data:application/pdf;base64,{data}")]
    status, _ = await ask(client, body)
    assert status == 200
    assert data in json.dumps(house.asked[0]["messages"][-1])


OWN_PROVIDERS = [PROVIDERS[name] for name in wire.OWN_TOOLS]
OWN_TOOLS = [
    {"type": "custom", "name": "apply_patch", "description": "Edits."},
    {
        "type": "namespace",
        "name": "agents",
        "description": "Agents.",
        "tools": [{"type": "function", "name": "spawn", "parameters": {"type": "object"}}],
    },
    {"type": "local_shell"},
    {"type": "web_search"},
]
OWN_ITEMS = [
    {"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": '*** Begin\n"é"'},
    {"type": "function_call", "call_id": "call_2", "name": "spawn", "namespace": "agents", "arguments": "{}"},
    {"type": "local_shell_call", "call_id": "call_3", "action": {"type": "exec", "env": {}, "command": ["ls"]}},
]
AS_FUNCTIONS = (
    ToolCall("call_1", "apply_patch", json.dumps({"input": OWN_ITEMS[0]["input"]})),
    ToolCall("call_2", "agents__spawn", "{}"),
    ToolCall("call_3", "local_shell", '{"command":["ls"]}'),
)


@each_way
async def test_tools_that_are_no_functions_work_with_every_format_and_come_back_as_the_client_knows_them(
    house, ask, stream
):
    client = CLIENTS[1]
    native = house.says in OWN_PROVIDERS
    house.answers(Answer(None, "tool_calls", USAGE, OWN_ITEMS if native else AS_FUNCTIONS))
    house.answers(ANSWERS["text"])
    first = client.body(ASK, stream=stream) | {"tools": OWN_TOOLS}
    _, body = await ask(client, first)
    returned = client.returned(body, stream=stream)
    assert [{name: item[name] for name in known} for item, known in zip(returned, OWN_ITEMS, strict=True)] == OWN_ITEMS
    outputs = [{"type": item["type"] + "_output", "call_id": item["call_id"], "output": "a cat"} for item in OWN_ITEMS]
    status, _ = await ask(client, {**first, "input": [*first["input"], *returned, *outputs]})
    assert status == 200
    _, *history = house.asked[1]["messages"]
    if native:
        spawn = OWN_TOOLS[1]["tools"][0] | {"strict": False}
        assert house.bodies[1]["tools"] == [OWN_TOOLS[0], {**OWN_TOOLS[1], "tools": [spawn]}, *OWN_TOOLS[2:]]
        shell = {"id": "call_3", "status": "completed", **OWN_ITEMS[2]}
        shell_output = {"type": "local_shell_call_output", "id": "call_3", "output": "a cat"}
        assert house.bodies[1]["input"][1:] == [*OWN_ITEMS[:2], shell, *outputs[:2], shell_output]
    else:
        assert [tool[0] for tool in house.asked[1]["tools"]] == [call.name for call in AS_FUNCTIONS]
        calls = [["call", call.id, call.name, json.loads(call.arguments)] for call in AS_FUNCTIONS]
        assert [[*call[:3], json.loads(call[3])] for call in history[0][1:]] == calls
        assert history[1:] == [["tool", ["result", call.id, ["text", "a cat"]]] for call in AS_FUNCTIONS]


async def test_a_picture_that_a_clients_tool_returns_reaches_the_model_in_every_format(house, ask):
    client = CLIENTS[1]
    house.answers(ANSWERS["text"])
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    picture = [{"type": "input_text", "text": "This:"}, {"type": "input_image", "image_url": PIXEL}]
    output = {"type": "function_call_output", "call_id": "call_1", "output": picture}
    body = client.body(ASK, stream=False)
    status, _ = await ask(client, body | {"input": [*body["input"], call, output]})
    assert status == 200
    assert (
        PIXEL.partition(",")[2] in json.dumps(house.bodies[0])
        if house.bodies
        else ["image", PIXEL] in (house.asked[0]["messages"][2][1])
    )


@each_way
async def test_a_chat_clients_custom_tool_works_with_every_format(house, ask, stream):
    client = CLIENTS[0]
    native = house.says in OWN_PROVIDERS
    house.answers(Answer(None, "tool_calls", USAGE, OWN_ITEMS[:1] if native else AS_FUNCTIONS[:1]))
    house.answers(ANSWERS["text"])
    tool = {"type": "custom", "custom": {"name": "apply_patch", "description": "Edits."}}
    first = client.body(ASK, stream=stream) | {"tools": [tool], "tool_choice": "required"}
    _, body = await ask(client, first)
    called = {"name": "apply_patch", "input": OWN_ITEMS[0]["input"]}
    if stream:
        payloads = [json.loads(frame.removeprefix(b"data: ")) for frame in body.split(b"\n\n")[:-2]]
        deltas = [choice["delta"] for payload in payloads for choice in payload["choices"]]
        pieces = [call["custom"] for delta in deltas for call in delta.get("tool_calls", ())]
        assert {name: "".join(piece.get(name, "") for piece in pieces) for name in called} == called
    else:
        (call,) = json.loads(body)["choices"][0]["message"]["tool_calls"]
        assert call == {"id": "call_1", "type": "custom", "custom": called}
    message = {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "custom", "custom": called}]}
    following = client.followed(first, [message], [("call_1", "done")]) | {"tool_choice": "auto"}
    status, _ = await ask(client, following)
    assert status == 200
    if native:
        assert house.bodies[1]["input"][1:] == [
            OWN_ITEMS[0],
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"},
        ]
    else:
        assert house.asked[1]["messages"][-1] == ["tool", ["result", "call_1", ["text", "done"]]]
        (*_, arguments) = house.asked[1]["messages"][-2][-1]
        assert json.loads(arguments) == {"input": OWN_ITEMS[0]["input"]}


@pytest.mark.parametrize("house", sorted(PROVIDERS.keys() - wire.OWN_TOOLS), indirect=True)
async def test_a_demanded_tool_that_the_provider_does_not_run_is_refused_by_name(house, ask):
    client = CLIENTS[1]
    body = client.body(ASK, stream=True) | {"tools": OWN_TOOLS, "tool_choice": {"type": "web_search"}}
    status, answer = await ask(client, body)
    assert (status, house.asked) == (400, [])
    assert "web_search" in answer.decode()


@each_way
async def test_a_stop_sequence_ends_the_answer_in_every_format(house, ask, stream):
    client = CLIENTS[0]
    whole = house.says in OWN_PROVIDERS  # the format has no stop sequences: the provider writes on
    answer = Answer("One. END Two." if whole else "One. ", "stop", USAGE)
    house.answers(answer)
    status, body = await ask(client, client.body(ASK, stream=stream) | {"stop": ["END"]})
    seen = read(client, status, body, stream=stream)
    assert (seen.text, seen.finish, seen.tokens[:2]) == ("One. ", "stop", (USAGE.prompt, USAGE.completion))
    assert house.asked[0]["settings"].get("stop") == (None if whole else ["END"])


async def test_a_stored_response_returns_reasoning_to_its_model(house, ask):
    client = CLIENTS[1]
    house.answers(ANSWERS["thinking and calls"])
    house.answers(ANSWERS["text"])
    _, body = await ask(client, client.body(ASK, stream=False) | {"store": True})
    outputs = [{"type": "function_call_output", "call_id": call.id, "output": "a cat"} for call in CALLS]
    status, _ = await ask(
        client, {"model": "openclaw", "previous_response_id": json.loads(body)["id"], "input": outputs}
    )
    assert status == 200
    assert house.says.thought(THOUGHT) in house.asked[1]["messages"][1]


@pytest.mark.parametrize("api", PROVIDERS)
def test_reasoning_of_another_model_is_never_sent(api):
    upstream, says = FORMATS[api], PROVIDERS[api]
    asking = [Message("user", (Text("hi"),)), Message("user", (Text("so?"),))]
    for owner in (Owner(api, "house", "large"), Owner(api, "home", "small"), Owner("other", "house", "small")):
        thinking = Message("assistant", (Thinking("secret", "s", owner=owner), Text("Hello")))
        request = upstream.request(Turn("m", (asking[0], thinking, asking[1])), ModelSpec("small", provider="house"))
        assert says.asked(request.path, request.body)["messages"][1] == ["assistant", ["text", "Hello"]]
        assert b"secret" not in request.body


@pytest.mark.parametrize("api", PROVIDERS)
@each_answer
@given(data=st.data())
def test_a_whole_answer_and_a_stream_under_any_split_say_the_same(api, name, data):
    upstream, says, model = FORMATS[api], PROVIDERS[api], ModelSpec("small", provider="house")
    whole = accumulated(upstream.parse_answer(says.whole(ANSWERS[name]), model))
    assert visible(whole) == visible(says.received(ANSWERS[name], stream=False))
    stream = b"".join(says.frames(ANSWERS[name]))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    edges = [0, *sorted(cuts), len(stream)]
    parser, events = upstream.parser(model), []
    for start, end in pairwise(edges):
        events += parser.feed(stream[start:end])
    streamed = accumulated([*events, *parser.close()])
    assert visible(streamed) == visible(says.received(ANSWERS[name], stream=True))
    if says.received(ANSWERS[name], stream=True) == says.received(ANSWERS[name], stream=False):
        assert streamed == whole


@each_client
async def test_a_fallback_of_any_format_answers_without_reasoning_that_is_not_its_own(house, fallback, ask, client):
    house.answers(ANSWERS["thinking and calls"])
    house.refuses("Too many people.")
    fallback.answers(ANSWERS["thinking"])
    first = client.body(ASK, stream=False)
    _, body = await ask(client, first)
    calls = calls_of(house, stream=True)  # with a fallback, also a whole answer is asked for as a stream
    results = [(call.id, "a cat") for call in calls]
    status, body = await ask(client, client.followed(first, client.returned(body, stream=False), results))
    seen = client.sees(visible(fallback.says.received(ANSWERS["thinking"], stream=False)), stream=False)
    assert (status, read(client, status, body, stream=False)) == (200, seen)
    assert fallback.asked[0]["messages"] == [
        *ASK.messages,
        ["assistant", *(["call", call.id, call.name, client.arguments(call.arguments)] for call in calls)],
        *(["tool", ["result", call.id, ["text", "a cat"]]] for call in calls),
    ]


PAIRS = [
    ("openai-completions", "anthropic-messages"),
    ("anthropic-messages", "openai-completions"),
    ("anthropic-messages", "bedrock-converse-stream"),
    ("bedrock-converse-stream", "openai-responses"),
]


@pytest.mark.parametrize(("house", "fallback"), PAIRS, indirect=True)
async def test_a_fallback_goes_on_with_the_work_of_the_agents_own_tools(
    house, fallback, config, aiohttp_client, tmp_path
):
    notes = tmp_path / "notes"
    notes.mkdir()
    config["mcp"] = {"servers": {"local": {"command": sys.executable, "args": [str(TOOL_SERVER), str(notes)]}}}
    gateway = await served(config, aiohttp_client, tmp_path)
    call = ToolCall("call:1" if house.says.SIGNS else "call_1", "local__weather", '{"city": "Oslo"}')
    house.answers(Answer("I'll look.", "tool_calls", USAGE, (call,), (THOUGHT,)))
    house.refuses("Too many people.")
    fallback.answers(ANSWERS["text"])
    client = CLIENTS[0]
    async with gateway.post(client.path, json=client.body(Question(ASK.messages), stream=True)) as response:
        seen = client.stream(await response.read())
    assert (seen.error, seen.finish) == (None, "stop")
    assert seen.text.endswith(TEXT)
    called, worked = fallback.asked[0]["messages"][1:]
    kinds = [part[0] for part in called[1:]]
    assert kinds == ["text", "call"]
    assert called[-1][2:] == ["local__weather", call.arguments]
    assert worked[1][:2] == ["result", called[-1][1]]


@each_client
async def test_a_fallback_of_any_format_finishes_an_answer_that_broke_off(house, fallback, ask, client):
    frames = house.says.frames(ANSWERS["text and calls"])
    house.sends(frames[: len(frames) // 2], stream=True)
    fallback.answers(ANSWERS["text and calls"])
    status, body = await ask(client, client.body(ASK, stream=True))
    seen = client.sees(visible(fallback.says.received(ANSWERS["text and calls"], stream=True)), stream=True)
    assert (status, read(client, status, body, stream=True)) == (200, seen)
    assert len(fallback.asked) == 1


async def test_a_fallback_of_another_format_gets_the_tools_and_calls_as_functions(
    open_house, config, aiohttp_client, tmp_path
):
    house = await open_house("house", "openai-responses")
    fallback = await open_house("fallback", "openai-completions")
    config["agents"]["defaults"]["model"]["fallbacks"] = ["fallback/small"]
    gateway = await served(config, aiohttp_client, tmp_path)
    client = CLIENTS[1]
    search = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
    house.answers(Answer(None, "tool_calls", USAGE, [search | {"call_id": "ws_1"}, *OWN_ITEMS]))
    house.refuses("Too many people.")
    fallback.answers(Answer(None, "tool_calls", USAGE, AS_FUNCTIONS[:1]))
    first = client.body(ASK, stream=True) | {"tools": OWN_TOOLS}
    async with gateway.post(client.path, json=first) as response:
        returned = client.returned(await response.read(), stream=True)
    assert [item["type"] for item in returned] == ["web_search_call", *(item["type"] for item in OWN_ITEMS)]
    outputs = [{"type": item["type"] + "_output", "call_id": item["call_id"], "output": "a cat"} for item in OWN_ITEMS]
    async with gateway.post(client.path, json=first | {"input": [*first["input"], *returned, *outputs]}) as response:
        (call,) = client.returned(await response.read(), stream=True)
    assert (call["type"], call["input"]) == ("custom_tool_call", OWN_ITEMS[0]["input"])
    sent = fallback.asked[0]
    assert [tool[0] for tool in sent["tools"]] == [function.name for function in AS_FUNCTIONS]
    assert [message[0] for message in sent["messages"]].count("tool") == 4
    names = [part[2] for message in sent["messages"] for part in message[1:] if part[0] == "call"]
    assert names == ["web_search", *(function.name for function in AS_FUNCTIONS)]


@pytest.mark.parametrize("named", ["api", "model", "row"])
async def test_a_configured_provider_speaks_the_format_that_it_names_or_that_of_its_row(
    open_house, config, aiohttp_client, tmp_path, named
):
    house = await open_house("toyhouse", toy.WIRE)
    row = {"baseUrl": house.url, "apiKey": "k", "models": [{"id": "small"}]}
    name = "toyhouse" if named == "row" else "own"
    if named == "api":
        row["api"] = toy.WIRE
    elif named == "model":
        row["models"][0]["api"] = toy.WIRE
    config["models"] = {"providers": {name: row}}
    config["agents"]["defaults"]["model"]["primary"] = f"{name}/small"
    house.answers(ANSWERS["text"])
    gateway = await served(config, aiohttp_client, tmp_path)
    async with gateway.post(CLIENTS[0].path, json=CLIENTS[0].body(ASK, stream=False)) as response:
        assert CLIENTS[0].whole(await response.read()) == visible(ANSWERS["text"])
    assert house.headers[0]["X-Toy-Version"] == "1"
    assert house.headers[0].getall("Content-Type") == ["text/x-toy"]


async def test_a_format_without_embeddings_is_named_when_somebody_asks_for_them(
    open_house, config, aiohttp_client, tmp_path
):
    await open_house("toyhouse", toy.WIRE)
    config["memory"] = {"search": {"provider": "toyhouse", "model": "small"}}
    config["agents"]["defaults"]["model"]["primary"] = "toyhouse/small"
    gateway = await served(config, aiohttp_client, tmp_path)
    async with gateway.post("/v1/embeddings", json={"model": "openclaw", "input": "hi"}) as response:
        assert response.status == 503
        assert "'toyhouse' has no embeddings" in error_of(await response.read()).error


@each_client
@each_way
@pytest.mark.parametrize("house", ["ollama"], indirect=True)
async def test_a_model_that_cannot_be_forced_is_asked_twice_for_a_demanded_call(house, ask, client, stream):
    body = client.body(Question([["user", ["text", "hi"]]], TOOLS, pinned="look"), stream=stream)
    house.answers(ANSWERS["text"])
    house.answers(ANSWERS["one call"])
    status, answer = await ask(client, body)
    seen = read(client, status, answer, stream=stream)
    assert (status, [name for _, name, _ in seen.calls]) == (200, ["look"])
    assert seen.tokens[:2] == (2 * USAGE.prompt, 2 * USAGE.completion)
    house.answers(ANSWERS["text"])
    house.answers(ANSWERS["text"])
    status, answer = await ask(client, body)
    assert status == 502
    assert "required a look tool call" in error_of(answer).error
    assert len(house.asked) == 4


async def test_a_provider_of_the_responses_format_embeds(open_house, config, aiohttp_client, tmp_path):
    house = await open_house("house", "openai-responses")
    config["memory"] = {"search": {"provider": "house", "model": "small"}}
    gateway = await served(config, aiohttp_client, tmp_path)
    vectors = {"data": [{"embedding": [0.5, 1], "index": 0}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    house.says = _Embeddings
    house.sends([json.dumps(vectors).encode()], stream=False)
    async with gateway.post("/v1/embeddings", json={"model": "openclaw", "input": "hi"}) as response:
        assert (await response.json())["data"][0]["embedding"] == [0.5, 1]
    assert house.asked == ["/base/embeddings"]


class _Embeddings:
    """Notes only the path of what it is asked."""

    WHOLE_TYPE = "application/json"

    @staticmethod
    def asked(path: str, _body: bytes) -> str:
        return path
