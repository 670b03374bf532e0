import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from gateway.upstream.transport.dial import Dialer
from gateway.upstream.transport.endpoint import Origin
from gateway.upstream.transport.errors import CannotConnect, CertificateInvalid, ConnectionTimeout

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


async def test_a_refused_connection_can_not_connect(unused_tcp_port):
    with pytest.raises(CannotConnect):
        await Dialer(5.0).connect(Origin("127.0.0.1", unused_tcp_port, tls=False))


async def test_an_unknown_name_can_not_connect():
    with pytest.raises(CannotConnect):
        await Dialer(5.0).connect(Origin("nobody.invalid", 80, tls=False))


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


async def test_connecting_times_out(full):
    with pytest.raises(ConnectionTimeout):
        await Dialer(0.1).connect(Origin("127.0.0.1", full, tls=False))


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


async def test_a_self_signed_certificate_is_refused(secure):
    with pytest.raises(CertificateInvalid):
        await Dialer(5.0).connect(secure)


async def test_a_server_without_tls_is_refused():
    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    with pytest.raises(CertificateInvalid):
        await Dialer(5.0).connect(Origin("127.0.0.1", server.sockets[0].getsockname()[1], tls=True))
    server.close()


async def test_the_operators_own_certificates_are_trusted_for_the_names_they_hold(secure, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    await closing(await Dialer(5.0).connect(secure))
    with pytest.raises(CertificateInvalid):
        await Dialer(5.0).connect(secure._replace(host="localhost"))
