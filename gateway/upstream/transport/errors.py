"""What can go wrong with an exchange, as exceptions; `gateway.upstream.failure` says what each means to a client."""


class TransportError(Exception):
    """There is no response, or it is incomplete. The subclass is the reason."""


class ConnectionTimeout(TransportError):
    """No connection was established within the limit. The message is a predicate that says what did not happen."""


class TlsFailed(TransportError):
    """The server speaks no TLS, its certificate is not trusted, or it refuses ours. The message says which."""


class NameUnknown(TransportError):
    """The host name could not be resolved."""


class CannotConnect(TransportError):
    """No address of the host accepts a connection. The message is a predicate, such as "refused the connection"."""


class NoFileDescriptors(TransportError):
    """This process or this machine can't open another socket (EMFILE, ENFILE)."""


class Disconnected(TransportError):
    """The connection ended before the response's head was complete.

    `untouched` is True if no byte of a response had arrived.
    """

    def __init__(self, *, untouched: bool) -> None:
        super().__init__("the connection ended before a response")
        self.untouched = untouched


class StaleConnection(TransportError):
    """The server closed an idle connection while the request was in flight; retry on a new connection."""


class BodyBroken(TransportError):
    """The connection ended inside the body, or the body's framing or compression is wrong."""


class NotHTTP(TransportError):
    """The received data is not an HTTP/1.x response."""
