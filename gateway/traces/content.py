"""Prompts and answers as attributes of spans, in the JSON of OpenTelemetry's conventions for GenAI.

Off by default. No attribute is larger than the configured limit: of a prompt the latest messages stay, of a text its
beginning. Images, audio and files are named and left out, and so are credentials.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from gateway.core.accumulator import Accumulator
from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import (
    Audio,
    Content,
    File,
    Image,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.runs.attempt_capture import AttemptCapture
from gateway.traces import names

_SYSTEM = ("system", "developer")
_FINISH_REASONS = {"tool_calls": "tool_call"}  # our name → that of the conventions
_BLOCKS = ((Image, "image"), (Audio, "audio"), (File, "file"))
_OVERHEAD = 128
"""Bytes of JSON around a text: the names of a part, and those of a message."""
_LONGEST_SECRET = 4096  # characters
CONTENT = (names.SYSTEM_INSTRUCTIONS, names.INPUT_MESSAGES, names.OUTPUT_MESSAGES)
Hide = Callable[[str], str]
"""Removes credentials from a text."""


class ContentPolicy(Struct, frozen=True):
    """Which content spans have. `max_bytes` limits each attribute."""

    input: bool = False
    output: bool = False
    system: bool = False
    max_bytes: int = 16 * 1024

    @property
    def any(self) -> bool:
        """Whether spans have content."""
        return self.input or self.output or self.system


NO_CONTENT = ContentPolicy()


def content_of(capture: AttemptCapture, policy: ContentPolicy, hide: Hide) -> dict[str, str | bool]:
    """The attributes with the content of an attempt."""
    attributes: dict[str, str | bool] = {}
    truncated = False
    if (turn := capture.turn) is not None:
        if policy.system and any(one.role in _SYSTEM for one in turn.messages):
            room = _Room(policy.max_bytes, hide)
            parts = [part for one in turn.messages if one.role in _SYSTEM for part in room.parts(one.parts)]
            attributes[names.SYSTEM_INSTRUCTIONS] = dumps(parts).decode()
            truncated |= room.full
        if policy.input:
            room = _Room(policy.max_bytes, hide)
            attributes[names.INPUT_MESSAGES] = dumps(_latest(turn.messages, room)).decode()
            truncated |= room.full
    if policy.output and capture.answer is not None:
        room = _Room(policy.max_bytes, hide)
        attributes[names.OUTPUT_MESSAGES] = dumps(_output(capture, capture.answer, room)).decode()
        truncated |= room.full or capture.truncated
    if truncated:
        attributes[names.CONTENT_TRUNCATED] = True
    return attributes


def _latest(messages: Sequence[Message], room: "_Room") -> list[dict[str, Any]]:
    """As many of the latest messages as there is room for, in their order."""
    shown: list[dict[str, Any]] = []
    for message in reversed(messages):
        if message.role in _SYSTEM:
            continue
        if room.full:
            break
        if parts := room.parts(message.parts):
            shown.append({"role": message.role, "parts": parts})
    return shown[::-1]


def _output(capture: AttemptCapture, answer: Accumulator, room: "_Room") -> list[dict[str, Any]]:
    """The answer, as far as it came; nothing if nothing came."""
    parts: list[Part] = [*answer.thinking]
    if text := answer.text:
        parts.append(Text(text))
    if refusal := answer.refusal:
        parts.append(Refusal(refusal))
    parts += answer.tool_calls.values()
    finish = "error" if capture.finish is None else capture.finish.reason
    if not parts and capture.finish is None:
        return []
    return [
        {"role": "assistant", "parts": room.parts(parts), "finish_reason": _FINISH_REASONS.get(finish, finish)},
    ]


class _Room:
    """The bytes of one attribute that are not used yet; `full` once something did not fit."""

    def __init__(self, limit: int, hide: Hide) -> None:
        self.full = False
        self._left = limit - len("[]")
        self._hide = hide

    def parts(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        """The parts in the conventions' form, as far as there is room."""
        shown: list[dict[str, Any]] = []
        for part in parts:
            self._left -= _OVERHEAD
            if self.full or self._left < 0:
                self.full = True
                break
            if (one := self._part(part)) is not None:
                shown.append(one)
        return shown

    def _part(self, part: Part) -> dict[str, Any] | None:
        match part:
            case Text() | Refusal():
                return {"type": "text", "content": self._fit(part.text)}
            case Thinking(text) if text:
                return {"type": "reasoning", "content": self._fit(text)}
            case ToolCall():
                name, call_id = self._fit(part.name), self._fit(part.id)
                return {"type": "tool_call", "id": call_id, "name": name, "arguments": self._arguments(part.arguments)}
            case ToolResult():
                text = "\n".join(map(_words, part.content))
                return {"type": "tool_call_response", "id": self._fit(part.call_id), "response": self._fit(text)}
            case Image() | Audio() | File():
                return {"type": "omitted", "modality": _modality(part)}
            case _:
                return None

    def _arguments(self, text: str) -> Any:
        """The object, or the text if it is none or too long."""
        fitted = self._fit(text)
        try:
            return loads(fitted.encode())
        except (InvalidJSON, UnicodeEncodeError):
            return fitted

    def _fit(self, text: str) -> str:
        """The beginning of the text for which there is room, without credentials."""
        bound = self._left + _LONGEST_SECRET
        cut = text[:bound]
        hidden = self._hide(cut)
        if len(cut) < len(text):  # at the end may be the half of a secret
            hidden = hidden[:-_LONGEST_SECRET]
            self.full = True
        while (size := len(dumps(hidden))) > self._left + len('""') and hidden:
            self.full = True
            hidden = hidden[: max(0, min(len(hidden) - 1, len(hidden) * self._left // size))]
        self._left -= size
        return hidden


def _modality(part: Part) -> str:
    return next(name for kind, name in _BLOCKS if isinstance(part, kind))


def _words(part: Content) -> str:
    if isinstance(part, Text | Refusal):
        return part.text
    return f"[{_modality(part)}]" if isinstance(part, Image | Audio | File) else ""
