"""Decodes and encodes `annotations` of a message: the web pages that its text cites.

https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat
"""

from typing import Any

from gateway.core.message import NO_EXTRAS, Citation, Extras
from gateway.wire.openai_chat import WIRE

_KNOWN = frozenset({"url", "title", "start_index", "end_index"})


def is_citation(entry: dict[str, Any]) -> bool:
    """Whether `read_annotations` reads this entry."""
    return "url_citation" in entry or (entry.get("type") == "url_citation" and isinstance(entry.get("url"), str))


def read_annotations(raw: Any) -> list[Citation]:
    """The sources in a provider's annotations; entries of other types are skipped."""
    citations = []
    for entry in raw if isinstance(raw, list) else ():
        source = entry.get("url_citation") if isinstance(entry, dict) else None
        if source is None and isinstance(entry, dict) and entry.get("type") == "url_citation":
            source = {name: value for name, value in entry.items() if name != "type"}  # the form of the Responses API
        if not isinstance(source, dict) or not isinstance(url := source.get("url"), str):
            continue
        title, start, end = (source.get(name) for name in ("title", "start_index", "end_index"))
        unknown = {name: value for name, value in source.items() if name not in _KNOWN}
        citations.append(
            Citation(
                url,
                title if isinstance(title, str) else None,
                start if type(start) is int else None,
                end if type(end) is int else None,
                Extras(WIRE, unknown) if unknown else NO_EXTRAS,
            )
        )
    return citations


def annotation(citation: Citation) -> dict[str, Any]:
    """The entry of `annotations` for one source."""
    source = {
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
    }
    return {"type": "url_citation", "url_citation": {**source, **citation.extras.of(WIRE)}}
