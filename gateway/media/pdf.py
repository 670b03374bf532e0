"""A PDF → its text, or its pages as images if it has hardly any text. Runs in the reading process only."""

import base64
import struct
import zlib
from contextlib import closing

import pypdfium2

from gateway.media.document import Document, PdfLimits, Unreadable

_POINT = 1 / 72  # inches
_SCALE = 150 * _POINT  # small print is readable at 150 dpi


def read_pdf(data: bytes, limits: PdfLimits) -> Document:
    """The text of the first pages, or those pages as images. Raises Unreadable."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        protected = "password" in str(error).lower()
        raise Unreadable("it is protected by a password" if protected else "it is not a valid PDF") from None
    with closing(document) as pdf:
        count = min(len(pdf), limits.max_pages)
        text = "\n\n".join(_text(pdf, number) for number in range(count)).strip()
        if len(text) >= limits.min_text_chars:
            return Document(text)
        return Document(text, pages=tuple(_picture(pdf, number, limits.max_pixels) for number in range(count)))


def _text(pdf: pypdfium2.PdfDocument, number: int) -> str:
    try:
        with closing(pdf[number]) as page, closing(page.get_textpage()) as text:
            raw: str = text.get_text_range()
    except pypdfium2.PdfiumError:
        return ""  # other pages may be readable
    return raw.replace("\r\n", "\n").replace("\0", "").strip()


def _picture(pdf: pypdfium2.PdfDocument, number: int, max_pixels: int) -> str:
    try:
        with closing(pdf[number]) as page:
            width, height = page.get_size()
            scale = min(_SCALE, (max_pixels / max(1.0, width * height)) ** 0.5)
            with closing(page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)) as bitmap:
                return base64.b64encode(_png(bitmap)).decode()
    except pypdfium2.PdfiumError:
        raise Unreadable(f"its page {number + 1} can't be drawn") from None


def _png(bitmap: pypdfium2.PdfBitmap) -> bytes:
    """A PNG (https://www.w3.org/TR/png-3/): a header, one compressed run of unfiltered rows, an end."""
    row = bitmap.width * bitmap.n_channels
    pixels = memoryview(bitmap.buffer)
    rows = b"".join(b"\0" + bytes(pixels[line * bitmap.stride :][:row]) for line in range(bitmap.height))
    colours = {1: 0, 3: 2, 4: 6}[bitmap.n_channels]
    header = struct.pack(">IIBBBBB", bitmap.width, bitmap.height, 8, colours, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
