"""Clients of all formats: how they ask, and what they see, as their makers' own types understand it.

A conversation, and a provider's view of it, are in words of no format: a message is a list of its role and its parts,
such as `["user", ["text", "hi"], ["image", url]]`; a tool is its name, description and parameters.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from anthropic.types import ErrorResponse, RawMessageStreamEvent
from anthropic.types import Message as SdkMessage
from msgspec import Struct
from msgspec.structs import replace
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import TypeAdapter

from gateway.core.answer import Answer

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_CLAUDE_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


class Seen(Struct, frozen=True):
    """What a client has got: an answer, an error, or an error after the beginning of an answer."""

    text: str = ""
    refusal: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    sources: tuple[tuple[str, str, int, int], ...] = ()
    tokens: tuple[int, int, int, int] | None = None
    finish: str | None = None
    error: str | None = None


def visible(answer: Answer) -> Seen:
    """What a client sees of an answer, in any format; `sees` of a client says what its format can't show."""
    usage = answer.usage
    return Seen(
        answer.text or "",
        answer.refusal or "",
        "".join(block.text for block in answer.thinking),
        tuple((call.id, call.name, call.arguments) for call in answer.tool_calls),
        tuple((one.url, one.title or "", one.start or 0, one.end or 0) for one in answer.citations),
        (usage.prompt, usage.completion, usage.cached, usage.reasoning or 0),
        answer.finish,
    )


def error_of(body: bytes) -> Seen:
    """What a client reads of an answer with a status of 400 and above."""
    payload = json.loads(body)
    if payload.get("type") == "error":
        return Seen(error=_anthropic_error(payload))
    return Seen(error=ErrorObject.model_validate(json.loads(body)["error"]).message)


@dataclass(frozen=True)
class Question:
    """What is asked; `thought` in a message's parts only where the format has a place for it."""

    messages: list[list[Any]]
    tools: list[list[Any]] | None = None
    pinned: str | None = None
    settings: bool = False
    """Whether every setting that all formats know is set, see `SETTINGS`."""


SCHEMA = {"name": "point", "schema": {"type": "object"}, "strict": True}
SETTINGS = {
    "max_tokens": 77,
    "temperature": 0.5,
    "effort": "low",
    "form": ["json_schema", SCHEMA],
}


class ChatClient:
    """`POST /v1/chat/completions`."""

    path = "/v1/chat/completions"
    required: Any = "required"
    """The choice that demands a tool."""
    lacks: frozenset[str] = frozenset()
    """Kinds of parts that the format has no place for."""

    def sees(self, seen: Seen, *, stream: bool) -> Seen:  # noqa: ARG002
        return seen

    def error(self, status: int, name: str) -> tuple[int, str]:
        """The status and type of an error."""
        return status, name

    def arguments(self, text: str) -> str:
        """The arguments of a call as the client sends them back."""
        return text

    def settings(self, known: dict[str, Any]) -> dict[str, Any]:
        """The settings of a question that the format can say, of those that the provider's can."""
        return known

    def body(self, question: Question, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": "openclaw", "messages": [_chat_message(*one) for one in question.messages]}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if question.tools:
            body["tools"] = [{"type": "function", "function": _function(*tool)} for tool in question.tools]
        if question.pinned:
            body["tool_choice"] = {"type": "function", "function": {"name": question.pinned}}
        if question.settings:
            body |= {"max_completion_tokens": 77, "temperature": 0.5, "reasoning_effort": "low"}
            body["response_format"] = {"type": "json_schema", "json_schema": SCHEMA}
        return body

    def whole(self, body: bytes) -> Seen:
        payload = json.loads(body)
        ChatCompletion.model_validate(payload)
        (choice,) = payload["choices"]
        return self._seen([choice["message"]], choice["finish_reason"], payload["usage"])

    def stream(self, body: bytes) -> Seen:
        *frames, done, empty = body.decode().split("\n\n")
        assert (done, empty) == ("data: [DONE]", "")
        payloads = [json.loads(frame.removeprefix("data: ")) for frame in frames]
        error = payloads.pop()["error"] if "error" in payloads[-1] else None
        for payload in payloads:
            ChatCompletionChunk.model_validate(payload)
        choices = [choice for payload in payloads for choice in payload["choices"]]
        *_, last = choices
        usage = next((payload["usage"] for payload in payloads if payload.get("usage")), None)
        assert [choice for choice in choices if choice["finish_reason"]] == ([] if error else [last])
        message = None if error is None else ErrorObject.model_validate(error).message
        return self._seen([choice["delta"] for choice in choices], last["finish_reason"], usage, message)

    def returned(self, body: bytes, *, stream: bool) -> list[dict[str, Any]]:
        """The message that a client sends back that keeps everything."""
        if not stream:
            return [json.loads(body)["choices"][0]["message"]]
        seen = self.stream(body)
        function_calls = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in seen.calls
        ]
        message: dict[str, Any] = {"role": "assistant", "content": seen.text, "tool_calls": function_calls}
        return [message | ({"reasoning_content": seen.thinking} if seen.thinking else {})]

    def followed(self, question: dict[str, Any], returned: list[dict[str, Any]], results: list[Any]) -> dict[str, Any]:
        """The next request of a tool loop; `results` are pairs of call id and output."""
        outputs = [{"role": "tool", "tool_call_id": call, "content": output} for call, output in results]
        return {**question, "messages": [*question["messages"], *returned, *outputs]}

    def pictured(self, text: str, url: str) -> Any:
        """A result of a tool with a picture."""
        return [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]

    def file(self, name: str, uri: str) -> list[dict[str, Any]]:
        """A message of the user that holds a file."""
        return [{"role": "user", "content": [{"type": "file", "file": {"filename": name, "file_data": uri}}]}]

    def forgetful(self, returned: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What a client sends back that knows nothing of reasoning."""
        known = ("role", "content", "tool_calls")
        return [{name: value for name, value in one.items() if name in known} for one in returned]

    def _seen(self, messages: list[dict[str, Any]], finish: Any, usage: Any, error: str | None = None) -> Seen:
        calls: dict[int, list[str]] = {}
        for message in messages:
            for position, call in enumerate(message.get("tool_calls") or ()):
                known = calls.setdefault(call.get("index", position), ["", "", ""])
                function = call["function"]
                for index, piece in enumerate((call.get("id"), function.get("name"), function.get("arguments"))):
                    known[index] += piece or ""
        sources = [one["url_citation"] for message in messages for one in message.get("annotations") or ()]
        return Seen(
            "".join(message.get("content") or "" for message in messages),
            "".join(message.get("refusal") or "" for message in messages),
            "".join(message.get("reasoning_content") or "" for message in messages),
            tuple((id_, name, arguments) for id_, name, arguments in calls.values()),
            tuple((one["url"], one["title"], one["start_index"], one["end_index"]) for one in sources),
            usage and _chat_tokens(usage),
            finish,
            error,
        )


class ResponsesClient:
    """`POST /v1/responses`."""

    path = "/v1/responses"
    required: Any = "required"
    """The choice that demands a tool."""
    lacks: frozenset[str] = frozenset()

    def sees(self, seen: Seen, *, stream: bool) -> Seen:  # noqa: ARG002
        return seen

    def error(self, status: int, name: str) -> tuple[int, str]:
        """The status and type of an error."""
        return status, name

    def arguments(self, text: str) -> str:
        """The arguments of a call as the client sends them back."""
        return text

    def settings(self, known: dict[str, Any]) -> dict[str, Any]:
        """The settings of a question that the format can say, of those that the provider's can."""
        return known

    def body(self, question: Question, *, stream: bool) -> dict[str, Any]:
        items = [item for message in question.messages for item in _items(*message)]
        body: dict[str, Any] = {"model": "openclaw", "input": items, "store": False, "stream": stream}
        body["include"] = ["reasoning.encrypted_content"]
        if question.tools:
            body["tools"] = [{"type": "function", **_function(*tool)} for tool in question.tools]
        if question.pinned:
            body["tool_choice"] = {"type": "function", "name": question.pinned}
        if question.settings:
            body |= {"max_output_tokens": 77, "temperature": 0.5, "reasoning": {"effort": "low"}}
            body["text"] = {"format": {"type": "json_schema", **SCHEMA}}
        return body

    def whole(self, body: bytes) -> Seen:
        payload = json.loads(body)
        Response.model_validate(payload)
        return self._seen(payload)

    def stream(self, body: bytes) -> Seen:
        payloads = _events(body)
        streamed = "".join(one["delta"] for one in payloads if one["type"] == "response.output_text.delta")
        seen = self._seen(payloads[-1]["response"])
        if seen.error is not None:
            return replace(seen, text=streamed)  # a failed response repeats only items that were complete
        assert streamed == seen.text
        return seen

    def returned(self, body: bytes, *, stream: bool) -> list[dict[str, Any]]:
        """The items that a client sends back that keeps everything."""
        output: list[dict[str, Any]] = (_events(body)[-1]["response"] if stream else json.loads(body))["output"]
        return output

    def followed(self, question: dict[str, Any], returned: list[dict[str, Any]], results: list[Any]) -> dict[str, Any]:
        outputs = [{"type": "function_call_output", "call_id": call, "output": output} for call, output in results]
        return {**question, "input": [*question["input"], *returned, *outputs]}

    def pictured(self, text: str, url: str) -> Any:
        return [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": url}]

    def file(self, name: str, uri: str) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "input_file", "filename": name, "file_data": uri}]}]

    def forgetful(self, returned: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in returned if item["type"] != "reasoning"]

    def _seen(self, response: dict[str, Any]) -> Seen:
        output = response["output"]
        parts = [part for item in output if item["type"] == "message" for part in item["content"]]
        thoughts = [item for item in output if item["type"] == "reasoning"]
        sources = [one for part in parts for one in part.get("annotations", ())]
        error, usage = response["error"], response["usage"]
        calls = [item for item in output if item["type"] == "function_call"]
        incomplete = (response["incomplete_details"] or {}).get("reason")
        finish = {"max_output_tokens": "length"}.get(incomplete, incomplete) or ("tool_calls" if calls else "stop")
        assert response["status"] == ("failed" if error else "incomplete" if incomplete else "completed")
        return Seen(
            "".join(part.get("text", "") for part in parts),
            "".join(part.get("refusal", "") for part in parts),
            "".join(part["text"] for item in thoughts for part in (*item.get("content", ()), *item["summary"])),
            tuple((item["call_id"], item["name"], item["arguments"]) for item in calls),
            tuple((one["url"], one["title"], one["start_index"], one["end_index"]) for one in sources),
            usage and _responses_tokens(usage),
            None if error else finish,
            error and error["message"],
        )


class MessagesClient:
    """`POST /v1/messages`."""

    path = "/v1/messages"
    required = {"type": "any"}  # noqa: RUF012
    lacks = frozenset({"audio"})

    def sees(self, seen: Seen, *, stream: bool) -> Seen:
        """Refusals are text; a stop reason says that they are one. Sources have no offsets. Whole input is JSON."""
        sources = tuple((url, title, 0, 0) for url, title, _, _ in seen.sources)
        calls = seen.calls if stream else tuple((id_, name, _input(text)) for id_, name, text in seen.calls)
        text, finish = seen.text + seen.refusal, "content_filter" if seen.refusal else seen.finish
        return replace(seen, text=text, refusal="", sources=sources, calls=calls, finish=finish)

    def error(self, status: int, name: str) -> tuple[int, str]:  # noqa: ARG002
        status = {503: 529}.get(status, status)
        return status, _ERRORS.get(status, "api_error")

    def arguments(self, text: str) -> str:
        """An object, which the client encodes anew."""
        return json.dumps(json.loads(text))

    def settings(self, known: dict[str, Any]) -> dict[str, Any]:
        """The form of an answer has no name here."""
        kind, form = known["form"]
        return known | {"form": [kind, form | ({"name": "answer"} if "name" in form else {})]}

    def body(self, question: Question, *, stream: bool) -> dict[str, Any]:
        system = [part[1] for role, *parts in question.messages if role == "system" for part in parts]
        messages = [_claude_message(*one) for one in question.messages if one[0] != "system"]
        body: dict[str, Any] = {"model": "openclaw", "max_tokens": 32_000, "messages": messages, "stream": stream}
        if system:
            body["system"] = [{"type": "text", "text": text} for text in system]
        if question.tools:
            names = ("name", "description", "input_schema")
            body["tools"] = [dict(zip(names, tool, strict=True)) for tool in question.tools]
        if question.pinned:
            body["tool_choice"] = {"type": "tool", "name": question.pinned}
        if question.settings:
            form = {"type": "json_schema", "schema": SCHEMA["schema"]}
            body |= {"max_tokens": 77, "temperature": 0.5, "output_config": {"effort": "low", "format": form}}
            body["thinking"] = {"type": "adaptive"}
        return body

    def whole(self, body: bytes) -> Seen:
        payload = json.loads(body)
        SdkMessage.model_validate(payload)
        raw = msgspec.json.decode(body, type=_Whole)
        inputs = {block.id: bytes(block.input).decode() for block in raw.content}
        return self._seen(payload, inputs)

    def stream(self, body: bytes) -> Seen:
        message, inputs, error = _joined(body)
        return self._seen(message, inputs, error)

    def returned(self, body: bytes, *, stream: bool) -> list[dict[str, Any]]:
        """The message that a client sends back that keeps everything."""
        message = _joined(body)[0] if stream else json.loads(body)
        return [{"role": "assistant", "content": message["content"]}]

    def followed(self, question: dict[str, Any], returned: list[dict[str, Any]], results: list[Any]) -> dict[str, Any]:
        blocks = [{"type": "tool_result", "tool_use_id": call, "content": output} for call, output in results]
        return {**question, "messages": [*question["messages"], *returned, {"role": "user", "content": blocks}]}

    def pictured(self, text: str, url: str) -> Any:
        return [{"type": "text", "text": text}, _claude_image(url)]

    def file(self, name: str, uri: str) -> list[dict[str, Any]]:
        mime, _, data = uri.removeprefix("data:").partition(";base64,")
        source = {"type": "base64", "media_type": mime, "data": data}
        return [{"role": "user", "content": [{"type": "document", "title": name, "source": source}]}]

    def forgetful(self, returned: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = ("text", "tool_use")
        return [{**one, "content": [block for block in one["content"] if block["type"] in known]} for one in returned]

    def _seen(self, message: dict[str, Any], inputs: dict[str, str], error: str | None = None) -> Seen:
        blocks, usage = message["content"], message["usage"]
        texts = [block for block in blocks if block["type"] == "text"]
        sources = [one for block in texts for one in block["citations"] or ()]
        cached = usage["cache_read_input_tokens"]
        thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)
        return Seen(
            "".join(block["text"] for block in texts),
            "",
            "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
            tuple((block["id"], block["name"], inputs[block["id"]]) for block in blocks if block["type"] == "tool_use"),
            tuple((one["url"], one["title"], 0, 0) for one in sources),
            (usage["input_tokens"] + cached, usage["output_tokens"], cached, thinking),
            None if error else _FINISH[message["stop_reason"]],
            error,
        )


CLIENTS = (ChatClient(), ResponsesClient(), MessagesClient())

_ERRORS = {
    400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip
_FINISH = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


class _WholeBlock(msgspec.Struct):
    id: str = ""
    input: msgspec.Raw = msgspec.Raw()


class _Whole(msgspec.Struct):
    """A message with the inputs of its calls as they were written."""

    content: list[_WholeBlock]


def _input(text: str) -> str:
    """The input of a call in a whole message, where it must be an object."""
    try:
        json.loads(text)
    except ValueError:
        return json.dumps({"input": text}, separators=(",", ":"), ensure_ascii=False)
    return text


def _joined(body: bytes) -> tuple[dict[str, Any], dict[str, str], str | None]:
    """The message of a stream, the inputs of its calls by id, and its error. The order of events is checked."""
    *frames, empty = body.decode().split("\n\n")
    assert empty == ""
    payloads: list[dict[str, Any]] = []
    for frame in frames:
        name, data = frame.removeprefix("event: ").split("\ndata: ")
        payloads.append(json.loads(data))
        assert payloads[-1]["type"] == name
    error = _anthropic_error(payloads.pop()) if payloads[-1]["type"] == "error" else None
    payloads = [payload for payload in payloads if payload["type"] != "ping"]
    for payload in payloads:
        _CLAUDE_EVENT.validate_python(payload)
    start, *events = payloads
    assert start["type"] == "message_start"
    message, inputs = start["message"], {}
    blocks: list[dict[str, Any]] = message["content"]
    is_open = False
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert (is_open, event["index"]) == (False, len(blocks))
                is_open = True
                blocks.append(event["content_block"])
            case "content_block_delta":
                assert (is_open, event["index"]) == (True, len(blocks) - 1)
                _add(blocks[-1], event["delta"], inputs)
            case "content_block_stop":
                assert (is_open, event["index"]) == (True, len(blocks) - 1)
                is_open = False
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    if error is None:
        assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
        assert not is_open
    for block in blocks:
        if block["type"] == "tool_use" and error is None and message["stop_reason"] != "max_tokens":
            block["input"] = json.loads(inputs[block["id"]])
    return message, inputs, error


def _add(block: dict[str, Any], delta: dict[str, Any], inputs: dict[str, str]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "citations_delta":
            block["citations"] = [*(block["citations"] or ()), delta["citation"]]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            inputs[block["id"]] = inputs.get(block["id"], "") + delta["partial_json"]


def _anthropic_error(payload: dict[str, Any]) -> str:
    assert payload["request_id"].startswith("req_")
    if payload["error"]["type"] != "request_too_large":  # documented, but not among the SDK's types
        ErrorResponse.model_validate(payload)
    message: str = payload["error"]["message"]
    return message


def _claude_message(role: str, *parts: list[Any]) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for kind, *fields in parts:
        match kind, *fields:
            case "text", text:
                blocks.append({"type": "text", "text": text})
            case "image", url:
                blocks.append(_claude_image(url))
            case "call", id_, name, arguments:
                blocks.append({"type": "tool_use", "id": id_, "name": name, "input": json.loads(arguments)})
            case "result", call, (_, output):
                blocks.append({"type": "tool_result", "tool_use_id": call, "content": output})
    return {"role": "assistant" if role == "assistant" else "user", "content": blocks}


def _claude_image(url: str) -> dict[str, Any]:
    mime, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}}


def _events(body: bytes) -> list[dict[str, Any]]:
    *frames, done, empty = body.decode().split("\n\n")
    assert (done, empty) == ("data: [DONE]", "")
    payloads: list[dict[str, Any]] = [json.loads(frame.partition("\ndata: ")[2]) for frame in frames]
    for number, payload in enumerate(payloads):
        _EVENT.validate_python(payload)
        assert payload["sequence_number"] == number
    return payloads


def _chat_tokens(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return usage["prompt_tokens"], usage["completion_tokens"], cached, reasoning


def _responses_tokens(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    cached = usage["input_tokens_details"]["cached_tokens"]
    return usage["input_tokens"], usage["output_tokens"], cached, usage["output_tokens_details"]["reasoning_tokens"]


def _function(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "parameters": parameters}


def _chat_message(role: str, *parts: list[Any]) -> dict[str, Any]:
    if role == "tool":
        ((_, call, (_, output)),) = parts
        return {"role": "tool", "tool_call_id": call, "content": output}
    message: dict[str, Any] = {"role": role, "content": []}
    for kind, *fields in parts:
        match kind, *fields:
            case "text", text:
                message["content"].append({"type": "text", "text": text})
            case "image", url:
                message["content"].append({"type": "image_url", "image_url": {"url": url}})
            case "audio", form, data:
                message["content"].append({"type": "input_audio", "input_audio": {"data": data, "format": form}})
            case "call", id_, name, arguments:
                call = {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
                message.setdefault("tool_calls", []).append(call)
    return message


def _items(role: str, *parts: list[Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    for kind, *fields in parts:
        match kind, *fields:
            case "text", text:
                content.append({"type": "output_text" if role == "assistant" else "input_text", "text": text})
            case "image", url:
                content.append({"type": "input_image", "image_url": url})
            case "audio", form, data:
                content.append({"type": "input_audio", "input_audio": {"data": data, "format": form}})
            case "call", id_, name, arguments:
                items.append({"type": "function_call", "call_id": id_, "name": name, "arguments": arguments})
            case "result", call, (_, output):
                items.append({"type": "function_call_output", "call_id": call, "output": output})
    return [*([{"role": role, "content": content}] if content else ()), *items]
