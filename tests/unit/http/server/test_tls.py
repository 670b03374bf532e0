"""TLS with real certificates and real handshakes, while the certificates are replaced."""

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.http.server.connections import Runner
from gateway.http.server.tls import ServerTls, TlsFiles, server_context
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


def client_context(authority, certificate=None):
    context = ssl.create_default_context(cafile=authority.file)
    if certificate is not None:
        context.load_cert_chain(certificate.certificate, certificate.key)
    return context


class Server:
    def __init__(self, files):
        self.tls = ServerTls(files)
        self.port = 0

    async def __aenter__(self):
        async def hello(_request: web.Request) -> web.Response:
            return web.Response(text="hello")

        app = web.Application()
        app.router.add_get("/", hello)
        self._runner = Runner(app)
        await self._runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        await self._runner.listen(listening, self.tls.context)
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def connect(self, context, name="127.0.0.1"):
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name)

    async def serial(self, context, name="127.0.0.1"):
        """The serial number of the certificate that a new connection gets, after one request."""
        reader, writer = await self.connect(context, name)
        try:
            assert await ask(reader, writer) == b"HTTP/1.1 200 OK\r\n"
            return int(writer.get_extra_info("peercert")["serialNumber"], 16)
        finally:
            writer.close()
            with suppress(ssl.SSLError, ConnectionError):  # already raised above
                await writer.wait_closed()


async def ask(reader, writer):
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(5) == b"hello"
    return head[: head.index(b"\n") + 1]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])  # with and without a server name
async def test_no_handshake_fails_while_the_certificate_is_replaced_and_connections_stay(authority, name):
    first = authority.issue("server")
    context = client_context(authority)
    async with Server(TlsFiles(first.certificate, first.key)) as server:
        existing = await server.connect(context, name)
        serials, expected, stopped = set(), {first.serial}, False

        async def load():
            while not stopped:
                serials.add(await server.serial(context, name))

        clients = [asyncio.create_task(load()) for _ in range(4)]
        for _ in range(20):
            expected.add(authority.issue("server").serial)
            await server.tls.prepare()
            server.tls.commit()
            last = await server.serial(context, name)
        stopped = True
        await asyncio.gather(*clients)  # raises what failed
        assert last not in (first.serial, 0)
        assert serials <= expected
        assert len(serials) > 1
        assert await ask(*existing) == b"HTTP/1.1 200 OK\r\n"
        existing[1].close()
        await existing[1].wait_closed()


async def test_a_certificate_that_can_not_be_used_is_refused_and_the_last_one_stays(authority):
    first = authority.issue("server")
    async with Server(TlsFiles(first.certificate, first.key)) as server:
        first.key.write_bytes(authority.issue("another").key.read_bytes())
        with pytest.raises(ValueError, match=r"server\.pem and key .*server\.key can't be used together"):
            await server.tls.prepare()
        server.tls.commit()
        assert await server.serial(client_context(authority)) == first.serial


async def test_with_authorities_clients_need_a_certificate_of_one_of_them(authority, tmp_path):
    served, other = authority.issue("server"), Authority(tmp_path / "other", "Another authority")
    async with Server(TlsFiles(served.certificate, served.key, authority.file)) as server:
        assert await server.serial(client_context(authority, authority.issue("client"))) == served.serial
        for certificate in (None, other.issue("another")):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await server.serial(client_context(authority, certificate))


def test_older_versions_than_1_2_are_refused(authority):
    served = authority.issue("server")
    assert server_context(TlsFiles(served.certificate, served.key)).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("missing", ["certificate", "key", "authorities"])
def test_a_file_that_can_not_be_read_is_named(authority, missing):
    served = authority.issue("server")
    files = {"certificate": served.certificate, "key": served.key, "authorities": authority.file}
    absent = authority.file.with_name("absent.pem")
    with pytest.raises(ValueError, match=r"absent\.pem can't be read \(No such file or directory\)"):
        server_context(TlsFiles(**files | {missing: absent}))


def test_a_key_with_a_passphrase_is_refused_without_a_prompt(authority):
    served = authority.issue("server")
    key = load_pem_private_key(served.key.read_bytes(), None)
    served.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(ValueError, match="the key without a passphrase"):
        server_context(TlsFiles(served.certificate, served.key))
