import asyncio
import os
import resource
import socket
import ssl
from pathlib import Path

import pytest

from gateway.upstream.transport.dial import Dialer
from gateway.upstream.transport.endpoint import Origin
from gateway.upstream.transport.errors import (
    CannotConnect,
    ConnectionTimeout,
    NameUnknown,
    NoFileDescriptors,
    TlsFailed,
)
from gateway.upstream.transport.route import Proxy, Route, TlsSettings

CERTIFICATE = Path(__file__).parents[3] / "fault" / "untrusted.pem"


async def closing(connection):
    connection.abort()
    await connection.closed()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_name_is_connected_to_at_whichever_address_listens(wire, host):
    port = int(wire.url.rpartition(":")[2].partition("/")[0])
    dialer = Dialer(5.0)
    for _ in range(2):
        await closing(await dialer.connect(Origin(host, port, tls=False)))
    await wire.until(lambda: wire.connections == 2 and wire.open == 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_where_nobody_listens_refuses(unused_tcp_port, host):
    with pytest.raises(CannotConnect, match=r"^refused the connection$"):
        await Dialer(5.0).connect(Origin(host, unused_tcp_port, tls=False))


async def test_a_name_that_nobody_has_is_unknown():
    with pytest.raises(NameUnknown):
        await Dialer(5.0).connect(Origin("nobody.invalid", 80, tls=False))


async def test_a_full_file_table_is_this_process_own_trouble(wire):
    port = int(wire.url.rpartition(":")[2].partition("/")[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    await closing(await Dialer(5.0).connect(Origin("127.0.0.1", port, tls=False)))
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(NoFileDescriptors):
            await Dialer(5.0).connect(Origin("127.0.0.1", port, tls=False))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_connection_that_is_reset_during_the_handshake_names_the_handshake():
    async def resets(reader, writer):
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(resets, "127.0.0.1", 0)
    with pytest.raises((CannotConnect, TlsFailed), match=r"establish|handshake"):
        await Dialer(5.0).connect(Origin("127.0.0.1", server.sockets[0].getsockname()[1], tls=True))
    server.close()


@pytest.fixture
def full():
    """A port with a full accept queue: it neither accepts nor refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)  # socket's own signature
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        yield port
        for one in waiting:
            one.close()


@pytest.mark.parametrize("tls", [False, True])
async def test_connecting_times_out(full, tls):
    with pytest.raises(ConnectionTimeout, match=r"^did not accept a connection$"):
        await Dialer(0.3).connect(Origin("127.0.0.1", full, tls=tls))


@pytest.fixture
async def silent():
    """A port that accepts connections and never sends anything."""

    async def hold(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_timeout_of_the_tls_handshake_is_named_as_that(silent, host):
    with pytest.raises(ConnectionTimeout, match=r"^accepted a connection but did not answer the TLS handshake$"):
        await Dialer(0.3).connect(Origin(host, silent, tls=True))


async def test_a_timeout_names_the_proxy_that_caused_it(silent, full):
    server = Origin("provider.invalid", 443, tls=True)
    through = Route(Proxy("127.0.0.1", silent))
    with pytest.raises(ConnectionTimeout, match=rf"^can't be reached: the proxy 127.0.0.1:{silent} did not open a tun"):
        await Dialer(0.3).connect(server._replace(route=through))
    through = Route(Proxy("127.0.0.1", silent, tls=TlsSettings()))
    with pytest.raises(ConnectionTimeout, match=rf"the proxy 127.0.0.1:{silent} accepted a connection but did not ans"):
        await Dialer(0.3).connect(server._replace(route=through))
    through = Route(Proxy("127.0.0.1", full))
    with pytest.raises(ConnectionTimeout, match=rf"the proxy 127.0.0.1:{full} did not accept a connection$"):
        await Dialer(0.3).connect(server._replace(route=through))


async def test_a_timeout_of_the_lookup_is_named_as_that(monkeypatch):
    async def no_answer(*_arguments, **_options):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_answer)
    with pytest.raises(ConnectionTimeout, match=r"^could not be found: its host name was not resolved$"):
        await Dialer(0.05).connect(Origin("provider.example", 443, tls=False))


@pytest.fixture
async def secure():
    async def hold(reader, writer):
        await reader.read()
        writer.close()
        ended.set()

    ended = asyncio.Event()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=tls)
    yield Origin("127.0.0.1", server.sockets[0].getsockname()[1], tls=True)
    server.close()


async def test_a_certificate_that_nobody_signed_is_refused(secure):
    with pytest.raises(TlsFailed, match=r"its certificate is not trusted \(self-signed certificate\)"):
        await Dialer(5.0).connect(secure)


async def test_a_server_without_tls_is_refused():
    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    with pytest.raises(TlsFailed):
        await Dialer(5.0).connect(Origin("127.0.0.1", server.sockets[0].getsockname()[1], tls=True))
    server.close()


async def test_the_operators_own_certificates_are_trusted_for_the_names_they_hold(secure, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    await closing(await Dialer(5.0).connect(secure))
    with pytest.raises(TlsFailed):
        await Dialer(5.0).connect(secure._replace(host="localhost"))


async def test_a_name_is_looked_up_again_after_a_timeout(wire, monkeypatch):
    """Its server may have moved, and the old address answers nobody."""
    port = int(wire.url.rpartition(":")[2].partition("/")[0])
    loop, lookups = asyncio.get_running_loop(), []
    getaddrinfo, create_connection = loop.getaddrinfo, loop.create_connection

    async def look_up(*arguments, **options):
        lookups.append(arguments[0])
        return await getaddrinfo("127.0.0.1", *arguments[1:], **options)

    async def no_answer(*_arguments, **_options):
        await asyncio.Event().wait()

    monkeypatch.setattr(loop, "getaddrinfo", look_up)
    monkeypatch.setattr(loop, "create_connection", no_answer)
    dialer = Dialer(0.05)
    with pytest.raises(ConnectionTimeout):
        await dialer.connect(Origin("moved.example", port, tls=False))
    monkeypatch.setattr(loop, "create_connection", create_connection)
    dialer._timeout = 5.0
    await closing(await dialer.connect(Origin("moved.example", port, tls=False)))
    assert lookups == ["moved.example"] * 2
