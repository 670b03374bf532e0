"""Decodes the sources of an answer: `citationMetadata`, and the grounding of Google's search.

Google counts in bytes of UTF-8, the gateway in characters.
"""

from collections.abc import Iterator
from typing import Any

from gateway.core.message import Citation


def read_citations(citation_metadata: Any, grounding_metadata: Any, text: str) -> list[Citation]:
    """The sources in order, each once; `text` is the whole answer."""
    encoded = text.encode("utf-8", "surrogatepass")
    found: dict[tuple[object, ...], Citation] = {}
    for source in (*_cited(_object(citation_metadata), encoded), *_grounded(_object(grounding_metadata), encoded)):
        found.setdefault((source.url, source.start, source.end), source)
    return list(found.values())


def _cited(metadata: dict[str, Any], text: bytes) -> Iterator[Citation]:
    for source in _objects(metadata.get("citationSources") or metadata.get("citations")):
        if isinstance(uri := source.get("uri"), str) and uri:
            yield Citation(uri, _string(source.get("title")), *_span(source, text))


def _grounded(metadata: dict[str, Any], text: bytes) -> Iterator[Citation]:
    raw_chunks = metadata.get("groundingChunks")
    chunks = [_source(chunk) for chunk in raw_chunks] if isinstance(raw_chunks, list) else []
    supports = _objects(metadata.get("groundingSupports"))
    for support in supports:
        span = _span(_object(support.get("segment")), text)
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if type(index) is int and 0 <= index < len(chunks) and (source := chunks[index]) is not None:
                yield Citation(*source, *span)
    if not supports:
        yield from (Citation(*source) for source in chunks if source is not None)


def _source(chunk: Any) -> tuple[str, str | None] | None:
    for kind in ("web", "retrievedContext", "maps"):
        source = _object(_object(chunk).get(kind))
        if isinstance(uri := source.get("uri"), str) and uri:
            return uri, _string(source.get("title"))
    return None


def _span(segment: dict[str, Any], text: bytes) -> tuple[int | None, int | None]:
    """The character offsets of a segment; a start of 0 is left out by Google."""
    start, end = segment.get("startIndex", 0), segment.get("endIndex")
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        return None, None
    return _characters(text[:start]), _characters(text[:end])


def _characters(piece: bytes) -> int:
    return len(piece.decode("utf-8", "ignore"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
