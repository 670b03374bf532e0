"""The `x-openclaw-*` request headers → RunOptions, and what a response says about its run."""

from collections.abc import Mapping

from gateway.core.errors import MissingScope
from gateway.core.identity import Principal
from gateway.core.session_key import HEADER, check_session_header
from gateway.runs.run import RunOptions
from gateway.runs.trace import RunTrace
from gateway.wire.request_body import check_json


def run_options(headers: Mapping[str, str], principal: Principal, body: bytes) -> RunOptions:
    """What the headers ask for; blank ones ask for nothing (recorded). Raises MissingScope or BadRequest.

    `x-openclaw-model` needs `operator.admin`, but a `body` that is no JSON is told first (recorded);
    `x-openclaw-agent-id` wins over its alias `x-openclaw-agent`.
    """
    model = (headers.get("x-openclaw-model") or "").strip() or None
    if model is not None and not principal.allows("operator.admin"):
        check_json(body)
        raise MissingScope("operator.admin")
    agent = (headers.get("x-openclaw-agent-id") or headers.get("x-openclaw-agent") or "").strip() or None
    channel = (headers.get("x-openclaw-message-channel") or "").strip().lower() or "webchat"
    check_session_header(headers.get(HEADER))
    if model is None and agent is None and channel == "webchat":
        return _PLAIN
    return RunOptions(model, agent, channel)


_PLAIN = RunOptions()


def run_headers(trail: RunTrace, *, gateway: float, upstream: float) -> dict[str, str]:
    """Which model answered after how many attempts, and where the time went (seconds in, milliseconds out).

    `Server-Timing` is https://www.w3.org/TR/server-timing/; pauses between attempts are told apart as `backoff`.
    """
    waited = trail.waited
    timing = f"gateway;dur={gateway * 1000:.2f}, upstream;dur={(upstream - waited) * 1000:.2f}"
    if waited:
        timing += f", backoff;dur={waited * 1000:.2f}"
    headers = {"Server-Timing": timing}
    if trail.attempts:
        headers["x-openclaw-model"] = str(trail.answered)
        headers["x-openclaw-attempts"] = str(len(trail.attempts))
    return headers
