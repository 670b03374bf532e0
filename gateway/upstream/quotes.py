"""Cuts out of a provider's words what they quote of the prompt: prompts are in no log.

Only the first and the last parts of a large prompt are compared: a failure must not cost more than the request.
"""

from collections.abc import Iterable, Iterator

from msgspec import Raw

from gateway.core.message import Message, Part, Text, ToolCall, ToolResult
from gateway.core.turn import Turn

_MAX_MESSAGE = 500  # characters of a message in a log
_MAX_PROMPT = 2**18  # bytes of a prompt that are compared
_END = _MAX_PROMPT // 2  # of a large text
_LENGTH = 24  # bytes in a row that are no chance
_STEP = 12
_CUT = "[…]"


def without_quotes(message: str, prompt: Iterable[bytes]) -> str:
    """The beginning of the message, with "[…]" for what it has in common with the prompt, of 35 bytes or more."""
    data = message[:_MAX_MESSAGE].encode("utf-8", "replace")
    compared = b"\0".join(_bounded(prompt))

    def is_quoted(start: int) -> bool:
        return data[start : start + _LENGTH] in compared

    quoted = [start for start in range(0, len(data) - _LENGTH + 1, _STEP) if is_quoted(start)]
    if not quoted:
        return data.decode()
    begin, last = quoted[0], quoted[-1]
    while begin > 0 and is_quoted(begin - 1):
        begin -= 1
    while last + _LENGTH < len(data) and is_quoted(last + 1):
        last += 1
    return data[:begin].decode("utf-8", "ignore") + _CUT + data[last + _LENGTH :].decode("utf-8", "ignore")


def texts_of(turn: Turn) -> Iterator[bytes]:
    """The texts of a turn, the newest first, as they stand in its JSON or in themselves; of large ones both ends."""
    for message in reversed(turn.messages):
        yield from _texts(message)


def _texts(message: Message) -> Iterator[bytes]:
    parts: list[Part] = list(message.parts)
    while parts:
        match parts.pop():
            case Text(raw=raw):
                yield _ends_of_json(raw) if isinstance(raw, Raw) else _ends(raw)
            case ToolCall(arguments=arguments):
                yield _ends(arguments)
            case ToolResult(content=content):
                parts += content
            case _:
                pass


def _ends_of_json(text: Raw) -> bytes:
    """The text without its quotation marks. A copy of a large one would stop the event loop."""
    content = memoryview(text)[1:-1]
    return bytes(content) if len(content) <= _MAX_PROMPT else b"\0".join((content[:_END], content[-_END:]))


def _ends(text: str) -> bytes:
    shown = text if len(text) <= _MAX_PROMPT else f"{text[:_END]}\0{text[-_END:]}"
    return shown.encode("utf-8", "replace")


def _bounded(prompt: Iterable[bytes]) -> Iterator[bytes]:
    """The beginning and the end of each text, within the limit."""
    left = _MAX_PROMPT
    for text in prompt:
        if left <= 0:
            return
        yield text if len(text) <= left else text[: left // 2] + b"\0" + text[-(left // 2) :]
        left -= len(text)
