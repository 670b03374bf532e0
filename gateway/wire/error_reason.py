"""Finds the sentence that says why a provider refused a request, wherever servers put it.

OpenAI's `error.message`, Mistral's `message.detail`, the list of Google's compatible endpoint, the `detail` of FastAPI
(vLLM, TGI, LiteLLM), Cloudflare's `errors`, and others that nobody documents.
"""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.printable import printable

_FIELDS = ("error", "message", "detail", "details", "errors", "msg", "error_message", "error_description", "reason")
_MAX_SENTENCES = 3
_MAX_DEPTH = 6
_GENERIC = "provider returned error"
_MAX_RAW = 500  # characters of a cause that is no JSON
_MAX_PAGE = 4096  # bytes
_MAX_EXCERPT = 300  # characters of a body that nobody can read
_TITLE = re.compile(r"<title[^>]*>([^<]*)</title", re.IGNORECASE)
_MESSAGE = re.compile(r"<(?:\w+:)?(?:error)?message[^>]*>([^<]*)</", re.IGNORECASE)


def reason_in(payload: Any) -> str | None:
    """The reason in the decoded body of an error, as one text; None if there is none."""
    sentences = list(dict.fromkeys(_sentences(payload, 0)))[:_MAX_SENTENCES]
    return "; ".join(sentences) or None


def beginning(body: bytes) -> str:
    """The beginning of a body that nobody can read; of a page its title, of XML its message."""
    text = body[:_MAX_PAGE].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text) or _MESSAGE.search(text)
        text = unescape(title[1]) if title else ""
    return printable(" ".join(text.split()))[:_MAX_EXCERPT]


def _sentences(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if text := value.strip():
            yield text
    elif depth > _MAX_DEPTH:
        return
    elif isinstance(value, list):
        for entry in value[:_MAX_SENTENCES]:
            yield from _sentences(entry, depth + 1)
    elif isinstance(value, dict):
        yield from _of_object(value, depth)


def _of_object(fields: Mapping[str, Any], depth: int) -> Iterator[str]:
    """The sentences of the first field that has any."""
    cause = _cause(fields.get("metadata"), depth)
    for name in _FIELDS:
        sentences = list(_sentences(fields.get(name), depth + 1))
        if sentences:
            if name == "error" and isinstance(fields["error"], str):  # OAuth's code (RFC 6749 §5.2)
                sentences += _sentences(fields.get("error_description"), depth + 1)
            if cause is not None and sentences[0].lower().rstrip(".") == _GENERIC:
                sentences = [f"{sentences[0].rstrip('.')}: {cause}"]
            yield from _located(sentences, fields.get("loc")) if name == "msg" else sentences
            return


def _located(sentences: list[str], location: Any) -> list[str]:
    """FastAPI's message about one field, with the path of the field."""
    if not isinstance(location, list | tuple) or not location:
        return sentences
    path = ".".join(str(step) for step in location)
    return [f"{path}: {sentence}" for sentence in sentences]


def _cause(metadata: Any, depth: int) -> str | None:
    """OpenRouter's `metadata.raw`: the answer of the provider behind it, as text or as the object itself."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, list | dict):
        return "; ".join([*_sentences(raw, depth + 1)][:_MAX_SENTENCES]) or None
    if not isinstance(raw, str) or not raw.strip():
        return None
    try:
        inner = loads(raw.encode("utf-8", "replace"))
    except InvalidJSON:
        inner = None
    sentences = list(_sentences(inner, depth + 1)) if isinstance(inner, list | dict) else []
    return "; ".join(sentences[:_MAX_SENTENCES]) or raw.strip()[:_MAX_RAW]
