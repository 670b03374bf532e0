"""Decodes the `x-openclaw-*` request headers, and encodes the response headers of a run."""

from collections.abc import Mapping

from gateway.core.errors import MissingScope
from gateway.core.identity import Principal
from gateway.core.session_key import HEADER, check_session_header
from gateway.runs.run import RunOptions
from gateway.runs.trace import RunTrace
from gateway.wire.request_body import check_json


def run_options(headers: Mapping[str, str], principal: Principal, body: bytes) -> RunOptions:
    """The options in the headers. Blank headers have no effect, as in OpenClaw. Raises MissingScope or BadRequest.

    `x-openclaw-model` needs `operator.admin`, but a `body` that is not JSON is refused first, as in OpenClaw.
    `x-openclaw-agent-id` overrides its alias `x-openclaw-agent`.
    """
    model = (headers.get("x-openclaw-model") or "").strip() or None
    if model is not None and not principal.allows("operator.admin"):
        check_json(body)
        raise MissingScope("operator.admin")
    agent = (headers.get("x-openclaw-agent-id") or headers.get("x-openclaw-agent") or "").strip() or None
    channel = (headers.get("x-openclaw-message-channel") or "").strip().lower() or "webchat"
    check_session_header(headers.get(HEADER))
    if model is None and agent is None and channel == "webchat":
        return _DEFAULTS
    return RunOptions(model, agent, channel)


_DEFAULTS = RunOptions()


def run_headers(trace: RunTrace, *, gateway: float, upstream: float) -> dict[str, str]:
    """The model that answered, the number of attempts, and the durations (arguments in seconds).

    `Server-Timing` is https://www.w3.org/TR/server-timing/ (milliseconds). `backoff` is the time between attempts.
    """
    headers = timing_header(trace, gateway=gateway, upstream=upstream)
    if trace.attempts:
        headers["x-openclaw-model"] = str(trace.answered)
        headers["x-openclaw-attempts"] = str(len(trace.attempts))
    return headers


def timing_header(trace: RunTrace, *, gateway: float, upstream: float) -> dict[str, str]:
    """The durations alone (arguments in seconds)."""
    waited = trace.waited
    timing = f"gateway;dur={gateway * 1000:.2f}, upstream;dur={(upstream - waited) * 1000:.2f}"
    if waited:
        timing += f", backoff;dur={waited * 1000:.2f}"
    return {"Server-Timing": timing}
