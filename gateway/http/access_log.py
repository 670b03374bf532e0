"""One log line per request at info, of which nothing but the request id comes from the client's own text.

Prompts, answers and credentials are never in it. Probes are logged at debug only.
"""

from collections.abc import Callable
from typing import Any

from gateway.http.request_end import RequestEnd

Write = Callable[[str, dict[str, Any], float], None]
"""Writes the line of an event with these fields, which happened at a Unix time (seconds)."""


class AccessLog:
    """Logs the requests of one route, `route` its template. `write` writes a line.

    `is_shown` says whether lines are written now, because the level of the log may change.
    """

    def __init__(self, route: str, write: Write, is_shown: Callable[[], bool]) -> None:
        self._route = route
        self._write = write
        self._is_shown = is_shown

    def write(self, end: RequestEnd) -> None:
        """Write the line of a request."""
        if not self._is_shown():
            return
        trace, run = end.trace, end.trace.run
        fields: dict[str, Any] = {
            "request_id": trace.id,
            "method": end.method,
            "route": self._route,
            "status": end.status,
            "outcome": end.outcome,
            "ms": round(end.seconds * 1000, 1),
            "client": end.client,
        }
        if run is not None:
            usage, current = run.usage, run.current
            fields["agent"] = run.agent
            fields["model"] = None if current is None else f"{current.ref.provider}/{current.ref.model}"
            fields["attempts"] = len(run.attempts)
            fields["tokens"] = None if usage is None else usage.total
        self._write("Request ended", fields, end.time)
