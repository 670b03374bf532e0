"""The failures of an exchange as exceptions. `gateway.upstream.failure` turns them into errors for clients."""


class TransportError(Exception):
    """There is no response, or it is incomplete. The subclass is the reason."""


class ConnectionTimeout(TransportError):
    """Opening a connection took too long."""


class CertificateInvalid(TransportError):
    """The server does not support TLS, or its certificate is not trusted."""


class CannotConnect(TransportError):
    """The name is unknown, or the server refuses connections."""


class Disconnected(TransportError):
    """The connection ended before the response's head was complete.

    `untouched` is True if no byte of a response had arrived.
    """

    def __init__(self, *, untouched: bool) -> None:
        super().__init__("the connection ended before a response")
        self.untouched = untouched


class BodyBroken(TransportError):
    """The connection ended inside the body, or the body's framing or compression is wrong."""


class NotHTTP(TransportError):
    """The received data is not an HTTP/1.x response."""
