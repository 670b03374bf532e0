"""`POST /v1/embeddings`: vectors from the agent's embedding model."""

import time
from functools import partial

from aiohttp import web

from gateway.core.errors import BadRequest
from gateway.http.body import read_body
from gateway.http.calls import call_of
from gateway.http.errors import JSON
from gateway.http.headers import run_headers
from gateway.http.keys import SERVICES, SNAPSHOT, TRACE
from gateway.http.large_bodies import MAX_TOKEN_IDS, decoded
from gateway.http.quota import admitted_embedders, quota_for
from gateway.http.routes import EMBEDDINGS_BODY
from gateway.http.whole_response import WholeResponse
from gateway.runs.embed import embed
from gateway.wire.openai_chat.embeddings import read_request, render_reply
from gateway.wire.openai_chat.schema import EMBEDDINGS


async def embeddings(request: web.Request) -> web.StreamResponse:
    """Embed texts with the agent's embedding model. `model` is required, as in OpenClaw."""
    snapshot, services = request[SNAPSHOT], request.app[SERVICES]
    body = await read_body(request, EMBEDDINGS_BODY, snapshot.body_timeout, token_ids=MAX_TOKEN_IDS)
    call = call_of(request, body, "openai")
    parsed, others = await decoded(request, partial(EMBEDDINGS.read, body))
    model, override = parsed.model or "", call.options.model
    if not model.strip():
        raise BadRequest("Missing `model`.", param="model")
    agent = snapshot.directory.resolve(model, call.options.agent, call.principal)
    wanted = await decoded(request, partial(read_request, parsed, snapshot.embedding_limits, others))
    embedders = snapshot.embedders
    if (quota := quota_for(snapshot.quota, call.principal)) is not None:
        embedders = await admitted_embedders(request, quota, agent, wanted, override=override, embedders=embedders)
    trace = snapshot.runs.new_trace(agent.id, call.client, call.origin(call.path))
    request[TRACE].run = trace
    services.recent.put(trace)
    run_start = time.monotonic()
    reply = await embed(agent, wanted, override, embedders, snapshot.runs, trace=trace)
    run_end = time.monotonic()
    request[TRACE].run_seconds = run_end - run_start
    payload = render_reply(reply, model=model, as_base64=wanted.base64)
    headers = run_headers(
        trace, gateway=run_start - request[TRACE].started + time.monotonic() - run_end, upstream=run_end - run_start
    )
    return WholeResponse(payload, {**headers, "Content-Type": JSON})
