"""Reads the id and the model that a provider reports from the beginning of its response, in any wire format.

All formats with JSON name them at the top of the first object, or one level below (`message`, `response`).
"""

from msgspec import DecodeError, Struct, ValidationError, json

_PREFIX = b"data:"


class _Names(Struct, frozen=True, gc=False):
    id: str | None = None
    model: str | None = None


class _First(Struct, frozen=True, gc=False):
    id: str | None = None
    model: str | None = None
    responseId: str | None = None  # noqa: N815  Google's name
    modelVersion: str | None = None  # noqa: N815  Google's name
    message: _Names | None = None
    response: _Names | None = None


_FIRST = json.Decoder(_First)


def read_identity(head: bytes) -> tuple[str | None, str | None]:
    """Id and model of the response that begins with these bytes; None for what they do not name (yet).

    `head` is a whole JSON body, or the beginning of a stream of events or of lines.
    """
    for text in (head, *head.splitlines()):
        data = text.removeprefix(_PREFIX).strip()
        if not data.startswith(b"{"):
            continue
        try:
            first = _FIRST.decode(data)
        except (DecodeError, ValidationError, UnicodeDecodeError):  # incomplete, or of another shape
            continue
        for one in (_Names(first.id or first.responseId, first.model or first.modelVersion),
                    first.message, first.response):  # fmt: skip
            if one is not None and (one.id or one.model):
                return one.id, one.model
    return None, None
