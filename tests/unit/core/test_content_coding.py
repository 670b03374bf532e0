import gzip
import sys
import zlib

import brotli
import pytest

from gateway.core.content_coding import BrokenCoding, ContentDecoder, UnknownCoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"a lobster " * 1000
STEP = 32 * 1024  # the smallest buffer of brotli
COMPRESS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
CODINGS = pytest.mark.parametrize("coding", COMPRESS)


def decoded(coding, body, size=64 * 1024):
    decoder, pieces = ContentDecoder(coding, max_piece=STEP), []
    for at in range(0, len(body), size):
        decoder.feed(body[at : at + size])
        while piece := decoder.take():
            pieces.append(piece)
    decoder.finish()
    return pieces


@CODINGS
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_is_decoded_however_it_is_cut_into_pieces(coding, size):
    assert b"".join(decoded(coding, COMPRESS[coding](TEXT), size)) == TEXT


@CODINGS
def test_a_bomb_comes_in_bounded_pieces(coding):
    pieces = decoded(coding, COMPRESS[coding](bytes(2**22)))
    assert sum(map(len, pieces)) == 2**22
    assert max(map(len, pieces)) <= 4 * STEP


@CODINGS
@pytest.mark.parametrize("body", [b"plain text", b"{}", b"\x1f\x8b\x28\xb5nonsense"])
def test_a_foreign_body_is_broken(coding, body):
    with pytest.raises(BrokenCoding, match="body"):
        decoded(coding, body)


@CODINGS
def test_a_cut_body_is_incomplete(coding):
    with pytest.raises(BrokenCoding, match="incomplete"):
        decoded(coding, COMPRESS[coding](TEXT)[:-3])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_follow_each_other_but_not_without_end(coding):
    empty = COMPRESS[coding](b"")
    assert b"".join(decoded(coding, COMPRESS[coding](b"one ") + empty * 10 + COMPRESS[coding](b"two"))) == b"one two"
    with pytest.raises(BrokenCoding, match="members"):
        decoded(coding, empty * 5000)


@CODINGS
def test_what_follows_the_end_is_not_ignored(coding):
    with pytest.raises(BrokenCoding):
        decoded(coding, COMPRESS[coding](TEXT) + b"more of it")


def test_zstd_may_not_ask_for_a_large_window():
    large = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    with pytest.raises(BrokenCoding):
        decoded("zstd", large.compress(bytes(2**16)) + large.flush())


def test_an_empty_body_is_complete_in_every_coding():
    assert [decoded(coding, b"") for coding in COMPRESS] == [[]] * len(COMPRESS)


@pytest.mark.parametrize("coding", ["lzma", "gzip, gzip", "GZIP", ""])
def test_another_coding_is_unknown(coding):
    with pytest.raises(UnknownCoding):
        ContentDecoder(coding, max_piece=STEP)
