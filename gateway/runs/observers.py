"""The end of a run: one RunFinished for every observer, such as the log."""

import sys

import structlog

from gateway.core.errors import GatewayError
from gateway.core.upstream_error import UpstreamError
from gateway.observe.log import shows_debug
from gateway.runs.attempt import ANSWERED, CANCELLED
from gateway.runs.trace import RunFinished, RunTrace

log = structlog.get_logger(__name__)


def close_run(trace: RunTrace) -> None:
    """End a run. Call this while the exception that ended it, if any, propagates."""
    ending = sys.exception()
    outcome = _outcome(ending)
    trace.close(outcome)
    usage = trace.usage
    if isinstance(ending, GatewayError) and ending.usage is not None:
        usage = ending.usage  # an answer that was refused is paid for, too
    finished = RunFinished(trace, usage, trace.client, outcome, isinstance(ending, Exception))
    for observe in trace.observers:
        observe(finished)


def log_run(finished: RunFinished) -> None:
    """Log the run: failures as warnings, further attempts as info, plain success as debug."""
    trace = finished.trace
    if finished.failed:
        log.warning("Run failed", **trace.as_dict())
    elif finished.outcome != ANSWERED or len(trace.attempts) > 1:
        log.info("Run ended", **trace.as_dict())
    elif shows_debug():  # a log line costs a fifth of a small answer
        log.debug("Run ended", **trace.as_dict())


def _outcome(ending: BaseException | None) -> str:
    match ending:
        case None:
            return ANSWERED
        case UpstreamError(kind=kind):
            return kind.value
        case GatewayError(type=kind):
            return kind
        case Exception():
            return "error"
        case _:
            return CANCELLED
