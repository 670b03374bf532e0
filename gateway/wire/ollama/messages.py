"""Encodes a conversation as Ollama's `messages`."""

from collections.abc import Iterable
from typing import Any

from gateway.core.message import (
    Audio,
    Citation,
    File,
    Foreign,
    Image,
    Message,
    Owner,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.wire.arguments import arguments_object
from gateway.wire.model import ModelSpec
from gateway.wire.ollama import WIRE
from gateway.wire.unsupported import unsupported

_ROLES = {"developer": "system", "function": "tool"}


def messages_of(messages: Iterable[Message], model: ModelSpec) -> list[dict[str, Any]]:
    """One object per message; the texts of a message are joined by line breaks.

    Pictures of tool results follow in a user message, because models read them in no other. Raises UpstreamError of
    the kind UNSUPPORTED for what the format can't carry.
    """
    encoder = _Encoder(Owner(WIRE, model.provider, model.id))
    for message in messages:
        encoder.add(message)
    encoder.end_results()
    return encoder.encoded


class _Encoder:
    def __init__(self, owner: Owner) -> None:
        self.encoded: list[dict[str, Any]] = []
        self._owner = owner
        self._names: dict[str, str] = {}
        self._pictures: list[str] = []

    def add(self, message: Message) -> None:
        if message.role in ("tool", "function"):
            for part in message.parts:
                self._result(part, message)
            return
        self.end_results()
        raw: dict[str, Any] = {"role": _ROLES.get(message.role, message.role)}
        if len(message.parts) == 1 and type(only := message.parts[0]) is Text:  # as most are
            raw["content"] = text = only.text
            if text or message.role != "assistant":
                self.encoded.append(raw)
            return
        text, pictures = self._content(message.parts)
        raw["content"] = text
        if pictures:
            raw["images"] = pictures
        blocks = [part for part in message.parts if type(part) is Thinking]
        thinking = "".join(block.text for block in blocks if block.owner in (self._owner, None))
        if thinking:
            raw["thinking"] = thinking
        calls = [self._call(part) for part in message.parts if type(part) is ToolCall]
        if calls:
            raw["tool_calls"] = calls
        if len(raw) > 2 or text or message.role != "assistant":
            self.encoded.append(raw)

    def end_results(self) -> None:
        """Add the pictures of the tool results before this message."""
        if self._pictures:
            pictures, self._pictures = self._pictures, []
            content = "Image(s) from the tool results above:"
            self.encoded.append({"role": "user", "content": content, "images": pictures})

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._names[call.id] = call.name
        return {"id": call.id, "function": {"name": call.name, "arguments": arguments_object(call)}}

    def _result(self, part: Part, message: Message) -> None:
        if not isinstance(part, ToolResult):
            text, pictures = self._content((part,))
            raw: dict[str, Any] = {"role": "tool", "content": text}
            name, call_id = message.name, None
        else:
            text, pictures = self._content(part.content)
            raw = {"role": "tool", "content": f"Error: {text}" if part.is_error else text}
            name, call_id = self._names.get(part.call_id) or message.name, part.call_id
        if name:
            raw["tool_name"] = name
        if call_id:
            raw["tool_call_id"] = call_id
        self._pictures += pictures
        self.encoded.append(raw)

    def _content(self, parts: Iterable[Part]) -> tuple[str, list[str]]:
        """The text and the pictures, as base64."""
        texts: list[str] = []
        pictures: list[str] = []
        for part in parts:
            match part:
                case Text() | Refusal():
                    texts.append(part.text)
                case Image(url):
                    pictures.append(_picture(url))
                case Audio():
                    raise unsupported(WIRE, "audio")
                case File():
                    raise unsupported(WIRE, "files")
                case Foreign(_, payload):
                    raise unsupported(WIRE, f"parts of type {payload.get('type')!r}")
                case Thinking() | ToolCall() | ToolResult() | Citation():
                    pass  # encoded elsewhere, or about text that is sent anyway
        return "\n".join(text for text in texts if text), pictures


def _picture(url: str) -> str:
    head, comma, data = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise unsupported(WIRE, "images by URL")
    return data
