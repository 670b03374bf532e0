"""How many tokens a turn will take, before the provider has counted them: four bytes of text each, give or take."""

from gateway.core.jsonio import dumps
from gateway.core.message import Image, Message, Part, Text, ToolCall, ToolResult
from gateway.core.turn import Turn
from gateway.core.written import RawText

_BYTES_PER_TOKEN = 4  # what OpenAI's tokenisers need for English text and code on average
_IMAGE = 765  # OpenAI's price of a 1024x1024 picture in high detail; bytes of a picture say nothing about its tokens
_ANSWER = 1024  # an answer whose length nobody has limited


def prompt_tokens(turn: Turn) -> int:
    """The prompt's messages and tools; extras of one wire format are not counted."""
    size, images = _messages(turn.messages)
    for tool in turn.tools:
        size += len(dumps(tool.parameters)) + text_bytes(tool.name) + text_bytes(tool.description or "")
    return tokens_in(size) + images * _IMAGE


def message_tokens(message: Message) -> int:
    """One message."""
    size, images = _messages((message,))
    return tokens_in(size) + images * _IMAGE


def answer_tokens(turn: Turn, most: int | None) -> int:
    """The answer: what the caller allows, else a usual one; within `most`, the model's own limit (None: unknown)."""
    asked = turn.sampling.max_tokens
    if asked is None:
        return _ANSWER if most is None else min(most, _ANSWER)
    return asked if most is None else min(most, asked)


def tokens_in(size: int) -> int:
    """The tokens of a text of `size` bytes."""
    return -(-size // _BYTES_PER_TOKEN)


def bytes_of(tokens: int) -> int:
    """The size of a text with so many tokens."""
    return tokens * _BYTES_PER_TOKEN


def text_bytes(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _messages(messages: tuple[Message, ...]) -> tuple[int, int]:
    """Bytes of text, and pictures."""
    size = 0
    images = 0
    for message in messages:
        for part in message.parts:
            if type(part) is Text:
                size += _written_bytes(part.written)
            else:
                more, pictures = _part(part)
                size += more
                images += pictures
    return size, images


def _written_bytes(written: RawText) -> int:
    """The same for a text that may stand there as JSON, which is not decoded for this: its escapes count as written."""
    return text_bytes(written) if isinstance(written, str) else memoryview(written).nbytes - 2


def _part(part: Part) -> tuple[int, int]:
    """Bytes of text and pictures in one part."""
    if isinstance(part, Text):
        return _written_bytes(part.written), 0
    if isinstance(part, Image):
        return 0, 1
    if isinstance(part, ToolCall):
        return text_bytes(part.name) + text_bytes(part.arguments), 0
    if isinstance(part, ToolResult):
        counted = [_part(inner) for inner in part.content]
        return sum(size for size, _ in counted), sum(pictures for _, pictures in counted)
    return 0, 0
