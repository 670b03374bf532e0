"""Decodes the citations of a text block: web pages, search results, and places in documents of the request."""

from typing import Any

from gateway.core.message import Citation, Extras
from gateway.wire.anthropic_messages import WIRE

_URL_FIELDS = ("url", "source")
_TITLE_FIELDS = ("title", "document_title")
_KNOWN = frozenset({*_URL_FIELDS, *_TITLE_FIELDS})


def read_citation(raw: Any) -> Citation | None:
    """The source that a text block cites, without its offsets.

    A document of the request has a title, but no URL. None for anything that is not a citation.
    """
    if not isinstance(raw, dict):
        return None
    url, title = _first(raw, _URL_FIELDS), _first(raw, _TITLE_FIELDS)
    others = {name: value for name, value in raw.items() if name not in _KNOWN and value is not None}
    return Citation(url or "", title, extras=Extras(WIRE, others))


def _first(raw: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if isinstance(value := raw.get(name), str)), None)


def citation_object(citation: Citation) -> dict[str, Any]:
    """The citation for a client. Sources of other formats are web pages, of which no text is known."""
    own = citation.extras.of(WIRE)
    kind = own.get("type")
    if not isinstance(kind, str):
        own, kind = {"cited_text": "", "encrypted_index": ""}, "web_search_result_location"
    shown = {**own, "type": kind}
    if kind == "web_search_result_location":
        shown |= {"url": citation.url, "title": citation.title}
    elif kind == "search_result_location":
        shown |= {"source": citation.url, "title": citation.title}
    else:
        shown["document_title"] = citation.title
    return shown
