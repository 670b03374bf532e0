"""Opens connections: name → addresses → TCP → TLS, all within one timeout."""

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import Callable
from functools import partial
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM
from typing import TypeVar

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType

from gateway.upstream.transport.connection import ProviderConnection
from gateway.upstream.transport.endpoint import Origin
from gateway.upstream.transport.errors import (
    CannotConnect,
    ConnectionTimeout,
    NameUnknown,
    NoFileDescriptors,
    TlsFailed,
    TransportError,
)
from gateway.upstream.transport.route import Proxy, TlsSettings
from gateway.upstream.transport.tunnel import Tunnel

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

_DNS_TTL = 60.0  # seconds that a name's addresses are cached
_HAPPY_EYEBALLS_DELAY = 0.25  # seconds before an attempt to connect to the next address (RFC 8305 §5)


_HANDSHAKE = "accepted a connection but did not answer the TLS handshake"


class Dialer:
    """`timeout` is the time to open a connection, in seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._dns_cache: dict[tuple[str, int], tuple[float, list[AddrInfoType]]] = {}
        self._tls_contexts: dict[TlsSettings | None, ssl.SSLContext] = {}

    async def connect(self, origin: Origin) -> ProviderConnection:
        """A new connection. Raises ConnectionTimeout, NameUnknown, CannotConnect, TlsFailed or NoFileDescriptors."""
        progress = _Progress()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._connect(origin, progress)
        except TimeoutError as error:
            self._dns_cache.clear()  # the addresses may have changed
            raise ConnectionTimeout(progress.missing) from error
        except OSError as error:
            self._dns_cache.clear()
            raise _cause(error, tls=origin.tls) from error

    async def _connect(self, origin: Origin, progress: "_Progress") -> ProviderConnection:
        settings, proxy = (origin.route.tls, origin.route.proxy) if origin.route is not None else (None, None)
        if proxy is not None:
            return await self._connect_through(proxy, origin, settings, progress)
        factory = partial(ProviderConnection, asyncio.get_running_loop())
        tls = await self._tls(settings) if origin.tls else None
        name = _server_name(origin, settings) if origin.tls else None
        _, connection = await self._open(factory, origin.host, origin.port, tls, name, progress=progress)
        return connection

    async def _connect_through(
        self, proxy: Proxy, origin: Origin, settings: TlsSettings | None, progress: "_Progress"
    ) -> ProviderConnection:
        """A connection to the proxy; for a TLS server, through a tunnel, whose TLS may be inside the proxy's."""
        loop = asyncio.get_running_loop()
        progress.whose = f"can't be reached: {proxy.label} "
        connection = ProviderConnection(loop)
        tunnel = Tunnel(proxy, origin.host, origin.port) if origin.tls else None
        tls = await self._tls(proxy.tls) if proxy.tls is not None else None
        name = _server_name(proxy, proxy.tls) if proxy.tls is not None else None
        try:
            transport, _ = await self._open(
                lambda: tunnel or connection, proxy.host, proxy.port, tls, name, progress=progress
            )
        except OSError as error:
            self._dns_cache.clear()
            raise _cause(error, tls=tls is not None, proxy=proxy) from error
        if tunnel is None:
            return connection
        try:
            progress.awaited = "did not open a tunnel"
            await tunnel.open()
            inner = await self._tls(settings)
            progress.whose, progress.awaited = "", _HANDSHAKE
            secured = await loop.start_tls(transport, connection, inner, server_hostname=_server_name(origin, settings))
        except BaseException:
            transport.abort()
            raise
        if secured is None:
            raise CannotConnect("ended the connection during the TLS handshake")
        connection.connection_made(secured)
        return connection

    async def _open(
        self,
        factory: Callable[[], _P],
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        name: str | None,
        *,
        progress: "_Progress",
    ) -> tuple[asyncio.Transport, _P]:
        """A connection to whichever address of the host accepts one first."""
        loop = asyncio.get_running_loop()
        progress.awaited = "could not be found: its host name was not resolved"
        addresses = await self._addresses(host, port)
        progress.awaited = "did not accept a connection"
        if tls is None and len(addresses) == 1 and addresses[0][0] == AF_INET:  # no choice, and half the time
            address, port = addresses[0][4][:2]
            return await loop.create_connection(factory, address, port)
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY)
        progress.awaited = _HANDSHAKE
        try:
            return await loop.create_connection(factory, sock=sock, ssl=tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise

    async def _addresses(self, host: str, port: int) -> list[AddrInfoType]:
        loop = asyncio.get_running_loop()
        until, cached = self._dns_cache.get((host, port), (0.0, []))
        if loop.time() < until:
            return cached
        addresses: list[AddrInfoType] = list(await loop.getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP))
        self._dns_cache[host, port] = (loop.time() + _DNS_TTL, addresses)
        return addresses

    async def _tls(self, settings: TlsSettings | None) -> ssl.SSLContext:
        """By default with the system's certificates, or those of SSL_CERT_FILE and SSL_CERT_DIR."""
        context = self._tls_contexts.get(settings)
        if context is None:
            context = await asyncio.to_thread((settings or TlsSettings()).context)  # reading certificates takes a while
            context.set_alpn_protocols(["http/1.1"])
            self._tls_contexts[settings] = context
        return context


class _Progress:
    """How far a connection is, for the message of a timeout: what did not happen, and whether a proxy is to blame."""

    awaited = "was not asked: the certificates to trust could not be read"
    whose = ""

    @property
    def missing(self) -> str:
        """A predicate of the server."""
        return f"{self.whose}{self.awaited}"


def _server_name(server: Origin | Proxy, settings: TlsSettings | None) -> str:
    """The name in the handshake, which the certificate must have."""
    return (settings and settings.server_name) or server.host.rstrip(".")


_PREDICATES = {
    errno.ECONNREFUSED: "refused the connection",
    errno.ECONNRESET: "reset the connection while it was being established",
    errno.EPIPE: "closed the connection while it was being established",
}
_ERRNO = re.compile(r"\[Errno (\d+)\]")


def _cause(error: OSError, *, tls: bool, proxy: Proxy | None = None) -> TransportError:
    """What an exception of the socket layer means. It was the connection to the server, or to the `proxy`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        whose = "its certificate" if proxy is None else f"the certificate of {proxy.label}"
        return TlsFailed(f"{whose} is not trusted ({error.verify_message})")
    if isinstance(error, ssl.SSLError):
        handshake = "the TLS handshake" if proxy is None else f"the TLS handshake with {proxy.label}"
        return TlsFailed(f"{handshake} failed ({error.reason or 'the server does not speak TLS'})")
    if isinstance(error, socket.gaierror):
        reason = error.strerror or "unknown name"
        if proxy is not None:
            return CannotConnect(f"can't be reached: the host name of {proxy.label} can't be resolved ({reason})")
        return NameUnknown(reason)
    number = error.errno
    if number is None and (match := _ERRNO.search(str(error))):  # several addresses, joined into one text
        number = int(match[1])
    if number in (errno.EMFILE, errno.ENFILE):
        return NoFileDescriptors(os.strerror(number))
    if number is None:
        predicate = "ended the connection during the TLS handshake" if tls else "can't be reached"
    else:
        predicate = _PREDICATES.get(number) or f"can't be reached ({os.strerror(number)})"
    return CannotConnect(predicate if proxy is None else f"can't be reached: {proxy.label} {predicate}")
