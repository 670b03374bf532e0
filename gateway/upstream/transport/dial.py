"""Opens connections: name → addresses → TCP → TLS, all within one timeout."""

import asyncio
import errno
import os
import re
import socket
import ssl
from functools import partial
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM

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
from gateway.upstream.transport.tunnel import open_tunnel

_DNS_TTL = 60.0  # seconds that a name's addresses are cached
_HAPPY_EYEBALLS_DELAY = 0.25  # seconds before an attempt to connect to the next address (RFC 8305 §5)


class Dialer:
    """`timeout` is the time to open a connection, in seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._dns_cache: dict[tuple[str, int], tuple[float, list[AddrInfoType]]] = {}
        self._tls_contexts: dict[TlsSettings | None, ssl.SSLContext] = {}

    async def connect(self, origin: Origin) -> ProviderConnection:
        """A new connection. Raises ConnectionTimeout, NameUnknown, CannotConnect, TlsFailed or NoFileDescriptors."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._connect(origin)
        except TimeoutError as error:
            raise ConnectionTimeout(f"no connection within {self._timeout:g} s") from error
        except OSError as error:
            self._dns_cache.clear()  # the addresses may have changed
            raise _cause(error, tls=origin.tls) from error

    async def _connect(self, origin: Origin) -> ProviderConnection:
        loop = asyncio.get_running_loop()
        settings, proxy = (origin.route.tls, origin.route.proxy) if origin.route is not None else (None, None)
        server: Origin | Proxy = origin if proxy is None else proxy
        addresses = await self._addresses(server.host, server.port)
        factory = partial(ProviderConnection, loop)
        tls = await self._tls(settings) if origin.tls else None
        name = ((settings and settings.server_name) or origin.host.rstrip(".")) if origin.tls else None
        if proxy is None and len(addresses) == 1 and addresses[0][0] == AF_INET:  # no choice, and half the time
            host, port = addresses[0][4][:2]
            _, connection = await loop.create_connection(factory, host, port, ssl=tls, server_hostname=name)
            return connection
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY)
        try:
            if proxy is not None and origin.tls:
                await open_tunnel(sock, proxy, origin.host, origin.port)
            _, connection = await loop.create_connection(factory, sock=sock, ssl=tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        return connection

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


_PREDICATES = {
    errno.ECONNREFUSED: "refused the connection",
    errno.ECONNRESET: "reset the connection while it was being established",
    errno.EPIPE: "closed the connection while it was being established",
}
_ERRNO = re.compile(r"\[Errno (\d+)\]")


def _cause(error: OSError, *, tls: bool) -> TransportError:
    """What an exception of the socket layer means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(f"its certificate is not trusted ({error.verify_message})")
    if isinstance(error, ssl.SSLError):
        return TlsFailed(f"the TLS handshake failed ({error.reason or 'the server does not speak TLS'})")
    if isinstance(error, socket.gaierror):
        return NameUnknown(error.strerror or "unknown name")
    number = error.errno
    if number is None and (match := _ERRNO.search(str(error))):  # several addresses, joined into one text
        number = int(match[1])
    if number in (errno.EMFILE, errno.ENFILE):
        return NoFileDescriptors(os.strerror(number))
    if number is None:
        return CannotConnect("ended the connection during the TLS handshake" if tls else "can't be reached")
    return CannotConnect(_PREDICATES.get(number) or f"can't be reached ({os.strerror(number)})")
