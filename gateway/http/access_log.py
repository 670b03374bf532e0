"""One log line per request at info, of which nothing but the request id comes from the client's own text.

Prompts, answers and credentials are never in it. Probes are logged at debug only.
"""

from collections.abc import Callable
from typing import Any

from gateway.http.keys import CLIENT
from gateway.http.request_end import RequestEnded

Write = Callable[[str, dict[str, Any]], None]
"""Writes the line of an event with these fields."""


class AccessLog:
    """An observer of the requests of one route, `route` its template. `write` writes a line."""

    def __init__(self, route: str, write: Write) -> None:
        self._route = route
        self._write = write

    def began(self) -> None:
        """See RequestObserver."""

    def ended(self, ended: RequestEnded) -> None:
        """See RequestObserver."""
        request, trace, run = ended.request, ended.trace, ended.trace.run
        client = request.get(CLIENT)
        fields: dict[str, Any] = {
            "request_id": trace.id,
            "method": request.method,
            "route": self._route,
            "status": ended.status,
            "outcome": ended.outcome,
            "ms": round(ended.seconds * 1000, 1),
            "client": (request.remote or "unknown") if client is None else client.host,
        }
        if run is not None:
            usage = run.usage
            fields["agent"] = run.agent
            fields["model"] = None if run.answered is None else str(run.answered)
            fields["attempts"] = len(run.attempts)
            fields["tokens"] = None if usage is None else usage.total
        self._write("Request ended", fields)
