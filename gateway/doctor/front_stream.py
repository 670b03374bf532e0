"""Requests the test stream of a gateway through its public address, and notes when each event arrives."""

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

STREAM = "/api/v1/doctor/stream"
_TIMEOUT = 15.0  # seconds
_MAX_BODY = 2**16
_OK = 200


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, and the monotonic time in seconds at which it arrived."""

    event: dict[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class Stream:
    """The response to one request. `own` is this side of the connection as host and port; `certificate` is in DER form.

    `error` is the body of another status than 200.
    """

    status: int
    own: tuple[str, int]
    certificate: bytes | None
    arrivals: tuple[Arrival, ...] = ()
    error: str = ""


def request_stream(
    url: SplitResult, headers: Mapping[str, str], context: ssl.SSLContext, *, first_only: bool = False
) -> Stream:
    """Read the stream, or only its first event. Raises OSError (SSLError among them) and HTTPException."""
    connection = _connect(url, context)
    try:
        connection.connect()
        sock = connection.sock
        certificate = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        host, port = sock.getsockname()[:2]
        connection.request("GET", f"{url.path.rstrip('/')}{STREAM}", headers=dict(headers))
        response = connection.getresponse()
        if response.status != _OK:
            body = response.read(_MAX_BODY).decode("utf-8", "replace")
            return Stream(response.status, (host, port), certificate, error=body)
        arrivals = []
        for line in response:
            if line.startswith(b"data: {"):
                arrivals.append(Arrival(json.loads(line.removeprefix(b"data: ")), time.monotonic()))
                if first_only:
                    break
        return Stream(response.status, (host, port), certificate, tuple(arrivals))
    finally:
        connection.close()


def _connect(url: SplitResult, context: ssl.SSLContext) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, url.port, timeout=_TIMEOUT, context=context)
    return http.client.HTTPConnection(host, url.port, timeout=_TIMEOUT)
