"""A document on its way through the reading process: what is asked of it, and what it says.

Both travel over pipes as one line of JSON; a task is followed by the document's bytes.
"""

from dataclasses import asdict, dataclass

from gateway.core.jsonio import InvalidJSON, dumps, loads


@dataclass(frozen=True, slots=True)
class PdfLimits:
    """Pages that are read, pixels of a rendered page, and characters below which a PDF counts as scanned."""

    max_pages: int = 4
    max_pixels: int = 4_000_000
    min_text_chars: int = 200


@dataclass(frozen=True, slots=True)
class ReadTask:
    """How to read: by which kind, in which encoding if it was declared, and no more than `max_chars` of text."""

    mime: str
    charset: str | None
    max_chars: int
    pdf: PdfLimits

    def to_line(self) -> bytes:
        """One line of JSON."""
        return dumps(asdict(self)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "ReadTask":
        """Raises InvalidJSON, TypeError or KeyError for a line that `to_line` did not make."""
        fields = loads(line)
        return cls(**{**fields, "pdf": PdfLimits(**fields["pdf"])})


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says: its text, how many characters of it were left out, and pages when it holds none: PNG in
    base64, as they travel to the provider; the gateway itself never touches their bytes.
    """

    text: str
    omitted: int = 0
    pages: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """JSON for `from_json`."""
        return dumps({"text": self.text, "omitted": self.omitted, "pages": self.pages})

    @classmethod
    def from_json(cls, data: bytes) -> "Document":
        """Raises Unreadable with the reason that `failure_json` told, or for what neither made."""
        try:
            fields = loads(data)
            if reason := fields.get("unreadable"):
                raise Unreadable(reason)
            return cls(fields["text"], fields["omitted"], tuple(fields["pages"]))
        except (InvalidJSON, AttributeError, KeyError, TypeError):
            raise Unreadable("it could not be read") from None


class Unreadable(Exception):
    """The document can't be read; the message is the reason, as half a sentence for the caller."""

    def to_json(self) -> bytes:
        """JSON for `Document.from_json`."""
        return dumps({"unreadable": str(self)})
