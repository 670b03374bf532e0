"""Decodes the content of an input item into parts. A part that can't be forwarded is refused by name, never dropped."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.message import Audio, File, Image, Refusal, Text

ContentPart = Text | Image | Audio | File | Refusal

_DATA_URI = re.compile(r"data:([^,]*?);base64,", re.IGNORECASE)
_PICTURES = tuple(f"image/{kind}" for kind in ("jpeg", "png", "gif", "webp", "heic", "heif"))


def read_content(raw: Any, path: str) -> tuple[ContentPart, ...]:
    """Text or a list of parts; `path` names it in refusals. Raises BadRequest."""
    if isinstance(raw, str):
        return (Text(raw),)
    if not isinstance(raw, list):
        raise BadRequest(f"`{path}`: must be a string or an array of parts.", param=path)
    return tuple(_part(item, f"{path}[{index}]") for index, item in enumerate(raw))


def _part(raw: Any, path: str) -> ContentPart:
    kind = raw.get("type") if isinstance(raw, dict) else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise BadRequest(f"`{path}`: must be an object whose `type` is one of {known}.", param=path)
    return reader(raw, path)


def _text(raw: Mapping[str, Any], path: str) -> Text:
    text = raw.get("text")
    if not isinstance(text, str):
        raise BadRequest(f"`{path}.text`: must be a string.", param=f"{path}.text")
    return Text(text)


def _refusal(raw: Mapping[str, Any], path: str) -> Refusal:
    refusal = raw.get("refusal")
    if not isinstance(refusal, str):
        raise BadRequest(f"`{path}.refusal`: must be a string.", param=f"{path}.refusal")
    return Refusal(refusal)


def _image(raw: Mapping[str, Any], path: str) -> Image:
    """OpenAI's `image_url` (a string), or OpenClaw's `source` (base64 or url).

    The type that a data URI declares is ignored, as in chat; `source` accepts `_PICTURES` only.
    """
    detail = raw.get("detail")
    detail = {"original": "high"}.get(detail, detail) if isinstance(detail, str) else None
    url = raw.get("image_url")
    if isinstance(url, str):
        return Image(url, detail)
    source = raw.get("source")
    if isinstance(source, dict):
        if source.get("type") == "url" and isinstance(source.get("url"), str):
            return Image(source["url"], detail)
        if source.get("type") == "base64" and isinstance(source.get("data"), str):
            mime = source.get("media_type")
            if mime is not None and mime not in _PICTURES:
                path += ".source.media_type"
                raise BadRequest(f"`{path}`: must be one of {', '.join(_PICTURES)}.", param=path)
            return Image(f"data:{mime or ''};base64,{source['data']}", detail)
    raise _unusable("image", "image_url", raw, path)


def _file(raw: Mapping[str, Any], path: str) -> File:
    """OpenAI's `file_data` (a data URI, or bare base64) or `file_url`, or OpenClaw's `source`."""
    name = _string(raw, "filename")
    if data := _string(raw, "file_data"):
        head = _DATA_URI.match(data)
        return File(name, head[1] or None, data[head.end() :]) if head else File(name, None, data)
    if url := _string(raw, "file_url"):
        return File(name, None, None, url)
    source = raw.get("source")
    if isinstance(source, dict):
        name = name or _string(source, "filename")
        if source.get("type") == "url" and (url := _string(source, "url")):
            return File(name, None, None, url)
        if source.get("type") == "base64" and (data := _string(source, "data")):
            return File(name, _string(source, "media_type"), data)
    raise _unusable("file", "file_data", raw, path)


def _unusable(what: str, field: str, raw: Mapping[str, Any], path: str) -> BadRequest:
    if raw.get("file_id") is not None:
        return BadRequest(
            f"`{path}.file_id`: files are not stored here; send the {what} itself in `{field}`.", param=path
        )
    return BadRequest(f"`{path}`: needs the {what} in `{field}`, as a base64 data URI.", param=path)


def _string(raw: Mapping[str, Any], field: str) -> str | None:
    value = raw.get(field)
    return value if isinstance(value, str) and value else None


def _audio(raw: Mapping[str, Any], path: str) -> Audio:
    audio = raw.get("input_audio")
    if not isinstance(audio, dict):
        raise BadRequest(f"`{path}.input_audio`: must be an object.", param=f"{path}.input_audio")
    for field in ("data", "format"):
        if not isinstance(audio.get(field), str):
            at = f"{path}.input_audio.{field}"
            raise BadRequest(f"`{at}`: must be a string.", param=at)
    return Audio(audio["data"], audio["format"])


_READERS: dict[str, Callable[[Mapping[str, Any], str], ContentPart]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
