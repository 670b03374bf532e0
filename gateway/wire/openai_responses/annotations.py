"""Decodes `annotations` of a text: the web pages that it cites."""

from typing import Any

from gateway.core.message import Citation


def read_annotation(raw: Any) -> Citation | None:
    """The source of a `url_citation`; None for other types, which name files that only the provider has."""
    if not isinstance(raw, dict) or raw.get("type") != "url_citation" or not isinstance(url := raw.get("url"), str):
        return None
    title, start, end = (raw.get(name) for name in ("title", "start_index", "end_index"))
    return Citation(
        url,
        title if isinstance(title, str) else None,
        start if type(start) is int else None,
        end if type(end) is int else None,
    )
