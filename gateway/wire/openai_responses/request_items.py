"""Encodes messages as `input` of a request to a provider: a flat list of items.

Nothing is stored at the provider, so items have no ids, except reasoning, which its own model gets back unchanged and
directly before the item that it led to. Reasoning of other models is left out, and so is reasoning without a successor.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolKind,
    ToolResult,
)
from gateway.core.raw_text import RawText
from gateway.wire.call_ids import shortened
from gateway.wire.foreign import FAILED, stand_in
from gateway.wire.openai_responses import ITEM, WIRE
from gateway.wire.openai_responses.client_tools import OUTPUT_TYPES, call_fields, output_value
from gateway.wire.openai_responses.profile import Profile

Item = dict[str, Any]

_MAX_ID = 64
"""Characters of a `call_id`. Other makers' are longer: some hold the signature of the reasoning."""


def encode_items(messages: Iterable[Message], owner: Owner, profile: Profile) -> list[Item]:
    """The items, in order; `owner` is the model that gets them."""
    encoder = _Encoder(owner, profile)
    for message in messages:
        encoder.add(message)
    return encoder.items


class _Encoder:
    def __init__(self, owner: Owner, profile: Profile) -> None:
        self.items: list[Item] = []
        self._owner = owner
        self._profile = profile
        self._kinds: dict[str, ToolKind] = {}  # of the calls so far, by id

    def add(self, message: Message) -> None:
        role = message.role
        if role == "tool":
            self._results(message)
            return
        role = self._role(role)
        if len(message.parts) == 1 and type(message.parts[0]) is Text:  # as most are
            self._message(role, message.parts)
            return
        content: list[Part] = []
        thinking: list[Item] = []
        for part in _own_parts(message.parts):
            if isinstance(part, Thinking):
                self._message(role, content)
                content = []
                if part.owner == self._owner:  # of an unknown one, OpenAI refuses what it has not written itself
                    thinking.append(_reasoning(part))
                continue
            if isinstance(part, Citation):
                continue
            item = self._item(part)
            if item is None and not isinstance(part, _CONTENT):
                continue
            self.items += thinking
            thinking = []
            if item is None:
                content.append(part)
            else:
                self._message(role, content)
                content = []
                self.items.append(item)
        self._message(role, content)

    def _results(self, message: Message) -> None:
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part)
            elif (item := self._item(part)) is not None:
                self.items.append(item)

    def _role(self, role: Role) -> Role:
        """The role in this format. A result of the older form that belongs to no call is the user's."""
        if role == "developer" and not self._profile.developer_role:
            return "system"
        return "user" if role == "function" else role

    def _item(self, part: Part) -> Item | None:
        """The item that a part is on its own; None for content of a message."""
        if isinstance(part, ToolCall):
            self._kinds[part.id] = part.kind
            if part.kind == "hosted":
                return dict(part.extras.of(WIRE)[ITEM])
            item = call_fields(part)
            item["call_id"] = shortened(part.id, _MAX_ID)
            if part.kind not in ("function", "custom"):  # the fields that their types demand
                item |= {"status": "completed"} | ({"id": item["call_id"]} if part.kind == "local_shell" else {})
            return item
        if isinstance(part, Foreign) and part.wire == WIRE and ITEM in part.payload:
            return dict(part.payload[ITEM])
        return None

    def _message(self, role: str, parts: Sequence[Part]) -> None:
        if not parts:
            return
        item: Item = {"type": "message", "role": role}
        content = _content(parts, role)
        if content:
            item["content"] = content
            if phase := _phase(parts):
                item["phase"] = phase
            self.items.append(item)

    def _result(self, result: ToolResult) -> None:
        kind = self._kinds.get(result.call_id, "function")
        if kind == "hosted":
            return  # the item of the call holds its result
        item: Item = {"type": OUTPUT_TYPES[kind]}
        item["id" if kind == "local_shell" else "call_id"] = shortened(result.call_id, _MAX_ID)
        if kind in ("function", "custom"):
            item["output"] = _output(result)
        else:
            item |= output_value(kind, _text_of(result), is_error=result.is_error)
        self.items.append(item)


_CONTENT = Text | Image | Audio | File | Refusal | Foreign


def _own_parts(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts; texts stand for those of another format."""
    for part in parts:
        if not isinstance(part, Foreign) or part.wire == WIRE:
            yield part
        elif (text := stand_in(part, WIRE)) is not None:
            yield text


def _phase(parts: Iterable[Part]) -> str | None:
    for part in parts:
        if isinstance(part, Text):
            return part.extras.of(WIRE).get("phase")
    return None


def _reasoning(block: Thinking) -> Item:
    parts: Mapping[str, Any] = block.extras.of(WIRE)
    if not parts:
        parts = {("content" if block.kind == "raw" else "summary"): [block.text] if block.text else []}
    item: Item = {"type": "reasoning"}
    if block.id is not None:
        item["id"] = block.id
    item["summary"] = [{"type": "summary_text", "text": text} for text in parts.get("summary", ())]
    if content := parts.get("content"):
        item["content"] = [{"type": "reasoning_text", "text": text} for text in content]
    if block.encrypted is not None:
        item["encrypted_content"] = block.encrypted
    return item


def _content(parts: Sequence[Part], role: str) -> RawText | list[Item]:
    if len(parts) == 1 and isinstance(only := parts[0], Text):
        return only.raw if role != "assistant" or not only.blank else ""
    text_type = "output_text" if role == "assistant" else "input_text"
    return [
        item for part in parts if not (isinstance(part, Text) and part.blank) for item in _content_part(part, text_type)
    ]


def _output(result: ToolResult) -> RawText | list[Item]:
    content = (FAILED, *result.content) if result.is_error else result.content
    if len(content) == 1 and isinstance(only := content[0], Text) and not result.content_is_array:
        return only.raw
    if all(isinstance(part, Text | Refusal) for part in content):
        return "\n".join(part.text for part in content if isinstance(part, Text | Refusal))
    return [item for part in content for item in _content_part(part, "input_text")]


def _text_of(result: ToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, Text | Refusal))


def _content_part(part: Part, text_type: str) -> tuple[Item, ...]:
    match part:
        case Text(raw):
            return ({"type": text_type, "text": raw},)
        case Refusal(text):
            refusal = text_type == "output_text"
            return ({"type": "refusal", "refusal": text} if refusal else {"type": text_type, "text": text},)
        case Image(url, detail):
            return ({"type": "input_image", "image_url": url, "detail": detail or "auto"},)
        case Audio(data, kind):
            return ({"type": "input_audio", "input_audio": {"data": data, "format": kind}},)
        case File():
            return (_file(part),)
        case Foreign(wire, payload) if wire == WIRE:
            return (dict(payload),)
        case Foreign():
            other = stand_in(part, WIRE)
            return () if other is None else ({"type": text_type, "text": other.raw},)
        case _:
            return ()


def _file(file: File) -> Item:
    item: Item = {"type": "input_file"}
    if file.url is not None:
        return {**item, "file_url": file.url}
    mime = file.mime or "application/pdf"
    return {**item, "filename": file.name or "file", "file_data": f"data:{mime};base64,{file.data}"}
