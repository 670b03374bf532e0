"""Counts the tokens of a prompt for a client, under its limits, without a run."""

import time
from typing import Any

from aiohttp import web

from gateway.core.jsonio import dumps
from gateway.dispatch.dispatch import Call, ReadTurn
from gateway.http.errors import JSON
from gateway.http.headers import run_headers
from gateway.http.keys import TRACE
from gateway.http.quota import admit_count, quota_for
from gateway.http.whole_response import WholeResponse
from gateway.runs.count import PromptCount
from gateway.runs.run import prepare
from gateway.runs.trace import Origin

HEADER = "x-openclaw-token-count"
"""Who counted: `provider`, or `estimate` for the gateway's own estimate."""


async def respond_with_count(
    request: web.Request, call: Call, model: str, read_turn: ReadTurn, fields: dict[str, Any]
) -> web.StreamResponse:
    """Respond with `fields` and `input_tokens`. Raises GatewayError."""
    snapshot, trace = call.snapshot, request[TRACE]
    agent = snapshot.directory.resolve(model, call.options.agent, call.principal)
    turn = await read_turn(agent)
    if (reasoning := snapshot.runs.reasoning) is not None and turn.has_tool_results():
        turn = await reasoning.restored(call.client, turn)
    origin = Origin(call.id, call.path, user=call.principal.name)
    run = await prepare(agent, turn, call.options, snapshot.runs, client=call.client, origin=origin)
    counting = PromptCount(run, call.services.recent.ended)
    if counting.asks_provider:
        if (quota := quota_for(snapshot.quota, call.principal)) is not None:
            await admit_count(request, quota, run)
        trace.run = counting.trace
        call.services.recent.put(counting.trace)
    start = time.monotonic()
    counted = await counting.result()
    end = time.monotonic()
    headers = {"Content-Type": JSON, HEADER: "estimate" if counted.estimated else "provider"}
    if counted.trace is not None:
        trace.run_seconds = end - start
        headers |= run_headers(counted.trace, gateway=start - trace.started, upstream=end - start)
    return WholeResponse(dumps({**fields, "input_tokens": counted.tokens}), headers)
