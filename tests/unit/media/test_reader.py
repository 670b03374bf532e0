import asyncio
import base64
import os
import sys
import time
import zlib
from encodings.aliases import aliases

import pytest

from gateway.media.document import Document, PdfLimits, ReadTask, Unreadable
from gateway.media.encoding import decode_known
from gateway.media.reader import DocumentReader
from tests.pdf import make_pdf

NOT_WRITTEN_IN = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
NOT_WRITTEN_IN |= {"utf_7", "mbcs", "oem"}
LIMITS = PdfLimits(max_pages=2, max_pixels=10_000, min_text_chars=5)


def task(mime, max_chars=1000, charset=None, pdf=LIMITS):
    return ReadTask(mime, charset, max_chars, pdf)


def patient():
    """On a busy machine the limit that counts is the reading process's own, of CPU time."""
    return DocumentReader(timeout=100.0)


async def read(mime, data, **more):
    return await patient().read(task(mime, **more), data)


async def unreadable(mime, data, reader=None):
    with pytest.raises(Unreadable) as caught:
        await (reader or patient()).read(task(mime), data)
    return str(caught.value)


async def test_text_of_the_first_pages_is_read():
    document = await read("application/pdf", make_pdf("Page one", "Page two\nmore", "Page three"))
    assert document == Document("Page one\n\nPage two\nmore")


async def test_text_is_cut_at_the_limit_and_the_omitted_characters_are_counted():
    assert await read("application/pdf", make_pdf("Page one", "Page two"), max_chars=8) == Document("Page one", 10)
    assert await read("text/html", b"<p>abcdef", max_chars=4) == Document("abcd", 2)


async def test_pages_are_drawn_within_the_number_of_pixels():
    document = await read("application/pdf", make_pdf("a", "b", "c"))
    assert len(document.pages) == 2
    for page in map(base64.b64decode, document.pages):
        assert page[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = int.from_bytes(page[16:20]), int.from_bytes(page[20:24])
        assert 9_000 <= width * height <= 10_200
        length = int.from_bytes(page[33:37])
        rows = zlib.decompress(page[41 : 41 + length])
        assert len(rows) == height * (1 + 3 * width)
        assert zlib.crc32(page[37 : 41 + length]) == int.from_bytes(page[41 + length : 45 + length])
        assert set(rows) > {0, 255}, "something dark stands on the white page"


@pytest.mark.parametrize("box", ["0 0 1 1", "0 0 100000 100000", "0 0 0.001 5000", "0 0 -5 -5"])
async def test_pages_of_any_size_are_drawn_or_refused(box):
    try:
        document = await read("application/pdf", make_pdf("", box=box))
    except Unreadable:
        return
    assert all(len(page) < 1_000_000 for page in document.pages)


@pytest.mark.parametrize("data", [b"", b"%PDF-", b"%PDF-1.7\n" + b"\0" * 999, b"no pdf at all", bytes(range(256)) * 40])
async def test_what_is_no_pdf_is_refused(data):
    assert await unreadable("application/pdf", data) == "it is not a valid PDF"


async def test_a_pdf_cut_anywhere_is_read_or_refused():
    whole = make_pdf("Hello world")
    for end in range(40, len(whole), 97):
        try:
            assert isinstance(await read("application/pdf", whole[:end]), Document)
        except Unreadable:
            continue


async def test_a_memory_bomb_ends_the_reading_process_only():
    squeezer = zlib.compressobj(1)
    bomb = squeezer.compress(b"BT /F1 10 Tf ")
    for _ in range(16):  # 1 GB of spaces in 5 MB
        bomb += squeezer.compress(b" " * 2**26)
    bomb += squeezer.flush()
    why = await unreadable("application/pdf", make_pdf("x", stream=bomb))
    assert "memory" in why or "not a valid PDF" in why


async def test_reading_a_document_times_out():
    reader = DocumentReader((sys.executable, "-c", "while True: pass"), timeout=0.3)
    assert await unreadable("text/html", b"x" * 100, reader) == "it takes too long to read"


@pytest.mark.parametrize("program", ["import os; os.abort()", "raise SystemExit(3)", "print('{', end='')", "pass"])
async def test_a_process_that_fails_in_any_way_is_an_unreadable_document(program):
    reader = DocumentReader((sys.executable, "-c", program))
    assert (await unreadable("text/html", b"x" * 5_000_000, reader)).startswith("it ")


async def test_a_cancelled_read_ends_the_process(tmp_path):
    alive = tmp_path / "alive"
    program = f"import os, time; open({str(alive)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    reader = DocumentReader((sys.executable, "-c", program))
    reading = asyncio.create_task(reader.read(task("text/html"), b"x"))
    async with asyncio.timeout(20):
        while not (alive.exists() and alive.read_text()):
            await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(ProcessLookupError):
        os.kill(int(alive.read_text()), 0)


async def test_only_a_few_documents_are_read_concurrently(tmp_path):
    program = (
        "import os, sys, time; sys.stdin.buffer.read(); "
        f"mine = os.path.join({str(tmp_path)!r}, str(os.getpid())); open(mine, 'w').close(); "
        f"n = len(os.listdir({str(tmp_path)!r})); time.sleep(0.2); os.remove(mine); "
        """print('{"text":"%d","omitted":0,"pages":[]}' % n)"""
    )
    reader = DocumentReader((sys.executable, "-c", program))
    documents = await asyncio.gather(*(reader.read(task("text/html"), b"", caller="a") for _ in range(6)))
    assert {document.text for document in documents} <= {"1", "2"}


async def test_a_caller_whose_documents_take_long_does_not_delay_another(tmp_path):
    program = (
        f"import os, sys, time; wait = b'slow' in sys.stdin.buffer.read()\n"
        f"while wait and not os.path.exists({str(tmp_path / 'over')!r}): time.sleep(0.01)\n"
        """print('{"text":"read","omitted":0,"pages":[]}')"""
    )
    reader = DocumentReader((sys.executable, "-c", program))
    slow = [asyncio.create_task(reader.read(task("text/html"), b"slow", caller="a")) for _ in range(10)]
    assert (await reader.read(task("text/html"), b"", caller="b")).text == "read"
    assert not any(reading.done() for reading in slow)
    (tmp_path / "over").touch()
    assert [document.text for document in await asyncio.gather(*slow)] == ["read"] * 10


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Hello <b>big</b> world</p><p>Bye</p>", "Hello big world\n\nBye"),
        ("<title>T</title><style>p{}</style><script>alert(1)</script>x", "T\n\nx"),
        ("<html><head><title>T</title><meta x></head><body>b", "T\n\nb"),
        ("<head><style>a</style><body>b", "b"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<table><tr><td>1<td>2<tr><th>3</table>", "1 2\n\n3"),
        ("<ul><li>a<li>b</ul>", "a\n\nb"),
        ("&lt;b&gt; &amp; &nbsp;&eacute; &#x20AC;", "<b> & \u00e9 \u20ac"),
        ("<pre>a\n  b</pre>", "a\nb"),
        ("<img src=x alt='a cat'>", "a cat"),
        ("<svg/><p>x", "x"),
        ("<!-- no --><![CDATA[x]]>y", "y"),
        ("", ""),
        ("<", "<"),
        ("<div><div><p>a</p></div>b</div>c", "a\n\nb\nc"),
    ],
)
async def test_a_page_is_read_as_a_reader_sees_it(page, text):
    assert (await read("text/html", page.encode())).text == text


async def test_a_page_may_name_its_encoding_itself():
    page = '<meta charset="windows-1251"><p>\u041f\u0440\u0438\u0432\u0435\u0442'.encode("cp1251")
    assert (await read("text/html", page)).text == "\u041f\u0440\u0438\u0432\u0435\u0442"


async def test_a_declared_encoding_counts_more_than_a_guess_and_a_wrong_one_does_not_hurt():
    greek = "\u03b1\u03b2\u03b3".encode("iso-8859-7")
    assert (await read("text/plain", greek, charset="iso-8859-7")).text == "\u03b1\u03b2\u03b3"
    for wrong in ("no-such", "zip", "base64", "hex", "ascii", "idna", "utf-7", "unicode_escape", "undefined"):
        assert (await read("text/plain", b"plain text", charset=wrong)).text == "plain text"


def test_no_declared_encoding_takes_time_by_the_square():
    started = time.process_time()
    data = b"-" + b"ab" * 200_000
    assert decode_known(data, "punycode") == data.decode()
    assert time.process_time() - started < 1


@pytest.mark.parametrize("name", sorted(set(aliases.values()) - NOT_WRITTEN_IN))
def test_every_encoding_that_files_are_written_in_is_understood(name):
    text = "plain text"
    assert decode_known(text.encode(name), name) == text


async def test_bytes_that_are_no_text_are_refused():
    data = bytes(range(256)) * 4
    assert await unreadable("text/plain", data) == "its content is not text/plain"


async def test_hostile_markup_is_read_within_bounds():
    for page in (b"<a " * 100_000, b"<div>" * 20_000, b"<!--" * 200_000, b"&" * 1_000_000, b"<![CDATA[" * 100_000):
        assert await read("text/html", page)


async def test_the_reading_process_does_not_inherit_secrets(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", "secret")
    program = """import os, json, sys; sys.stdin.buffer.read()
print(json.dumps({"text": " ".join(sorted(os.environ)), "omitted": 0, "pages": []}))"""
    document = await DocumentReader((sys.executable, "-c", program)).read(task("text/html"), b"")
    assert "PATH" in document.text
    assert "OPEN" not in document.text
