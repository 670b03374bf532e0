"""Decodes a provider's compressed response. Some providers compress although the request does not accept it."""

from gateway.core.content_coding import BrokenCoding, ContentDecoder, UnknownCoding
from gateway.upstream.transport.errors import BodyBroken, NotHTTP

_MAX_STEP_BYTES = 2**20  # of decompressed data per step


class Decoder:
    """See `gateway.core.content_coding.ContentDecoder`; failures are those of the transport."""

    def __init__(self, encoding: str) -> None:
        """An unknown encoding fails with the first data: the status of the response counts first."""
        self._encoding = encoding
        self._decoder: ContentDecoder | None = None

    def feed(self, data: bytes) -> None:
        """Add compressed data. Raises NotHTTP for an unknown encoding."""
        if self._decoder is None:
            try:
                self._decoder = ContentDecoder(self._encoding, max_piece=_MAX_STEP_BYTES)
            except UnknownCoding as error:
                raise NotHTTP(str(error)) from error
        self._decoder.feed(data)

    def take(self) -> bytes:
        """Decompressed data of bounded size, b"" if it needs more input. Raises BodyBroken."""
        try:
            return b"" if self._decoder is None else self._decoder.take()
        except BrokenCoding as error:
            raise BodyBroken(str(error)) from error

    def finish(self) -> None:
        """Check the end of the body. Raises BodyBroken if it is incomplete."""
        try:
            if self._decoder is not None:
                self._decoder.finish()
        except BrokenCoding as error:
            raise BodyBroken(str(error)) from error
