"""One log line per request at info, of which nothing but the request id comes from the client's own text.

Prompts, answers and credentials are never in it. Probes are logged at debug only.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway.http.keys import CLIENT, Trace
from gateway.http.request_end import RequestOutcome

Write = Callable[[str, dict[str, Any]], None]
"""Writes the line of an event with these fields."""


class AccessLog:
    """An observer of the requests of one route, `route` its template. `write` writes a line.

    `is_shown` says whether lines are written now, because the level of the log may change.
    """

    def __init__(self, route: str, write: Write, is_shown: Callable[[], bool]) -> None:
        self._route = route
        self._write = write
        self._is_shown = is_shown

    def began(self) -> None:
        """See RequestObserver."""

    def ended(self, request: web.Request, trace: Trace, status: int, outcome: RequestOutcome, seconds: float) -> None:
        """See RequestObserver."""
        if not self._is_shown():
            return
        client, run = request.get(CLIENT), trace.run
        fields: dict[str, Any] = {
            "request_id": trace.id,
            "method": request.method,
            "route": self._route,
            "status": status,
            "outcome": outcome,
            "ms": round(seconds * 1000, 1),
            "client": (request.remote or "unknown") if client is None else client.host,
        }
        if run is not None:
            usage, current = run.usage, run.current
            fields["agent"] = run.agent
            fields["model"] = None if current is None else f"{current.ref.provider}/{current.ref.model}"
            fields["attempts"] = len(run.attempts)
            fields["tokens"] = None if usage is None else usage.total
        self._write("Request ended", fields)
