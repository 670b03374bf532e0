"""What Amazon Bedrock's Converse API sends, by its service model, and what it reads of a request.

Every answer is read, and every request is checked, by botocore with that model.
"""

import json
import struct
from base64 import b64decode
from binascii import crc32
from functools import cache
from typing import Any
from urllib.parse import unquote

import msgspec
from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, StructureShape
from botocore.parsers import create_parser
from botocore.validate import ParamValidator
from msgspec.structs import replace

from gateway.core.answer import Answer
from gateway.core.message import Thinking

STREAM_TYPE = "application/vnd.amazon.eventstream"
WHOLE_TYPE = "application/json"
MODEL = "us.anthropic.claude-sonnet-4-6-v1:0"
SIGNS = True
PDFS = True
LACKS = frozenset({"audio"})
SETTINGS = {
    "max_tokens": 77,
    "effort": "low",  # a model that reasons refuses a temperature
    "form": ["json_schema", {"schema": {"type": "object", "additionalProperties": False}}],
}

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}


def received(answer: Answer, *, stream: bool) -> Answer:
    """What is left of an answer that the format can't express as it is."""
    if answer.refusal:  # a model's own refusal is text
        answer = replace(answer, raw=(answer.text or "") + answer.refusal, refusal=None)
    if not stream:
        calls = tuple(replace(call, arguments=_input(call.arguments).decode()) for call in answer.tool_calls)
        answer = replace(answer, tool_calls=calls)
    usage = replace(answer.usage, reasoning=None)  # has no count of its own
    return replace(answer, usage=usage)


def frames(answer: Answer) -> list[bytes]:
    events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(_blocks(answer)):
        if "toolUse" in block:
            start = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
            events.append(("contentBlockStart", {"start": {"toolUse": start}, "contentBlockIndex": index}))
        events += [("contentBlockDelta", {"delta": delta, "contentBlockIndex": index}) for delta in _deltas(block)]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    events.append(("messageStop", {"stopReason": _REASONS[answer.finish]}))
    events.append(("metadata", {"usage": _usage(answer), "metrics": {"latencyMs": 1}}))
    return [_event(name, payload) for name, payload in events]


def whole(answer: Answer) -> bytes:
    blocks = _blocks(answer)
    inputs = [_input(block["toolUse"]["input"]) for block in blocks if "toolUse" in block]
    marked = [{"toolUse": {**block["toolUse"], "input": "INPUT"}} if "toolUse" in block else block for block in blocks]
    output = {"message": {"role": "assistant", "content": [_nested(block) for block in marked]}}
    payload = {
        "output": output, "stopReason": _REASONS[answer.finish], "usage": _usage(answer), "metrics": {"latencyMs": 1},
    }  # fmt: skip
    head, *tails = json.dumps(payload).encode().split(b'"INPUT"')
    return head + b"".join(given + tail for given, tail in zip(inputs, tails, strict=True))


def failure(text: str, *, stream: bool) -> bytes:
    """An error inside a 200: an exception of the stream, or one in place of a whole answer."""
    if stream:
        return _message(
            {":message-type": "exception", ":exception-type": "serviceUnavailableException"}, {"message": text}
        )
    return json.dumps({"__type": "com.amazon.bedrock#ServiceUnavailableException", "message": text}).encode()


def refusal(text: str) -> tuple[int, bytes]:
    """Status and body of an error that comes at once."""
    return 503, json.dumps({"message": text}).encode()


def thought(block: Thinking) -> list[Any]:
    """How `asked` tells of reasoning that has come back."""
    return ["thought", block.text, block.signature]


def asked(path: str, body: bytes) -> dict[str, Any]:
    """The request in words of no format: see `tests.unit.wire.clients`."""
    *_, kind, model, action = path.split("/")
    assert kind == "model"
    model = unquote(model)
    sent: dict[str, Any] = json.loads(body)
    validate(sent, model)
    inference, output = sent["inferenceConfig"], sent.get("outputConfig", {})
    form = output.get("textFormat")
    settings = {
        "max_tokens": None if inference["maxTokens"] == 32_000 else inference["maxTokens"],
        "temperature": inference.get("temperature"),
        "stop": inference.get("stopSequences"),
        "effort": output.get("effort"),
        "form": form and [form["type"], {"schema": json.loads(form["structure"]["jsonSchema"]["schema"])}],
    }
    config = sent.get("toolConfig", {})
    specs = [tool["toolSpec"] for tool in config.get("tools", ()) if "toolSpec" in tool]
    choice = config.get("toolChoice")
    inputs = {
        block.use.id: bytes(block.use.input).decode()
        for message in msgspec.json.decode(body, type=_Request).messages
        for block in message.content
        if block.use is not None
    }
    system = [block for block in sent.get("system", ()) if "text" in block]
    return {
        "model": "small" if model == MODEL else model,
        "stream": action == "converse-stream",
        "settings": {name: value for name, value in settings.items() if value is not None},
        "tools": [[one["name"], one.get("description"), one["inputSchema"]["json"]] for one in specs],
        "choice": choice and (["pinned", choice["tool"]["name"]] if "tool" in choice else [*choice, None]),
        "messages": [
            *(["system", ["text", block["text"]]] for block in system),
            *(one for message in sent["messages"] for one in _asked_messages(message, inputs)),
        ],
    }


class _Use(msgspec.Struct):
    id: str = msgspec.field(name="toolUseId")
    input: msgspec.Raw


class _Block(msgspec.Struct):
    use: _Use | None = msgspec.field(name="toolUse", default=None)


class _Message(msgspec.Struct):
    content: list[_Block]


class _Request(msgspec.Struct):
    """The request with the inputs of calls as they were written."""

    messages: list[_Message]


@cache
def model_of_the_service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")


def validate(sent: dict[str, Any], model: str) -> None:
    """What the service model and the documented rules refuse is an error here too."""
    shape = model_of_the_service().operation_model("Converse").input_shape
    known = _bytes(sent, shape)
    report = ParamValidator().validate({**known, "modelId": model}, shape)
    assert not report.has_errors(), report.generate_report()
    assert _unknown(sent, shape) == []
    roles = [message["role"] for message in sent["messages"]]
    assert roles == (["user", "assistant"] * len(roles))[: len(roles)]
    calls: list[str] = []
    names: list[str] = []
    has_tools = False
    for message in sent["messages"]:
        blocks = message["content"]
        assert blocks
        results = [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
        if message["role"] == "user":
            assert sorted(results) == sorted(calls)
        calls = [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
        has_tools = has_tools or bool(calls)
        files = [block["document"]["name"] for block in blocks if "document" in block]
        assert not files or any("text" in block for block in blocks)
        names += files
        assert all(block["text"].strip() for block in blocks if "text" in block)
    assert len({*names}) == len(names)
    assert not has_tools or sent["toolConfig"]["tools"]


def _bytes(value: Any, shape: Any) -> Any:
    """The request with blobs decoded, as botocore takes them."""
    if isinstance(shape, StructureShape) and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        return {name: _bytes(one, shape.members[name]) if name in shape.members else one for name, one in value.items()}
    if isinstance(shape, ListShape):
        return [_bytes(one, shape.member) for one in value]
    return b64decode(value, validate=True) if shape.type_name == "blob" else value


def _unknown(value: Any, shape: Any) -> list[str]:
    """Fields that the service model does not name."""
    if isinstance(shape, StructureShape) and not getattr(shape, "is_document_type", False):
        below = [
            name for key, one in value.items() if key in shape.members for name in _unknown(one, shape.members[key])
        ]
        return [*below, *(value.keys() - shape.members.keys())]
    if isinstance(shape, ListShape):
        return [name for one in value for name in _unknown(one, shape.member)]
    return []


def by_botocore(body: bytes) -> Any:
    """A whole answer as botocore reads it."""
    operation = model_of_the_service().operation_model("Converse")
    response = {"body": body, "headers": {}, "status_code": 200}
    return create_parser("rest-json").parse(response, operation.output_shape)


def _asked_messages(message: dict[str, Any], inputs: dict[str, str]) -> list[list[Any]]:
    blocks = [block for block in message["content"] if "cachePoint" not in block]
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    others = [_asked_block(block, inputs) for block in blocks if "toolResult" not in block]
    sent = [
        ["tool", ["result", one["toolUseId"], *(_asked_block(part, {}) for part in one["content"])]] for one in results
    ]
    return [*sent, *([[message["role"], *others]] if others else ())]


def _asked_block(block: dict[str, Any], inputs: dict[str, str]) -> list[Any]:
    ((kind, value),) = block.items()
    match kind:
        case "text":
            return ["text", value]
        case "image":
            return ["image", f"data:image/{value['format']};base64,{value['source']['bytes']}"]
        case "document":
            return ["file", f"{value['name'].rpartition(' ')[0]}.{value['format']}", value["source"]["bytes"]]
        case "reasoningContent" if "reasoningText" in value:
            return ["thought", value["reasoningText"]["text"], value["reasoningText"].get("signature")]
        case "reasoningContent":
            return ["redacted", value["redactedContent"]]
        case "toolUse":
            return ["call", value["toolUseId"], value["name"], inputs[value["toolUseId"]]]
        case _:
            raise AssertionError(kind)


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in answer.thinking:
        if part.encrypted is not None:
            blocks.append({"reasoningContent": {"redactedContent": part.encrypted}})
        else:
            blocks.append({"reasoningContent": {"text": part.text, "signature": part.signature or ""}})
    text, end = (answer.text or "") + (answer.refusal or ""), 0
    for source in answer.citations:
        assert source.start is not None
        assert source.end is not None
        location = {"title": source.title, "location": {"web": {"url": source.url}}}
        blocks.append({"text": text[end : source.start]})
        blocks.append({"text": text[source.start : source.end], "citation": location})
        end = source.end
    blocks.append({"text": text[end:]})
    blocks = [block for block in blocks if block.get("text", "x")]
    for call in answer.tool_calls:
        blocks.append({"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}})
    return blocks


def _nested(block: dict[str, Any]) -> dict[str, Any]:
    """A block as a whole answer has it."""
    if "citation" in block:
        return {"citationsContent": {"content": [{"text": block["text"]}], "citations": [block["citation"]]}}
    reasoning = block.get("reasoningContent")
    if reasoning is None or "redactedContent" in reasoning:
        return block
    return {"reasoningContent": {"reasoningText": reasoning}}


def _deltas(block: dict[str, Any]) -> list[dict[str, Any]]:
    if "toolUse" in block:
        return [{"toolUse": {"input": piece}} for piece in block["toolUse"]["input"]]
    if "reasoningContent" in block:
        fields = block["reasoningContent"]
        if "redactedContent" in fields:
            return [block]
        half = len(fields["text"]) // 2
        halves = [{"text": piece} for piece in (fields["text"][:half], fields["text"][half:]) if piece]
        return [{"reasoningContent": piece} for piece in (*halves, {"signature": fields["signature"]})]
    pieces = [{"text": piece} for piece in block["text"].partition(" ") if piece]
    return [*pieces, *([{"citation": block["citation"]}] if "citation" in block else ())]


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "inputTokens": usage.prompt - usage.cached - usage.cache_write,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_write,
        "outputTokens": usage.completion,
        "totalTokens": usage.total,
        "cacheDetails": [{"ttl": "1h", "inputTokens": usage.cache_write_1h}],
    }


def _input(arguments: str) -> bytes:
    """A call's input: an object, as the model wrote it; none if it was cut off."""
    try:
        json.loads(arguments)
    except ValueError:
        return b"{}"
    return arguments.encode()


def _event(name: str, payload: dict[str, Any]) -> bytes:
    headers = {":message-type": "event", ":event-type": name, ":content-type": "application/json"}
    return _message(headers, payload)


def _message(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    data = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(encoded) + len(data), len(encoded))
    body = prelude + struct.pack(">I", crc32(prelude)) + encoded + data
    return body + struct.pack(">I", crc32(body))
