import gzip
import sys
import zlib

import brotli
import pytest

from gateway.upstream.transport.content_encoding import Decoder
from gateway.upstream.transport.errors import BodyBroken, NotHTTP

if sys.version_info >= (3, 14):
    from compression.zstd import compress
else:
    from backports.zstd import compress

TEXT = b"a lobster " * 1000


def raw(data):
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


def decoded(decoder, pieces):
    text = b""
    for piece in pieces:
        decoder.feed(piece)
        while part := decoder.take():
            text += part
    decoder.finish()
    return text


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT, mtime=0)),
        ("gzip", gzip.compress(TEXT[:500], mtime=0) + gzip.compress(TEXT[500:], mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw(TEXT)),
        ("br", brotli.compress(TEXT)),
        ("zstd", compress(TEXT)),
        ("zstd", compress(TEXT[:500]) + compress(TEXT[500:])),
    ],
)
def test_a_compressed_body_is_read_however_it_is_cut_into_pieces(encoding, body, size):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert decoded(Decoder(encoding), pieces) == TEXT


def test_an_empty_body_needs_no_compression():
    assert decoded(Decoder("gzip"), []) == b""


@pytest.mark.parametrize(
    "body", [gzip.compress(TEXT, mtime=0)[:-20], gzip.compress(TEXT, mtime=0)[:5], b"plain text", b"\x1f\x8bnonsense"]
)
def test_a_cut_or_foreign_body_is_broken(body):
    with pytest.raises(BodyBroken):
        decoded(Decoder("gzip"), [body])


@pytest.mark.parametrize("encoding", ["lzma", "gzip, gzip", "x" * 1000])
def test_another_encoding_is_named(encoding):
    with pytest.raises(NotHTTP, match=encoding[:40]):
        decoded(Decoder(encoding), [b"x"])


def test_a_bomb_swells_a_bounded_step_at_a_time():
    decoder = Decoder("gzip")
    decoder.feed(gzip.compress(bytes(2**26)))
    assert 0 < len(decoder.take()) <= 2**20
    assert 0 < len(decoder.take()) <= 2**20


def test_a_body_of_very_many_members_is_refused():
    decoder = Decoder("gzip")
    decoder.feed(gzip.compress(b"") * 5_000)
    with pytest.raises(BodyBroken, match="members"):
        decoder.take()
