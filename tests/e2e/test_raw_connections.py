import asyncio
import json

import pytest

from tests.e2e.answers import DONE, SEEN, chunk, does, hangs, says, streams
from tests.e2e.raw import AUTH, exchange, head, status

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()


@pytest.mark.parametrize(
    ("path", "limit"), [(CHAT, 20 * 2**20), ("/v1/responses", 20 * 2**20), ("/v1/embeddings", 5 * 2**20)]
)
async def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read(gateway, path, limit):
    answer = await exchange(gateway, head(f"POST {path} HTTP/1.1", AUTH.strip(), f"Content-Length: {limit + 1}"))
    assert status(answer) == 413
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == "Payload too large"


async def test_an_undeclared_length_over_the_limit_is_refused_and_the_connection_ends(gateway):
    start = f"POST /v1/embeddings HTTP/1.1\r\nHost: gateway\r\n{AUTH}Transfer-Encoding: chunked\r\n\r\n".encode()
    piece = b"80000\r\n" + b" " * 0x80000 + b"\r\n"
    answer = await exchange(gateway, start, *[piece] * 10, b"1\r\n \r\n")  # and no end
    assert status(answer) == 413
    assert b"Connection: close" in answer


async def test_a_body_without_a_credential_is_not_read(gateway):
    answer = await exchange(gateway, head(f"POST {CHAT} HTTP/1.1", f"Content-Length: {2**30}"))
    assert status(answer) == 401


async def half_closed(gateway, sent):
    """Send a request and shut down the sending side at once, as `nc -N` does. Returns all that the gateway sends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        async with asyncio.timeout(30):
            writer.write(sent)
            writer.write_eof()
            return await reader.read()
    finally:
        writer.close()


def chat(model, version="1.1", **fields):
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}]} | fields).encode()
    chosen = f"x-openclaw-model: {model.chosen['x-openclaw-model']}"
    lines = [f"POST {CHAT} HTTP/{version}", "Host: localhost", AUTH.strip(), chosen, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_shuts_down_its_sending_side_gets_its_answer(gateway, provider, stream):
    answer = await half_closed(gateway, chat(provider.model(says("Hello")), stream=stream))
    while answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
        answer = answer.partition(b"\r\n\r\n")[2]
    assert status(answer) == 200
    assert b"Hello" in answer
    if stream:
        assert b"data: [DONE]" in answer


@pytest.mark.parametrize("delay", [0, 0.05])
async def test_a_client_that_closes_its_connection_is_gone_though_it_looks_half_closed(gateway, provider, delay):
    model = provider.model(does(hangs))
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(chat(model))
    async with asyncio.timeout(10):
        await model.arrived.wait()
        writer.write_eof()
        await asyncio.sleep(delay)
        assert not model.abandoned.is_set(), "it still reads"
        writer.close()
        await model.abandoned.wait()


def slow_stream(model_says="Hello"):
    """A stream that pauses after its first piece, until the test sets `seen`."""
    return streams(chunk({"content": model_says}), SEEN, chunk({"content": " world"}), chunk({}, "stop"), DONE)


async def test_a_client_that_shuts_down_its_sending_side_during_a_stream_gets_the_whole_stream(gateway, provider):
    model = provider.model(slow_stream())
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    async with asyncio.timeout(10):
        writer.write(chat(model, stream=True))
        start = await reader.readuntil(b"Hello")
        writer.write_eof()
        probes = await reader.readuntil(b": ping\n\n")
        assert not model.abandoned.is_set()
        model.seen.set()
        end = await reader.read()
        writer.close()
    events = b"".join(piece for piece in (start + probes + end).partition(b"\r\n\r\n")[2].split(b"\r\n")[1::2])
    assert b" world" in events
    assert events.endswith(b"data: [DONE]\n\n")
    assert all(event.startswith((b"data: {", b": ping", b"data: [DONE]")) for event in events.split(b"\n\n") if event)


@pytest.mark.parametrize("delay", [0, 0.05])
async def test_a_client_that_closes_its_connection_during_a_stream_is_gone(gateway, provider, delay):
    model = provider.model(streams(chunk({"content": "Hello"}), then=hangs))
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(chat(model, stream=True))
    async with asyncio.timeout(10):
        await reader.readuntil(b"Hello")
        writer.write_eof()
        await asyncio.sleep(delay)
        assert not model.abandoned.is_set(), "it still reads"
        writer.close()
        await model.abandoned.wait()


async def test_requests_sent_at_once_before_a_half_close_are_all_answered(gateway, provider):
    models = [provider.model(says(text)) for text in ("first", "second", "third")]
    answer = await half_closed(gateway, b"".join(chat(model, stream=model is models[1]) for model in models))
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"first") < answer.index(b"second") < answer.index(b"third")


async def test_a_client_that_closes_behind_requests_sent_at_once_is_gone_at_the_first(gateway, provider):
    hanging, next_one = provider.model(does(hangs)), provider.model(says("second"))
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    async with asyncio.timeout(10):
        writer.write(chat(hanging) + chat(next_one))
        await hanging.arrived.wait()
        writer.close()
        await hanging.abandoned.wait()
    assert not next_one.asked


async def test_a_half_closed_client_of_http_1_0_counts_as_gone(gateway, provider):
    model = provider.model(does(hangs))
    assert await half_closed(gateway, chat(model, "1.0")) == b""


async def test_an_incomplete_request_ends_with_its_connection(gateway, provider):
    sent = chat(provider.model(says("Hello")))
    for length in (len(sent) - 1, 40):
        assert await half_closed(gateway, sent[:length]) == b""


SMALL = [f"X-{number}: {'x' * 22}" for number in range(500)]  # 32 bytes or less each


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["X-Long: " + "x" * 17_000], 431),
        (["X-Long: " + "x" * 15_000], 404),
        (["X-Long: " + "x" * 8_000, "X-Longer: " + "x" * 8_500], 431),
        (["X-Long: " + "x" * 8_000, "X-Longer: " + "x" * 7_500], 404),
        (SMALL, 404),
        (SMALL * 2, 431),
        ([f"x{number}:" for number in range(1500)], 404),
        ([f"x{number}:" for number in range(2500)], 431),
    ],
    ids=range(8),
)
async def test_an_oversized_head_is_a_431(gateway, headers, expected):
    answer = await exchange(gateway, head("GET /nowhere HTTP/1.1", *headers), to_the_end=True)
    assert status(answer) == expected


async def test_an_oversized_request_line_is_a_431(gateway):
    assert status(await exchange(gateway, head(f"GET /{'x' * 17_000} HTTP/1.1"))) == 431


async def test_a_head_is_refused_as_soon_as_it_is_too_long_and_not_before(gateway):
    start = b"GET /nowhere HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"
    line = b"X-More: " + b"x" * 1014 + b"\r\n"  # 1 KiB
    assert status(await exchange(gateway, start, *[line] * 15, b"\r\n", to_the_end=True)) == 404
    assert status(await exchange(gateway, start, *[line] * 16, to_the_end=True)) == 431  # and no end


async def test_bodies_and_earlier_requests_are_no_part_of_a_head(gateway):
    """Three requests on one connection, each piece small, all together far over the limit for one head."""
    long = f"X-Long: {'x' * 9_000}\r\n"
    body = b'{"model":7,"x":"' + b"y" * 200_000 + b'"}'
    post = f"POST {CHAT} HTTP/1.1\r\nHost: gateway\r\n{AUTH}{long}Content-Length: {len(body)}\r\n\r\n".encode()
    halves = [body[:70_000], body[70_000:]]
    last = head("GET /v1/models HTTP/1.1", AUTH.strip(), long.strip())
    pieces = [post[:5000], post[5000:], *halves, post, body[:190_000], body[190_000:] + last[:4000], last[4000:]]
    answer = await exchange(gateway, *pieces, to_the_end=True)
    assert [part.split(b" ", 1)[0] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"400", b"400", b"200"]


async def test_a_request_without_host_is_a_400(gateway):
    answer = await exchange(gateway, f"GET /v1/models HTTP/1.1\r\n{AUTH}Connection: close\r\n\r\n".encode())
    assert status(answer) == 400


async def test_http_1_0_needs_no_host(gateway):
    assert status(await exchange(gateway, f"GET /v1/models HTTP/1.0\r\n{AUTH}\r\n".encode())) == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /v1/models HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
    ids=["tls", "words", "version", "colon", "length", "smuggling", "two hosts"],
)
async def test_garbage_is_a_bare_400_and_the_connection_ends(gateway, sent):
    answer = await exchange(gateway, sent, to_the_end=True)
    first, _, body = answer.partition(b"\r\n\r\n")
    assert (status(first), body) == (400, b"")
    assert b"Python" not in first
    assert b"nosniff" in first


async def test_an_incomplete_body_is_a_400_or_no_response(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n{AUTH}Content-Length: 100\r\n\r\n{{".encode())
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer == b"" or status(answer) == 400


async def test_the_100_continue_comes_after_the_credential_check(gateway, provider):
    model = provider.model(says("Hello"))
    chosen = f"x-openclaw-model: {model.chosen['x-openclaw-model']}"
    headers = ["Expect: 100-continue", f"Content-Length: {len(BODY)}", chosen]
    refused = await exchange(gateway, head(f"POST {CHAT} HTTP/1.1", *headers))
    assert status(refused) == 401
    assert b"100 Continue" not in refused
    answer = await exchange(gateway, head(f"POST {CHAT} HTTP/1.1", AUTH.strip(), *headers), BODY)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("line", "more", "expected"),
    [
        ("POST /nowhere", (), 404),
        ("POST /v1/%63hat/completions", (AUTH.strip(),), 404),
        ("PUT /v1/chat/completions", (), 405),
        ("POST /healthz", (), 405),
        ("POST /healthz", ("X-Forwarded-For: 1.2.3.4",), 405),
        ("POST /nowhere", ("X-Forwarded-For: 1.2.3.4",), 403),
        ("PUT /v1/chat/completions", ("X-Forwarded-For: 1.2.3.4",), 403),
    ],
)
async def test_a_body_that_is_not_read_gets_no_100_continue(gateway, line, more, expected):
    headers = ["Expect: 100-continue", "Content-Length: 1000000", *more]
    answer = await exchange(gateway, head(f"{line} HTTP/1.1", *headers))
    assert answer.startswith(f"HTTP/1.1 {expected} ".encode())


async def test_a_too_large_body_is_refused_without_100_continue(gateway):
    headers = ["Expect: 100-continue", f"Content-Length: {2**30}"]
    assert status(await exchange(gateway, head(f"POST {CHAT} HTTP/1.1", AUTH.strip(), *headers))) == 413


async def test_an_http_1_0_client_gets_its_stream_without_chunks(gateway, provider):
    model = provider.model(says("Hel|lo"))
    body = BODY[:-1] + b',"stream":true}'
    chosen = f"x-openclaw-model: {model.chosen['x-openclaw-model']}"
    start = f"POST {CHAT} HTTP/1.0\r\n{AUTH}{chosen}\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = await exchange(gateway, start.encode() + body, to_the_end=True)
    first, _, events = answer.partition(b"\r\n\r\n")
    assert status(first) == 200
    assert b"chunked" not in first
    assert events.startswith(b"data: {")
    assert events.endswith(b"data: [DONE]\n\n")


async def test_an_absolute_uri_is_its_path(gateway):
    assert status(await exchange(gateway, head("GET http://gateway/v1/models HTTP/1.1", AUTH.strip()))) == 200


async def test_requests_sent_at_once_are_answered_in_order(gateway, provider):
    slow, quick = provider.model(says("first")), provider.model(says("second"))
    sent = b""
    for model, close in ((slow, ""), (quick, "Connection: close\r\n")):
        chosen = f"x-openclaw-model: {model.chosen['x-openclaw-model']}"
        start = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\n{AUTH}{chosen}\r\n{close}Content-Length: {len(BODY)}\r\n\r\n"
        sent += start.encode() + BODY
    answer = await exchange(gateway, sent, to_the_end=True)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b"first") < answer.index(b"second")


async def test_an_upgrade_to_something_else_is_not_followed(gateway):
    answer = await exchange(gateway, head("GET /v1/models HTTP/1.1", AUTH.strip(), "Upgrade: h2c"))
    assert status(answer) == 200


@pytest.mark.parametrize(
    "start",
    [
        "GET /v1/models",
        "GET /v1/models HTTP/1.1\r\nHost: a b",
        "GET /v1/models HTTP/1.1\r\nHost: user@host",
        "GET /v1/models HTTP/1.1\r\nHost: host/path",
        "GET /v1/models HTTP/1.1\r\nHost: host:port",
        "GET /v1/models HTTP/1.1\r\nHost: <script>",
        "POST /v1/embeddings HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked",
        "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked",
    ],
)
async def test_a_head_that_another_server_could_read_differently_is_a_400_and_ends_the_connection(gateway, start):
    body = b"0\r\n\r\n" if "Transfer" in start else b""
    answer = await exchange(gateway, f"{start}\r\n{AUTH}\r\n".encode(), body, to_the_end=True)
    assert status(answer) == 400
    assert b"connection: close" in answer.lower() or answer.startswith((b"HTTP/1.0", b"HTTP/0.9"))


@pytest.mark.parametrize("host", ["localhost", "a-b.example:80", "[::1]:18789", "10.0.0.1", "_srv.example", ""])
async def test_a_valid_host_is_accepted(gateway, host):
    start = f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{AUTH}\r\n"
    assert status(await exchange(gateway, start.encode(), to_the_end=True)) == 200


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/embeddings"])
async def test_an_integer_with_thousands_of_digits_is_a_400(gateway, path):
    body = b'{"model":"openclaw","messages":[{"role":"user","content":"q"}],"input":"q","seed":' + b"9" * 5_000 + b"}"
    answer = await exchange(
        gateway, head(f"POST {path} HTTP/1.1", AUTH.strip(), f"Content-Length: {len(body)}"), body, to_the_end=True
    )
    assert status(answer) in (200, 400, 502)
    assert b"internal error" not in answer
