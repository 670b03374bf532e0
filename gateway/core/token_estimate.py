"""Estimates the tokens of a turn before the provider counts them: about four bytes of text per token."""

from gateway.core.jsonio import dumps
from gateway.core.message import File, Image, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from gateway.core.raw_text import RawText
from gateway.core.turn import Turn

_BYTES_PER_TOKEN = 4  # the average of OpenAI's tokenisers for English text and code
_IMAGE_TOKENS = 765  # OpenAI's price of a 1024x1024 image in high detail; an image's bytes don't predict its tokens
_FILE_BYTES_PER_BYTE_OF_TEXT = 8  # base64 of a PDF with fonts and pictures, to the text that a model reads in it
_ANSWER_TOKENS = 1024  # an answer without a limit


def prompt_tokens(turn: Turn) -> int:
    """Tokens of the prompt's messages and tools, without the extras of a wire format."""
    size, images = _messages(turn.messages)
    for tool in turn.tools:
        size += len(dumps(tool.parameters)) + text_bytes(tool.name) + text_bytes(tool.description or "")
    return tokens_in(size) + images * _IMAGE_TOKENS


def message_tokens(message: Message) -> int:
    """Tokens of one message."""
    size, images = _messages((message,))
    return tokens_in(size) + images * _IMAGE_TOKENS


def answer_tokens(turn: Turn, model_limit: int | None) -> int:
    """Tokens of the answer: the request's limit or a default, and at most the model's limit (None: unknown)."""
    requested = turn.sampling.max_tokens
    tokens = _ANSWER_TOKENS if requested is None else requested
    return tokens if model_limit is None else min(model_limit, tokens)


def max_answer_tokens(turn: Turn, model_limit: int | None) -> int:
    """The most tokens that an answer can have: the request's or the model's limit; a default where neither is known."""
    known = [limit for limit in (turn.sampling.max_tokens, model_limit) if limit is not None]
    return min(known, default=_ANSWER_TOKENS)


def tokens_in(size: int) -> int:
    """Tokens of a text of `size` bytes."""
    return -(-size // _BYTES_PER_TOKEN)


def bytes_of(tokens: int) -> int:
    """Bytes of a text with this number of tokens."""
    return tokens * _BYTES_PER_TOKEN


def text_bytes(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def raw_text_bytes(text: RawText) -> int:
    """The length of a text. A raw JSON string is not decoded: its escapes count as they are."""
    return text_bytes(text) if isinstance(text, str) else memoryview(text).nbytes - 2


def _messages(messages: tuple[Message, ...]) -> tuple[int, int]:
    """Bytes of text, and the number of images."""
    size = 0
    images = 0
    for message in messages:
        for part in message.parts:
            if type(part) is Text:
                size += raw_text_bytes(part.raw)
            else:
                part_size, part_images = _part(part)
                size += part_size
                images += part_images
    return size, images


def _part(part: Part) -> tuple[int, int]:
    """Bytes of text and the number of images in one part."""
    if isinstance(part, Text):
        return raw_text_bytes(part.raw), 0
    if isinstance(part, Image):
        return 0, 1
    if isinstance(part, File):
        return len(part.data or "") // _FILE_BYTES_PER_BYTE_OF_TEXT, 0
    if isinstance(part, Thinking | Refusal):
        return text_bytes(part.text), 0
    if isinstance(part, ToolCall):
        return text_bytes(part.name) + text_bytes(part.arguments), 0
    if isinstance(part, ToolResult):
        counted = [_part(inner) for inner in part.content]
        return sum(size for size, _ in counted), sum(images for _, images in counted)
    return 0, 0
