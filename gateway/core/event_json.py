"""Events as JSON, for the event logs of background runs.

A batch is an array, an event is an object with `type`. A type that this version does not know raises UnknownVersion.
"""

from typing import Any, assert_never

from gateway.core.event import (
    Batch,
    CitationFound,
    Event,
    Finish,
    ForeignFound,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingEnd,
    ToolCallBegin,
    ToolCallDelta,
    ToolWork,
    UsageReport,
)
from gateway.core.jsonio import dumps, loads
from gateway.core.message import Citation, Foreign, Thinking
from gateway.core.message_json import (
    UnknownVersion,
    read_extras,
    read_message,
    read_part,
    write_extras,
    write_message,
    write_part,
)
from gateway.core.usage import Usage


def write_batch(batch: Batch) -> bytes:
    """A batch as JSON."""
    return dumps([_write(event) for event in batch])


def read_batch(document: bytes) -> Batch:
    """The batch that `write_batch` wrote. Raises UnknownVersion."""
    return [_read(fields) for fields in loads(document)]


def _write(event: Event) -> dict[str, Any]:
    match event:
        case TextDelta(raw, logprobs):
            return {"type": "text", "text": raw} | ({} if logprobs is None else {"logprobs": logprobs})
        case ThinkingDelta(text, kind):
            return {"type": "thinking", "text": text, "kind": kind}
        case ThinkingEnd(block):
            return {"type": "thinking_end", "block": write_part(block)}
        case RefusalDelta(text):
            return {"type": "refusal", "text": text}
        case ForeignFound(part):
            return {"type": "foreign", "part": write_part(part)}
        case CitationFound(citation):
            return {"type": "citation", "citation": write_part(citation)}
        case ToolCallBegin(index, id_, name, extras, kind, namespace):
            fields = {"type": "call", "index": index, "id": id_, "name": name, "kind": kind, "namespace": namespace}
            return fields | ({"extras": write_extras(extras)} if extras.fields else {})
        case ToolCallDelta(index, arguments):
            return {"type": "arguments", "index": index, "arguments": arguments}
        case ToolWork(messages):
            return {"type": "tool_work", "messages": [write_message(message) for message in messages]}
        case UsageReport(usage):
            return {"type": "usage", **{name: getattr(usage, name) for name in Usage.__struct_fields__}}
        case Finish(reason, raw, stop_sequence):
            return {"type": "finish", "reason": reason, "raw": raw, "stop_sequence": stop_sequence}
        case _:
            assert_never(event)


def _read(fields: dict[str, Any]) -> Event:
    match fields["type"]:
        case "text":
            return TextDelta(fields["text"], fields.get("logprobs"))
        case "thinking":
            return ThinkingDelta(fields["text"], fields["kind"])
        case "thinking_end" if isinstance(block := read_part(fields["block"]), Thinking):
            return ThinkingEnd(block)
        case "refusal":
            return RefusalDelta(fields["text"])
        case "citation" if isinstance(citation := read_part(fields["citation"]), Citation):
            return CitationFound(citation)
        case "foreign" if isinstance(part := read_part(fields["part"]), Foreign):
            return ForeignFound(part)
        case "call":
            extras = read_extras(fields)
            return ToolCallBegin(
                fields["index"], fields["id"], fields["name"], extras, fields["kind"], fields["namespace"]
            )
        case "arguments":
            return ToolCallDelta(fields["index"], fields["arguments"])
        case "tool_work":
            return ToolWork(tuple(read_message(message) for message in fields["messages"]))
        case "usage":
            return UsageReport(Usage(**{name: fields[name] for name in Usage.__struct_fields__ if name in fields}))
        case "finish":
            return Finish(fields["reason"], fields["raw"], fields["stop_sequence"])
        case other:
            raise UnknownVersion(f"this gateway does not know events of type {other!r}")
