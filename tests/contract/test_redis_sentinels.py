"""Sentinels with a credential of their own, with that of the servers, with none, and over TLS."""

import asyncio
import datetime as dt
import socket
import ssl
from contextlib import asynccontextmanager
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.config.gateway import RedisConfig
from gateway.config.redis_url import redis_address
from gateway.shared import link_from
from gateway.state.connect import close_client, create_client
from openclaw_ratelimit import FailureLimiter, LockoutPolicy
from support.servers import sentinel
from tests.servers import redis_server

OF_SENTINEL = ["requirepass of-sentinel"]
SAME = ["requirepass of-redis"]
USER = ["user default off", "user app on >of-app ~* &* -@all +hello +auth +ping +sentinel|masters"]


@asynccontextmanager
async def service(folder, *lines):
    """A Redis that wants a password, and its Sentinel, whose port this is."""
    for name in ("primary", "sentinel"):
        (folder / name).mkdir()
    known = "sentinel auth-pass service of-redis"
    async with (
        redis_server(folder / "primary", requirepass="of-redis") as primary,
        sentinel(folder / "sentinel", primary, known, *lines) as port,
    ):
        yield port


def config(port, scheme="redis+sentinel", **own):
    return RedisConfig(url=f"{scheme}://:of-redis@127.0.0.1:{port}/service", **own)


@asynccontextmanager
async def client(settings):
    made = create_client(redis_address(settings))
    try:
        yield made
    finally:
        await close_client(made)


@pytest.mark.parametrize(
    ("lines", "own"),
    [
        ([], {}),
        (SAME, {}),
        (OF_SENTINEL, {"sentinelPassword": "of-sentinel"}),
        (USER, {"sentinelUsername": "app", "sentinelPassword": "of-app"}),
    ],
    ids=["none", "the servers' password", "a password", "a user"],
)
async def test_sentinels_are_asked_with_the_credential_that_they_want(tmp_path, lines, own):
    async with service(tmp_path, *lines) as port:
        settings = config(port, **own)
        async with client(settings) as one:
            assert await one.set("key", "value")
            await one.connection_pool.disconnect()  # the next call asks again
            assert await one.get("key") == b"value"
        link = link_from(settings)
        limiter = FailureLimiter(LockoutPolicy(max_attempts=1), link=link)
        await link.open()
        assert link.available, link.reason
        assert (await limiter.record_failure("a")).allowed
        await link.close()
        await close_client(link.client)


@pytest.mark.parametrize("own", [{}, {"sentinelPassword": "wrong"}], ids=["the servers' password", "a wrong one"])
async def test_a_wrong_credential_is_reported_in_one_short_sentence_without_it(tmp_path, own):
    async with service(tmp_path, *OF_SENTINEL) as port, client(config(port, **own)) as one:
        with pytest.raises(RedisConnectionError) as refused:
            await one.get("key")
    text = str(refused.value)
    assert text.startswith(
        f"no Sentinel names a primary of 'service'; 127.0.0.1:{port}: invalid username-password pair"
    )
    assert len(text) < 200
    assert not any(secret in text for secret in ("of-redis", "of-sentinel"))


async def test_a_service_that_sentinels_do_not_know_is_reported(tmp_path):
    async with service(tmp_path) as port:
        settings = RedisConfig(url=f"redis+sentinel://:of-redis@127.0.0.1:{port}/another")
        async with client(settings) as one:
            with pytest.raises(RedisConnectionError, match=rf"'another'; 127\.0\.0\.1:{port}: does not know it"):
                await one.get("key")


@asynccontextmanager
async def tls_hop(port, context):
    """A port before `port` that speaks TLS with clients, and passes on the plain connections of Sentinels."""
    loop = asyncio.get_running_loop()
    serving = set()

    async def pump(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(sock):
        while True:
            try:
                first = sock.recv(1, socket.MSG_PEEK)
                break
            except BlockingIOError:
                await asyncio.sleep(0.001)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        secure = context if first == b"\x16" else None
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=secure)
        except OSError:  # the client does not trust the certificate
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        upstream, down = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, down), pump(upstream, writer), return_exceptions=True)

    async def accept():
        while True:
            sock, _ = await loop.sock_accept(listener)
            sock.setblocking(False)
            task = asyncio.create_task(serve(sock))
            serving.add(task)
            task.add_done_callback(serving.discard)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        accepting = asyncio.create_task(accept())
        try:
            yield SimpleNamespace(port=listener.getsockname()[1])
        finally:
            for task in (accepting, *serving):
                task.cancel()
            await asyncio.gather(accepting, *serving, return_exceptions=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1; the file holds its key, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    file = tmp_path_factory.mktemp("tls") / "redis.pem"
    file.write_bytes(
        made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return file


@pytest.mark.parametrize("trusted", [True, False])
async def test_sentinels_and_servers_are_asked_over_tls_with_the_certificates_of_ssl_cert_file(
    tmp_path, monkeypatch, certificate, trusted
):
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for name in ("primary", "sentinel"):
        (tmp_path / name).mkdir()
    known = "sentinel auth-pass service of-redis"
    async with (
        redis_server(tmp_path / "primary", requirepass="of-redis") as primary,
        tls_hop(primary.port, context) as secured,
        sentinel(tmp_path / "sentinel", secured, known, *OF_SENTINEL) as port,
        tls_hop(port, context) as secured_sentinel,
        client(config(secured_sentinel.port, "rediss+sentinel", sentinelPassword="of-sentinel")) as one,
    ):
        if trusted:
            assert await one.set("key", "value")
        else:
            with pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await one.set("key", "value")
