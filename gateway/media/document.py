"""The task of the reading process, and its result.

Both pass through pipes as JSON. A task is one line, and the document's bytes follow it.
"""

from dataclasses import asdict, dataclass

from gateway.core.jsonio import InvalidJSON, dumps, loads


@dataclass(frozen=True, slots=True)
class PdfLimits:
    """Maximum of pages, maximum of pixels per rendered page, and the characters below which a PDF counts as scanned."""

    max_pages: int = 4
    max_pixels: int = 4_000_000
    min_text_chars: int = 200


@dataclass(frozen=True, slots=True)
class ReadTask:
    """How to read a document: its kind, its declared encoding or None, and the maximum of characters."""

    mime: str
    charset: str | None
    max_chars: int
    pdf: PdfLimits

    def to_line(self) -> bytes:
        """One line of JSON."""
        return dumps(asdict(self)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "ReadTask":
        """Parse a line of `to_line`. Raises InvalidJSON, TypeError or KeyError for any other line."""
        fields = loads(line)
        return cls(**{**fields, "pdf": PdfLimits(**fields["pdf"])})


@dataclass(frozen=True, slots=True)
class Document:
    """A document's content: its text, the number of omitted characters, and its rendered pages if it has little text.
    Pages are PNG in base64, as providers take them. The gateway does not decode them.
    """

    text: str
    omitted: int = 0
    pages: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """JSON for `from_json`."""
        return dumps({"text": self.text, "omitted": self.omitted, "pages": self.pages})

    @classmethod
    def from_json(cls, data: bytes) -> "Document":
        """Parse the JSON of `to_json`. Raises Unreadable for a failure, and for any other data."""
        try:
            fields = loads(data)
            if reason := fields.get("unreadable"):
                raise Unreadable(reason)
            return cls(fields["text"], fields["omitted"], tuple(fields["pages"]))
        except (InvalidJSON, AttributeError, KeyError, TypeError):
            raise Unreadable("it could not be read") from None


class Unreadable(Exception):
    """The document can't be read. The message is the reason, as a part of a sentence for the client."""

    def to_json(self) -> bytes:
        """JSON for `Document.from_json`."""
        return dumps({"unreadable": str(self)})
