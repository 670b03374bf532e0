"""A provider that follows a script: one step for each request, in the format in which it is asked.

It is strict about what real providers are strict about: reasoning must come back with the calls that it led to, every
call must have its result, and in chat completions only the first message may be a system message.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

THOUGHT = "I have to think about that."
SIGNATURE = "c2lnbmF0dXJl"


@dataclass(frozen=True)
class Say:
    """A text. `tokens` is how long the request was, as the usage reports it."""

    text: str
    tokens: int = 100


@dataclass(frozen=True)
class Call:
    """A call of the tool with this name, in whatever namespace: of a function, or of a custom tool with `text`."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True)
class Fail:
    """An error instead of an answer, in the words of the format's maker."""

    kind: Literal["broken", "rate_limited", "overloaded", "too_long"] = "broken"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """A text that never ends."""

    text: str


@dataclass(frozen=True)
class Break:
    """The beginning of a text; then the connection breaks."""

    text: str


Step = tuple[Say | Call | Fail | Hang | Break, ...]

_OPENAI_FAILURES: Mapping[str, tuple[int, str, str | None, str]] = {
    "broken": (500, "server_error", None, "The server had an error while processing your request."),
    "rate_limited": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "overloaded": (503, "server_error", None, "The engine is currently overloaded, please try again later."),
    "too_long": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 200000 tokens. However, your messages resulted in 250000 tokens.",
    ),
}
_ANTHROPIC_FAILURES: Mapping[str, tuple[int, str, str]] = {
    "broken": (500, "api_error", "Internal server error"),
    "rate_limited": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "too_long": (400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
}


def _tokens(step: Step) -> int:
    return max((part.tokens for part in step if isinstance(part, Say)), default=100)


class Script:
    """The provider. `steps` are the answers to come; `asked` are the bodies of all requests but `asides`, by words in
    them, which are no part of the conversation. `hanging` and `aborted` count the answers that don't end.

    With a `key`, it refuses every other one as the makers of the formats do.
    """

    def __init__(self, *, thinks: bool, key: str | None = None) -> None:
        self.steps: list[Step] = []
        self.asked: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.hanging = 0
        self.aborted = 0
        self.asides: tuple[str, ...] = ()
        self._thinks = thinks
        self._key = key
        self._ids = itertools.count(1)
        self._changed = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26, middlewares=[self._authenticate])
        app.router.add_get("/v1/models", _models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_post("/v1/messages", self._messages)
        return app

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that this provider counts has changed so that the condition holds."""
        async with self._changed:
            await self._changed.wait_for(condition)

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._key in (None, bearer, request.headers.get("x-api-key")):
            return await handler(request)
        if request.path.endswith("/messages"):
            return _anthropic_error(401, "authentication_error", "Invalid bearer token")
        return _openai_error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")

    async def _next(self, body: dict[str, Any]) -> Step:
        if any(aside in json.dumps(body) for aside in self.asides):
            return (Say("Nothing"),)
        async with self._changed:
            self.asked.append(body)
            self._changed.notify_all()
        return self.steps.pop(0) if self.steps else (Say("There is nothing more in the script."),)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if problem := _chat_problem(body["messages"], thinks=self._thinks):
            return self._refuse(problem)
        offered = [tool["function"]["name"] for tool in body.get("tools", ())]
        step = await self._next(body)
        return await self._answer(request, step, offered, self._chunks(step, offered))

    def _chunks(self, step: Step, offered: list[str]) -> Iterator[bytes]:
        head = {
            "id": f"chatcmpl-{next(self._ids)}",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "scripted",
        }

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"

        if self._thinks:
            yield chunk({"reasoning_content": THOUGHT})
        calls = 0
        for part in step:
            if isinstance(part, Say | Hang | Break):
                yield from (chunk({"content": word}) for word in part.text.split(" ") for word in (word + " ",))
            elif isinstance(part, Call):
                name = _full_name(part.tool, offered)
                arguments = json.dumps(part.arguments if part.text is None else {"input": part.text})
                function = {"name": name, "arguments": ""}
                call = {"index": calls, "id": f"call_{next(self._ids)}", "type": "function", "function": function}
                yield chunk({"tool_calls": [call]})
                for start in range(0, len(arguments), 20):
                    piece = {"index": calls, "function": {"arguments": arguments[start : start + 20]}}
                    yield chunk({"tool_calls": [piece]})
                calls += 1
        if _is_endless(step):
            return
        yield chunk({}, "tool_calls" if calls else "stop")
        tokens = _tokens(step)
        usage = {"prompt_tokens": tokens, "completion_tokens": 10, "total_tokens": tokens + 10}
        yield b"data: " + json.dumps({**head, "choices": [], "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n"

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if problem := _responses_problem(body["input"], thinks=self._thinks):
            return self._refuse(problem)
        step = await self._next(body)
        return await self._answer(request, step, _offered(body), self._events(step, body))

    def _events(self, step: Step, body: dict[str, Any]) -> Iterator[bytes]:
        output: list[dict[str, Any]] = []
        response = {
            "id": f"resp_{next(self._ids)}",
            "object": "response",
            "created_at": 1,
            "model": "scripted",
            "status": "in_progress",
        }

        def event(kind: str, **fields: Any) -> bytes:
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

        yield event("response.created", response={**response, "output": []})
        items = [self._reasoning()] if self._thinks else []
        items += [self._item(part, body) for part in step]
        for index, (item, deltas) in enumerate(items):
            empty = {name: "" if name in ("arguments", "input") else value for name, value in item.items()}
            if item["type"] == "message":
                empty["content"] = []
            yield event("response.output_item.added", output_index=index, item={**empty, "status": "in_progress"})
            for kind, delta in deltas:
                yield event(kind, item_id=item["id"], output_index=index, content_index=0, delta=delta)
            if _is_endless(step) and item["type"] == "message":
                return
            output.append({**item, "status": "completed"})
            yield event("response.output_item.done", output_index=index, item=output[-1])
        tokens = _tokens(step)
        usage = {"input_tokens": tokens, "output_tokens": 10, "total_tokens": tokens + 10}
        yield event(
            "response.completed", response={**response, "status": "completed", "output": output, "usage": usage}
        )

    def _reasoning(self) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        number = next(self._ids)
        return {"id": f"rs_{number}", "type": "reasoning", "summary": [], "encrypted_content": f"sealed-{number}"}, []

    def _item(self, part: Any, body: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        number = next(self._ids)
        if isinstance(part, Say | Hang | Break):
            content = [{"type": "output_text", "text": part.text, "annotations": []}]
            item = {"id": f"msg_{number}", "type": "message", "role": "assistant", "content": content}
            return item, [("response.output_text.delta", part.text)]
        offered = _offered(body)
        name = _full_name(part.tool, offered)
        namespace = {"namespace": offered[name]} if offered[name] else {}
        call = {"call_id": f"call_{number}", "name": name, **namespace}
        if part.text is not None:
            item = {"id": f"ctc_{number}", "type": "custom_tool_call", **call, "input": part.text}
            return item, [("response.custom_tool_call_input.delta", part.text)]
        arguments = json.dumps(part.arguments)
        item = {"id": f"fc_{number}", "type": "function_call", **call, "arguments": arguments}
        return item, [("response.function_call_arguments.delta", arguments)]

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if problem := _messages_problem(body["messages"], thinks=self._thinks):
            return self._refuse(problem)
        step = await self._next(body)
        offered = [tool["name"] for tool in body.get("tools", ())]
        return await self._answer(request, step, offered, self._blocks(step, offered))

    def _blocks(self, step: Step, offered: list[str]) -> Iterator[bytes]:
        def event(kind: str, **fields: Any) -> bytes:
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

        usage = {"input_tokens": _tokens(step), "output_tokens": 1}
        head = {
            "id": f"msg_{next(self._ids)}",
            "type": "message",
            "role": "assistant",
            "model": "scripted",
            "content": [],
        }
        yield event("message_start", message={**head, "stop_reason": None, "usage": usage})
        blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        if self._thinks:
            signature = {"type": "signature_delta", "signature": SIGNATURE}
            thought = {"type": "thinking_delta", "thinking": THOUGHT}
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, [thought, signature]))
        blocks += [self._block(part, offered) for part in step]
        for index, (block, deltas) in enumerate(blocks):
            yield event("content_block_start", index=index, content_block=block)
            for delta in deltas:
                yield event("content_block_delta", index=index, delta=delta)
            if _is_endless(step) and block["type"] == "text":
                return
            yield event("content_block_stop", index=index)
        stop = "tool_use" if any(isinstance(part, Call) for part in step) else "end_turn"
        yield event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 10})
        yield event("message_stop")

    def _block(self, part: Any, offered: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if isinstance(part, Say | Hang | Break):
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": part.text}]
        name = _full_name(part.tool, offered)
        arguments = json.dumps(part.arguments if part.text is None else {"input": part.text})
        block = {"type": "tool_use", "id": f"toolu_{next(self._ids)}", "name": name, "input": {}}
        return block, [{"type": "input_json_delta", "partial_json": arguments}]

    async def _answer(
        self, request: web.Request, step: Step, offered: Iterable[str], frames: Iterator[bytes]
    ) -> web.StreamResponse:
        if isinstance(step[0], Fail):
            return _failure(step[0], request.path)
        for part in step:
            if isinstance(part, Call) and not _full_name(part.tool, offered):
                return self._refuse(f"no tool {part.tool} is offered, only {', '.join(offered)}")
        return await self._stream(request, step, frames)

    async def _stream(self, request: web.Request, step: Step, frames: Iterator[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for frame in frames:
            await response.write(frame)
        if any(isinstance(part, Break) for part in step) and request.transport is not None:
            request.transport.close()
        if any(isinstance(part, Hang) for part in step):
            await self._count_hanging()
        return response

    async def _count_hanging(self) -> None:
        """Wait until the client goes, which cancels this."""
        try:
            async with self._changed:
                self.hanging += 1
                self._changed.notify_all()
            await asyncio.Event().wait()
        finally:
            async with self._changed:
                self.aborted += 1
                self._changed.notify_all()

    def _refuse(self, problem: str) -> web.Response:
        self.refused.append(problem)
        return web.json_response({"error": {"message": problem, "type": "invalid_request_error"}}, status=400)


async def _models(_request: web.Request) -> web.Response:
    """The gateway's agents, for clients that ask the provider directly."""
    names = ("openclaw/main", "openclaw/careful")
    models = [{"id": name, "object": "model", "created": 1, "owned_by": "openclaw"} for name in names]
    return web.json_response({"object": "list", "data": models})


def _full_name(tool: str, offered: Iterable[str]) -> str:
    """The name under which a tool is offered, with the prefix of its server; empty if it is not."""
    return next((name for name in offered if name == tool or name.endswith(f"__{tool}")), "")


def _is_endless(step: Step) -> bool:
    return any(isinstance(part, Hang | Break) for part in step)


def messages_of(failure: Fail) -> tuple[str, str]:
    """Its message in each maker's words."""
    return _OPENAI_FAILURES[failure.kind][-1], _ANTHROPIC_FAILURES[failure.kind][-1]


def _failure(step: Fail, path: str) -> web.Response:
    if path.endswith("/messages"):
        return _anthropic_error(*_ANTHROPIC_FAILURES[step.kind], headers=step.headers)
    return _openai_error(*_OPENAI_FAILURES[step.kind], headers=step.headers)


def _openai_error(
    status: int, kind: str, code: str | None, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _anthropic_error(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    request_id = "req_scripted"
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    return web.json_response(body, status=status, headers={"request-id": request_id, **(headers or {})})


def _offered(body: dict[str, Any]) -> dict[str, str | None]:
    """The namespaces of the offered tools by name."""
    result: dict[str, str | None] = {}
    added = [tool for item in body["input"] if item.get("type") == "additional_tools" for tool in item["tools"]]
    for tool in (*body.get("tools", ()), *added):
        if tool["type"] == "namespace":
            result |= {member["name"]: tool["name"] for member in tool["tools"]}
        elif "name" in tool:
            result[tool["name"]] = None
    return result


def _chat_problem(messages: list[dict[str, Any]], *, thinks: bool) -> str | None:
    if any(message["role"] in ("system", "developer") for message in messages[1:]):
        return "System message must be at the beginning."  # so do the templates of Qwen's newer models
    open_calls: set[str] = set()
    for message in messages:
        calls = [call["id"] for call in message.get("tool_calls") or ()]
        if calls and thinks and message.get("reasoning_content") != THOUGHT:
            return "an assistant message with tool_calls lacks its reasoning_content"
        if message["role"] == "tool":
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            return f"the calls {sorted(open_calls)} have no results"
        open_calls |= set(calls)
    return f"the calls {sorted(open_calls)} have no results" if open_calls else None


def _messages_problem(messages: list[dict[str, Any]], *, thinks: bool) -> str | None:
    blocks = [message["content"] if isinstance(message["content"], list) else [] for message in messages]
    results = [{block["tool_use_id"] for block in content if block["type"] == "tool_result"} for content in blocks]
    # Thinking is only needed in the turn that goes on: after the last message of the user's own.
    turn = max(index for index, message in enumerate(messages) if message["role"] == "user" and not results[index])
    open_calls: set[str] = set()
    for index, content in enumerate(blocks):
        if missing := open_calls - results[index]:
            return f"the calls {sorted(missing)} have no results"
        open_calls = {block["id"] for block in content if block["type"] == "tool_use"}
        signed = [block for block in content if block["type"] == "thinking" and block["signature"] == SIGNATURE]
        if open_calls and thinks and index > turn and not signed:
            return "a message with tool_use lacks its thinking block"
    return f"the calls {sorted(open_calls)} have no results" if open_calls else None


def _responses_problem(items: list[dict[str, Any]], *, thinks: bool) -> str | None:
    open_calls: set[str] = set()
    reasoned = False
    for item in items:
        kind = item.get("type", "message")
        if kind == "reasoning":
            if not item.get("encrypted_content", "").startswith("sealed-"):
                return "a reasoning item lacks its own encrypted_content"
            reasoned = True
        elif kind in ("function_call", "custom_tool_call"):
            if thinks and not reasoned:
                return f"the call {item['call_id']} lacks the reasoning item before it"
            open_calls.add(item["call_id"])
        elif kind.endswith("_output"):
            open_calls.discard(item["call_id"])
            reasoned = False
    return f"the calls {sorted(open_calls)} have no results" if open_calls else None
