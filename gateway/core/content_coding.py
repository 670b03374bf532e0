"""Decodes the content codings of HTTP (RFC 9110 §8.4): gzip, deflate, br, zstd. Output comes in bounded pieces."""

import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

_MAX_MEMBERS = 1000  # of one body; each costs time, however small it is
_ANY_HEADER = 47  # wbits of zlib: detect gzip or zlib
_NO_HEADER = -15  # wbits of zlib: raw deflate, which some senders call "deflate"
_ZSTD_WINDOW: dict[int, int] = {DecompressionParameter.window_log_max: 23}  # 8 MB (RFC 9659)


class UnknownCoding(ValueError):
    """The coding is none of `CODINGS`."""


class BrokenCoding(ValueError):
    """The body is not valid in its coding, or incomplete. The message is a sentence about "the body"."""


class _Member(Protocol):
    """One compressed stream; `eof` at its end, `unused` is what was fed after it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused(self) -> bytes: ...

    def feed(self, data: bytes) -> None: ...

    def take(self, limit: int) -> bytes: ...


class ContentDecoder:
    """Call `feed` with compressed data, then `take` until it returns nothing, and `finish` at the end.

    Feed pieces of at most some 100 KB: what `take` has not read yet is copied at each call.
    """

    def __init__(self, coding: str, *, max_piece: int) -> None:
        """`max_piece`: the most bytes that one `take` returns; for brotli up to 100 KB more. Raises UnknownCoding."""
        if coding not in CODINGS:
            raise UnknownCoding(f"the content coding '{coding[:40]}' is not supported")
        self._coding = coding
        self._max_piece = max_piece
        self._members = 0
        self._member: _Member | None = None

    def feed(self, data: bytes) -> None:
        """Add compressed data."""
        if not data:
            return
        if self._member is None:
            self._member = CODINGS[self._coding](data)
            self._members += 1
        self._member.feed(data)

    def take(self) -> bytes:
        """Decompressed data of bounded size, b"" if it needs more input. Raises BrokenCoding."""
        while (member := self._member) is not None:
            try:
                if piece := member.take(self._max_piece):
                    return piece
            except (zlib.error, brotli.error, ZstdError) as error:
                raise BrokenCoding(f"the body is not valid {self._coding}: {error}") from error
            if not (member.eof and (unused := member.unused)):
                return b""
            if self._coding == "br":
                raise BrokenCoding("the body is not valid br: data follows its end")
            if self._members == _MAX_MEMBERS:
                raise BrokenCoding("the compressed body has too many members")
            self._member = None  # another member (RFC 1952 §2.2, RFC 8878 §3.1)
            self.feed(unused)
        return b""

    def finish(self) -> None:
        """Check the end of the body; an empty one is complete. Raises BrokenCoding."""
        if self._member is not None and not self._member.eof:
            raise BrokenCoding("the compressed body is incomplete")


class StackedDecoder:
    """Several codings that were applied one after another (RFC 9110 §8.4); used as a ContentDecoder is.

    The output of each stage is bounded as the body is: a coding of a coding can grow a thousand times twice.
    """

    def __init__(self, codings: Sequence[str], *, max_piece: int, limit: int) -> None:
        """`codings` in the order in which they were applied; `limit`: the most bytes between two of them.

        Raises UnknownCoding.
        """
        self._stages = [ContentDecoder(coding, max_piece=max_piece) for coding in reversed(codings)]
        self._left = [limit] * len(self._stages)

    def feed(self, data: bytes) -> None:
        """See ContentDecoder."""
        self._stages[0].feed(data)

    def take(self) -> bytes:
        """See ContentDecoder. Raises BrokenCoding also if the output of an inner stage exceeds the limit."""
        stages = self._stages
        number = len(stages) - 1
        while True:
            piece = stages[number].take()
            if number == len(stages) - 1:
                if piece or number == 0:
                    return piece
                number -= 1
            elif piece:
                self._left[number] -= len(piece)
                if self._left[number] < 0:
                    raise BrokenCoding("the body is too large between its codings")
                number += 1
                stages[number].feed(piece)
            elif number == 0:
                return b""
            else:
                number -= 1

    def finish(self) -> None:
        """See ContentDecoder."""
        for stage in self._stages:
            stage.finish()


class _Zlib:
    """A member of gzip or deflate."""

    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self._input = b""

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused(self) -> bytes:
        return self._input

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self, limit: int) -> bytes:
        inflate = self._inflate
        if inflate.eof:
            return b""
        piece = inflate.decompress(self._input, limit)
        self._input = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        return piece


class _Brotli:
    """A stream of brotli (RFC 7932)."""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self._input = b""

    @property
    def eof(self) -> bool:
        return bool(self._decoder.is_finished())

    @property
    def unused(self) -> bytes:
        return self._input

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self, limit: int) -> bytes:
        decoder = self._decoder
        if decoder.is_finished():
            return b""
        data = b""
        if decoder.can_accept_more_data():
            data, self._input = self._input, b""
        return bytes(decoder.process(data, output_buffer_limit=limit))


class _Zstd:
    """A frame of Zstandard (RFC 8878)."""

    def __init__(self) -> None:
        self._decoder = ZstdDecompressor(options=_ZSTD_WINDOW)
        self._input = b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused(self) -> bytes:
        return self._decoder.unused_data + self._input

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self, limit: int) -> bytes:
        decoder = self._decoder
        if decoder.eof:
            return b""
        data = b""
        if decoder.needs_input:
            data, self._input = self._input, b""
            if not data:
                return b""
        return decoder.decompress(data, limit)


def _deflate(start: bytes) -> _Zlib:
    return _Zlib(_ANY_HEADER if start[0] & 0xF == zlib.DEFLATED else _NO_HEADER)


CODINGS: Mapping[str, Callable[[bytes], _Member]] = {
    "gzip": lambda _: _Zlib(_ANY_HEADER),
    "x-gzip": lambda _: _Zlib(_ANY_HEADER),
    "deflate": _deflate,
    "br": lambda _: _Brotli(),
    "zstd": lambda _: _Zstd(),
}
"""The supported codings, in lower case → a member that begins with these bytes."""
