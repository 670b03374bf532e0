"""What can go wrong with an exchange, as exceptions; `gateway.upstream.failure` says what each means to a caller."""


class TransportError(Exception):
    """The exchange has no answer, or not all of it. The subclass says why."""


class ConnectionTimeout(TransportError):
    """No connection stood within the limit."""


class CertificateInvalid(TransportError):
    """The other side offered no TLS, or none that can be trusted."""


class CannotConnect(TransportError):
    """The name is unknown, or nobody listens there."""


class Disconnected(TransportError):
    """The connection ended before the head of an answer was complete.

    `untouched` says that not a byte of an answer had come.
    """

    def __init__(self, *, untouched: bool) -> None:
        super().__init__("the connection ended before an answer")
        self.untouched = untouched


class BodyBroken(TransportError):
    """The connection ended inside the body, or the body's framing or compression is wrong."""


class NotHTTP(TransportError):
    """What came is no answer in HTTP/1.x."""
