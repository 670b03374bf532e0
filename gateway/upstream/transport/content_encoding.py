"""Decodes gzip and deflate (RFC 9110 §8.4). Some providers send them although the request does not accept them."""

import zlib

from gateway.upstream.transport.errors import BodyBroken, NotHTTP

_MAX_STEP_BYTES = 2**20  # of decompressed data per step
_MAX_MEMBERS = 1000  # each costs time, however small it is
_ANY_HEADER = 47  # wbits of zlib: detect gzip or zlib
_NO_HEADER = -15  # wbits of zlib: raw deflate, which some servers send as "deflate"


class Decoder:
    """Call `feed` with compressed data, then `take` until it returns nothing, and `finish` at the end."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._started = False
        self._input = b""
        self._members = 1
        self._inflate = zlib.decompressobj(_ANY_HEADER)

    def feed(self, data: bytes) -> None:
        """Add compressed data. Raises NotHTTP for an unknown encoding."""
        if not self._started and data:
            if self._encoding not in ("gzip", "x-gzip", "deflate"):
                raise NotHTTP(f"the content encoding '{self._encoding[:40]}' is not supported")
            self._started = True
            if self._encoding == "deflate" and data[0] & 0xF != zlib.DEFLATED:
                self._inflate = zlib.decompressobj(_NO_HEADER)
        self._input += data

    def take(self) -> bytes:
        """Decompressed data of bounded size, b"" if it needs more input. Raises BodyBroken."""
        while self._input:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(_ANY_HEADER)  # another member (RFC 1952 §2.2)
                self._members += 1
                if self._members > _MAX_MEMBERS:
                    raise BodyBroken("the compressed body has too many members")
            try:
                piece = self._inflate.decompress(self._input, _MAX_STEP_BYTES)
            except zlib.error as error:
                raise BodyBroken(f"the body is not valid {self._encoding}: {error}") from error
            self._input = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                return piece
        return b""

    def finish(self) -> None:
        """Check the end of the body. Raises BodyBroken if it is incomplete."""
        if self._started and not self._inflate.eof:
            raise BodyBroken("the compressed body is incomplete")
