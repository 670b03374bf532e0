"""Clients of both formats: how they ask, and what they see, as OpenAI's own types understand it.

A conversation, and a provider's view of it, are in words of no format: a message is a list of its role and its parts,
such as `["user", ["text", "hi"], ["image", url]]`; a tool is its name, description and parameters.
"""

import json
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import TypeAdapter

from gateway.core.answer import Answer

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


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
    """What a client sees of an answer, in either format."""
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


CLIENTS = (ChatClient(), ResponsesClient())


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
