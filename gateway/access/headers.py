"""The interface of request headers for this package: a read-only, case-insensitive multidict."""

from collections.abc import Iterator, Sequence
from typing import Protocol


class Headers(Protocol):
    """Request headers. Names are case-insensitive. `multidict.CIMultiDictProxy` implements it."""

    def __iter__(self) -> Iterator[str]:
        """Every header name, in order of arrival."""
        ...

    def get(self, key: str, /) -> str | None:
        """The first value of a header."""
        ...

    def getall(self, key: str, default: Sequence[str], /) -> Sequence[str]:
        """All values of a header, in order of arrival."""
        ...


def joined(headers: Headers, name: str) -> str:
    """All values of a header as one list in order of arrival, empty without the header (RFC 9110 §5.3)."""
    return ", ".join(headers.getall(name, ()))
