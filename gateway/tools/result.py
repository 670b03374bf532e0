"""The result of an MCP tool → text and images for a model, within limits.

Any part of a result may be too large, and no URL in it is fetched. The `type` of a part decides its meaning, see
https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
"""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from gateway.core.jsonio import dumps
from gateway.core.message import Image, Text
from gateway.tools.contract import ToolOutput

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


class ResultLimits(Struct, frozen=True):
    """Limits of one result: characters of text, number of images, and characters of one image's base64."""

    characters: int = 60_000
    images: int = 4
    image_characters: int = 7_000_000


def read_result(content: Iterable[Any], structured: Any, *, is_error: bool, limits: ResultLimits) -> ToolOutput:
    """The parts in order. Structured content repeats the other content, so it is used only without any."""
    texts: list[str] = ["Tool error:"] if is_error else []
    images: list[Image] = []
    for part in content:
        if (image := _image(part, limits)) is not None and len(images) < limits.images:
            images.append(image)
        else:
            texts.append(_text(part))
    if structured is not None and not images and len(texts) == int(is_error):
        texts.append(dumps(structured).decode())
    if not texts and not images:
        texts.append("(The tool gave no output.)")
    parts = (Text(_cut("\n".join(texts), limits.characters)),) if texts else ()
    return ToolOutput((*parts, *images), "error" if is_error else None)


def _image(part: Any, limits: ResultLimits) -> Image | None:
    if part.type != "image" or part.mime_type not in _IMAGES or len(part.data) > limits.image_characters:
        return None
    data = part.data.strip()
    if not _is_base64(data):
        return None  # a provider would refuse the whole request
    return Image(f"data:{part.mime_type};base64,{data}")


def _is_base64(data: str) -> bool:
    return len(data) % 4 == 0 and _BASE64.fullmatch(data) is not None


def _text(part: Any) -> str:
    match part.type:
        case "text":
            return str(part.text)
        case "resource" if getattr(part.resource, "text", None) is not None:
            return str(part.resource.text)
        case "resource":
            return f"[left out: binary resource {part.resource.uri}]"
        case "resource_link":
            return f"[resource: {part.name} {part.uri}]"
        case "image" if part.mime_type in _IMAGES and not _is_base64(part.data.strip()):
            return "[left out: an image that is not valid base64]"
        case other:
            return f"[left out: {other} {getattr(part, 'mime_type', None) or ''}]"


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}\n[cut here: the result has {len(text)} characters, the limit is {max_chars}]"
