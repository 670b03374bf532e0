"""`GET /api/v1/runs/{id}`: the attempts of a recent run, for operators, with what a provider wrote about a failure.

It holds nothing else of the conversation.

Only an administrator sees the runs of other users.
"""

from aiohttp import web

from gateway.core.errors import NotFound
from gateway.core.jsonio import dumps
from gateway.http.errors import JSON
from gateway.http.keys import PRINCIPAL, SERVICES


async def get_run(request: web.Request) -> web.StreamResponse:
    """The attempts of the run with this request id, also while it runs."""
    request_id, principal = request.match_info["id"], request[PRINCIPAL]
    run = request.app[SERVICES].recent.get(principal.name, request_id, everybody=principal.administers)
    if run is None:
        raise NotFound(
            "You have no recent run with this request id. This instance keeps the last 1000 runs; the id is the "
            "answer's `X-Request-ID`.",
            code="run_not_found",
        )
    return web.Response(
        body=dumps({"request_id": request_id, **run.as_dict()}),
        headers={"Content-Type": JSON, "Cache-Control": "no-store"},
    )
