"""Providers behind a proxy, and with TLS settings of their own: real sockets, a real handshake."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.config.providers import ModelsConfig
from gateway.upstream.configured import provider_problems, providers_from
from gateway.upstream.http import Client
from gateway.upstream.provider import Provider
from gateway.upstream.transport.errors import CannotConnect, TlsFailed
from tests.certificates import Authority, Issued

TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def row(base_url: str, env: dict[str, str] | None = None, **request: Any) -> Provider:
    config = {"providers": {"p": {"baseUrl": base_url, "apiKey": "k", "request": request}}}
    return providers_from(ModelsConfig.model_validate(config), env or {})["p"]


async def answer(provider: Provider) -> int:
    client = Client(connect=5.0)
    try:
        response = await client.post(provider.endpoint("/chat"), b"{}")
        response.abandon()
        return response.status
    finally:
        await client.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on this machine, and its port. It waits for its connections to end."""
    jobs: set[asyncio.Task[None]] = set()

    async def job(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        jobs.add(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await serve(reader, writer)
        finally:
            await closed(writer)

    server = await asyncio.start_server(job, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*jobs)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


@asynccontextmanager
async def server(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers every request with an empty object, its port, and the heads that it received."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ANSWER)
        await reader.read()

    async with listening(serve, context) as port:
        yield port, heads


@asynccontextmanager
async def tunnelling(
    answered: bytes = TUNNEL, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A proxy for CONNECT, its port, and the heads that it received. Whatever is asked, it connects to this machine."""
    heads: list[bytes] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        await closed(writer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head := await reader.readuntil(b"\r\n\r\n"))
        writer.write(answered)
        if answered == TUNNEL:
            port = int(head.split(b" ")[1].rpartition(b":")[2])
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async with listening(serve, context) as port:
        yield port, heads


HOST = "model.internal"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def context_of(issued: Issued, clients: Authority | None = None) -> ssl.SSLContext:
    """The context of a server with this certificate; with `clients` it wants one that they signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.file)
    return context


def pem(file: Path) -> str:
    return file.read_text(encoding="utf-8")


async def test_a_plain_address_is_asked_of_the_proxy_with_its_login():
    async with server() as (port, heads):
        provider = row(
            "http://model.internal/v1", proxy={"mode": "explicit-proxy", "url": f"http://me:pass@127.0.0.1:{port}"}
        )
        assert await answer(provider) == 200
    (head,) = heads
    assert head.startswith(b"POST http://model.internal/v1/chat HTTP/1.1\r\nHost: model.internal\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==\r\n" in head
    assert "pass" in provider.secrets


async def test_a_tls_address_is_reached_through_a_tunnel_and_its_certificate_is_checked_by_name(authority: Authority):
    context = context_of(authority.issue("server", HOST))
    async with server(context) as (port, heads), tunnelling() as (proxy, asked):
        request = {
            "proxy": {"mode": "explicit-proxy", "url": f"http://me:pass@127.0.0.1:{proxy}"},
            "tls": {"ca": pem(authority.file)},
        }
        assert await answer(row(f"https://{HOST}:{port}/v1", **request)) == 200
        with pytest.raises(TlsFailed, match="not trusted"):
            await answer(row(f"https://another.internal:{port}/v1", **request))
    assert asked[0].startswith(f"CONNECT {HOST}:{port} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==\r\n" in asked[0]
    assert b"Proxy-Authorization" not in heads[0]


@pytest.mark.parametrize(
    ("answered", "reason"),
    [
        (b"HTTP/1.1 407 Login\r\n\r\n", r"the proxy 127\.0\.0\.1:\d+ wants a login"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", r"the proxy 127\.0\.0\.1:\d+ answered with status 502"),
        (b"", r"the proxy 127\.0\.0\.1:\d+ gave no answer"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", r"the proxy 127\.0\.0\.1:\d+ answered with status 200"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_named(answered: bytes, reason: str):
    async with tunnelling(answered) as (proxy, _):
        provider = row(
            "https://model.internal/v1", proxy={"mode": "explicit-proxy", "url": f"http://127.0.0.1:{proxy}"}
        )
        with pytest.raises(CannotConnect, match=reason):
            await answer(provider)


async def test_the_environment_names_the_proxy_and_the_hosts_without_one():
    async with server() as (port, heads):
        env = {"HTTP_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "localhost,.corp"}
        assert await answer(row("http://model.internal/v1", env, proxy={"mode": "env-proxy"})) == 200
    assert heads[0].startswith(b"POST http://model.internal/v1/chat ")
    assert row("http://model.corp/v1", env, proxy={"mode": "env-proxy"}).route is None
    assert row("http://model.internal/v1", env).route is None  # only where the row asks for it


async def test_a_server_gets_the_clients_certificate_whose_key_has_a_passphrase(authority: Authority):
    client = authority.issue("gateway", passphrase=b"pass phrase")
    tls = {"ca": pem(authority.file), "serverName": HOST}
    mine = {"cert": pem(client.certificate), "key": pem(client.key), "passphrase": "pass phrase"}
    async with server(context_of(authority.issue("server", HOST), clients=authority)) as (port, _):
        url = f"https://127.0.0.1:{port}/v1"
        assert await answer(row(url, tls={**tls, **mine})) == 200


@contextmanager
def with_alerts(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that sends its alerts, as OpenSSL does and asyncio does not."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            with connection.dup() as raw:
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1000)
                while raw.recv(1000):  # closing with unread data would reset the connection, and lose the alert
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_a_refused_certificate_of_the_client_is_a_failure_of_tls_and_not_of_the_provider(authority: Authority):
    """The server says so after the handshake. Only this instance may have an old certificate, or none."""
    foreign = Authority(authority.file.parent / "foreign", "Unknown authority").issue("gateway")
    tls = {"ca": pem(authority.file), "serverName": HOST}
    theirs = {"cert": pem(foreign.certificate), "key": pem(foreign.key)}
    with with_alerts(context_of(authority.issue("server", HOST), clients=authority)) as port:
        for mine in ({}, theirs):
            for _ in range(5):
                with pytest.raises(TlsFailed, match=r"^its server ended the TLS connection \(.*ALERT"):
                    await answer(row(f"https://127.0.0.1:{port}/v1", tls={**tls, **mine}))


async def test_a_certificate_is_accepted_unchecked_only_if_the_row_says_so(authority: Authority):
    async with server(context_of(authority.issue("server", "somebody.else"))) as (port, _):
        url = f"https://127.0.0.1:{port}/v1"
        assert await answer(row(url, tls={"insecureSkipVerify": True})) == 200
        with pytest.raises(TlsFailed, match="not trusted"):
            await answer(row(url))


@pytest.mark.parametrize(
    ("request_config", "problem"),
    [
        (
            {"proxy": {"mode": "explicit-proxy", "url": "socks5://p:1"}},
            "request.proxy.url: is not an http or https URL with a host",
        ),
        (
            {"proxy": {"mode": "explicit-proxy", "url": "http://p:1", "tls": {"serverName": "p"}}},
            "request.proxy.tls: needs a proxy at an https URL",
        ),
        (
            {"proxy": {"mode": "explicit-proxy", "url": "https://p:1", "tls": {"ca": "c"}}},
            "request.proxy.tls: ca is not a list of certificates",
        ),
        ({"proxy": {"mode": "env-proxy"}}, "request.proxy.mode: the proxy of the environment is not an http or https"),
        ({"tls": {"cert": "c", "key": "k"}}, "request.tls: cert and key are not a certificate and its key"),
    ],
)
def test_settings_that_can_not_be_used_are_problems_at_their_path(request_config: dict[str, Any], problem: str):
    config = {"providers": {"p": {"baseUrl": "https://h/v1", "request": request_config}}}
    (reported,) = provider_problems(ModelsConfig.model_validate(config), {"HTTPS_PROXY": "socks5://h:1"})
    assert str(reported).startswith(f"models.providers.p.{problem}")


def test_a_wrong_passphrase_is_a_problem_and_asks_nobody_at_the_terminal(authority: Authority):
    client = authority.issue("gateway", passphrase=b"right")
    tls = {"cert": pem(client.certificate), "key": pem(client.key)}
    config = {"providers": {"p": {"baseUrl": "https://h/v1", "request": {"tls": tls}}}}
    (reported,) = provider_problems(ModelsConfig.model_validate(config), {})
    assert "passphrase is wrong" in str(reported)


def test_instances_share_the_identity_of_a_provider_only_with_the_same_credential_and_way_there(authority: Authority):
    url, client = "https://model.internal/v1", authority.issue("gateway")
    mine = {"cert": pem(client.certificate), "key": pem(client.key)}
    other = authority.issue("other")
    rows = [
        row(url),
        row(url, proxy={"mode": "explicit-proxy", "url": "http://proxy.internal:3128"}),
        row(url, env={"HTTPS_PROXY": "http://another.internal:3128"}, proxy={"mode": "env-proxy"}),
        row(url, tls=mine),
        row(url, tls={"cert": pem(other.certificate), "key": pem(other.key)}),
        row(url, headers={"x-key": "another-secret"}),
        row("https://another.internal/v1"),
    ]
    assert len({one.identity for one in rows}) == len(rows)
    assert row(url, tls=mine).identity == row(url, tls=mine).identity
    assert row(url, proxy={"mode": "env-proxy"}).identity == row(url).identity
