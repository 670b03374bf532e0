"""Opens connections: name → addresses → TCP → TLS, each within one limit."""

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

from gateway.upstream.transport.connection import Connection
from gateway.upstream.transport.endpoint import Origin
from gateway.upstream.transport.errors import (
    CannotConnect,
    ConnectionTimeout,
    NameUnknown,
    NoFileDescriptors,
    TlsFailed,
    TransportError,
)

_REMEMBER = 60.0  # seconds for which a name's addresses hold
_NEXT_ADDRESS = 0.25  # seconds before the next of a name's addresses is tried beside the last (RFC 8305 §5)


class Dialer:
    """`limit` is how long a connection may take to stand, in seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._names: dict[tuple[str, int], tuple[float, list[AddrInfoType]]] = {}
        self._trust: ssl.SSLContext | None = None

    async def connect(self, origin: Origin) -> Connection:
        """A new connection. Raises ConnectionTimeout, NameUnknown, CannotConnect, TlsFailed or NoFileDescriptors."""
        try:
            async with asyncio.timeout(self._limit):
                return await self._connect(origin)
        except TimeoutError as error:
            raise ConnectionTimeout(f"no connection within {self._limit:g} s") from error
        except OSError as error:
            self._names.pop((origin.host, origin.port), None)  # they may have moved
            raise _cause(error, tls=origin.tls) from error

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(origin.host, origin.port)
        made = partial(Connection, loop)
        trust = await self._trusted() if origin.tls else None
        name = origin.host.rstrip(".") if origin.tls else None
        if len(addresses) == 1 and addresses[0][0] == AF_INET:  # nothing to choose from, and half the price
            host, port = addresses[0][4][:2]
            _, connection = await loop.create_connection(made, host, port, ssl=trust, server_hostname=name)
            return connection
        raw = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
        try:
            _, connection = await loop.create_connection(made, sock=raw, ssl=trust, server_hostname=name)
        except BaseException:
            raw.close()
            raise
        return connection

    async def _addresses(self, host: str, port: int) -> list[AddrInfoType]:
        loop = asyncio.get_running_loop()
        until, known = self._names.get((host, port), (0.0, []))
        if loop.time() < until:
            return known
        found: list[AddrInfoType] = list(await loop.getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP))
        self._names[host, port] = (loop.time() + _REMEMBER, found)
        return found

    async def _trusted(self) -> ssl.SSLContext:
        """The system's certificates, or those of SSL_CERT_FILE and SSL_CERT_DIR. Reading them takes a while."""
        if self._trust is None:
            trust = await asyncio.to_thread(ssl.create_default_context)
            trust.set_alpn_protocols(["http/1.1"])
            self._trust = trust
        return self._trust


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
    if number is None and (found := _ERRNO.search(str(error))):  # several addresses, joined into one text
        number = int(found[1])
    if number in (errno.EMFILE, errno.ENFILE):
        return NoFileDescriptors(os.strerror(number))
    if number is None:
        return CannotConnect("ended the connection during the TLS handshake" if tls else "can't be reached")
    return CannotConnect(_PREDICATES.get(number) or f"can't be reached ({os.strerror(number)})")
