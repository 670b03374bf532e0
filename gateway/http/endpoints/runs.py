"""`GET /api/v1/runs/{id}`: the attempts of a recent run, for operators. It stores no content of the conversation."""

from aiohttp import web

from gateway.core.errors import NotFound
from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import SERVICES


async def get_run(request: web.Request) -> web.StreamResponse:
    """The attempts of the run with this request id, also while it runs."""
    request_id = request.match_info["id"]
    trace = request.app[SERVICES].recent.get(request_id)
    if trace is None:
        raise NotFound(
            "No recent run has this request id. This instance keeps the last 1000 runs; the id is the answer's "
            "`X-Request-ID`.",
            code="run_not_found",
        )
    return web.Response(
        body=dumps({"request_id": request_id, **trace.as_dict()}),
        headers={"Content-Type": JSON, "Cache-Control": "no-store"},
    )
