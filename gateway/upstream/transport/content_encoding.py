"""Bodies that come compressed although nobody asked for it (RFC 9110 §8.4): gzip and deflate."""

import zlib

from gateway.upstream.transport.errors import BodyBroken, NotHTTP

_MOST_AT_ONCE = 2**20  # bytes that one step may swell to
_ANY_HEADER = 47  # gzip or zlib, whichever it is
_NO_HEADER = -15  # what some servers call deflate


class Decoder:
    """`feed` what came, then `take` until it gives nothing; `finish` at the end."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._begun = False
        self._waiting = b""
        self._inflate = zlib.decompressobj(_ANY_HEADER)

    def feed(self, data: bytes) -> None:
        """More of the compressed body. Raises NotHTTP for an encoding that we don't know."""
        if not self._begun and data:
            if self._encoding not in ("gzip", "x-gzip", "deflate"):
                raise NotHTTP(f"the content encoding '{self._encoding[:40]}' was not asked for")
            self._begun = True
            if self._encoding == "deflate" and data[0] & 0xF != zlib.DEFLATED:
                self._inflate = zlib.decompressobj(_NO_HEADER)
        self._waiting += data

    def take(self) -> bytes:
        """A piece of the body, of bounded size; nothing when more has to be fed. Raises BodyBroken."""
        while self._waiting:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(_ANY_HEADER)  # another member (RFC 1952 §2.2)
            try:
                piece = self._inflate.decompress(self._waiting, _MOST_AT_ONCE)
            except zlib.error as error:
                raise BodyBroken(f"the body is no {self._encoding}: {error}") from error
            self._waiting = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                return piece
        return b""

    def finish(self) -> None:
        """Nothing more comes. Raises BodyBroken for a body that is cut."""
        if self._begun and not self._inflate.eof:
            raise BodyBroken("the compressed body is cut")
