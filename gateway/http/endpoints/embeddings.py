"""`POST /v1/embeddings`: vectors from the agent's embedding model."""

import time

from aiohttp import web

from gateway.core.errors import BadRequest
from gateway.http.body import read_body
from gateway.http.errors import JSON
from gateway.http.headers import run_headers, run_options
from gateway.http.keys import PRINCIPAL, RUNTIME, TRACE
from gateway.http.quota import admitted_embedders
from gateway.http.routes import EMBEDDINGS_BODY
from gateway.runs.embed import embed
from gateway.wire.openai_chat.embeddings import read_request, render_reply
from gateway.wire.openai_chat.schema import EMBEDDINGS


async def embeddings(request: web.Request) -> web.StreamResponse:
    """Unlike chat, a missing or blank `model` is refused (recorded)."""
    runtime = request.app[RUNTIME]
    body = await read_body(request, EMBEDDINGS_BODY, runtime.body_timeout)
    options = run_options(request.headers, request[PRINCIPAL], body)
    parsed, _ = EMBEDDINGS.read(body)
    model = parsed.model or ""
    if not model.strip():
        raise BadRequest("Missing `model`.", param="model")
    agent = runtime.directory.resolve(model, options.agent)
    wanted = read_request(parsed)
    embedders = runtime.embedders
    if runtime.quota is not None:
        embedders = await admitted_embedders(
            request, runtime.quota, agent, wanted, override=options.model, embedders=embedders
        )
    trail = runtime.dispatch.trail(agent.id)
    runtime.recent.put(request[TRACE].id, trail)
    asked = time.monotonic()
    reply = await embed(agent, wanted, options.model, embedders, runtime.dispatch, trail=trail)
    answered = time.monotonic()
    payload = render_reply(reply, model=model, as_base64=wanted.base64)
    headers = run_headers(
        trail, gateway=asked - request[TRACE].started + time.monotonic() - answered, upstream=answered - asked
    )
    headers["Content-Type"] = JSON
    return web.Response(body=payload, headers=headers)
