"""A client that reads nothing is dropped, which is no error of the gateway."""

import structlog

log = structlog.get_logger(__name__)


def stalled(path: str, seconds: float) -> ConnectionResetError:
    """The error of a connection that was dropped, because its client read nothing for so many seconds; logs it."""
    log.info("A client that reads nothing is disconnected", path=path, after_s=seconds)
    return ConnectionResetError("The client reads nothing")
