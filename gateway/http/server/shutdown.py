"""The drain of a process: report it, stop accepting connections, wait for answers, and cancel the remaining ones."""

import asyncio
from dataclasses import dataclass

import structlog

from gateway.http.server.connections import Runner
from gateway.http.server.drain import Drain

log = structlog.get_logger(__name__)

_POLL_INTERVAL = 0.05  # seconds between checks for open connections
_HANDSHAKE_TIME = 0.02  # seconds in which connections with a finished handshake reach the accept queue
_ACCEPT_TIMEOUT = 2.0  # seconds to accept all connections in the queue
_LOOP_TURNS = 3  # after which the loop has announced an accepted connection to the runner
_ERROR_TIMEOUT = 2.0  # seconds for a cancelled handler to send its error


@dataclass(frozen=True, slots=True)
class DrainPolicy:
    """`notice`: seconds in which the process still accepts connections, so that proxies notice the drain. `limit`:
    seconds for running answers after that.
    """

    notice: float
    limit: float


async def drain(runner: Runner, state: Drain, policy: DrainPolicy, force: asyncio.Event, *, notice: bool) -> None:
    """Drain until cleanup would not interrupt a response. `force` ends every wait.

    A connection is closed once it has been idle for `policy.notice`. A proxy with a shorter idle timeout closes its
    connections first, so it never sends a request on a closed one.
    """
    state.started = True
    log.info("Draining", notice_s=policy.notice if notice else 0, limit_s=policy.limit)
    if notice:
        await _wait(force, policy.notice)
    if runner.stop_accepting():
        await _accept_queued(runner, force)
    for _ in range(_LOOP_TURNS):
        await asyncio.sleep(0)
    await runner.stop_listening()
    state.close()
    await _wait_for_answers(runner, state, policy.limit, force, min_idle=policy.notice if notice else 0.0)
    state.forced = True
    if count := _background_jobs(state):
        log.warning("Background runs are cancelled", count=count, limit_s=policy.limit, forced=force.is_set())
    if unfinished := [connection for connection in runner.connections if connection.busy]:
        log.warning("Answers are cancelled", count=len(unfinished), limit_s=policy.limit, forced=force.is_set())
        for connection in unfinished:
            connection.cancel_handler()
        clock = asyncio.get_running_loop().time
        deadline = clock() + _ERROR_TIMEOUT
        while any(connection.busy for connection in unfinished) and clock() < deadline:  # noqa: ASYNC110  has no event
            await asyncio.sleep(_POLL_INTERVAL)


async def _accept_queued(runner: Runner, force: asyncio.Event) -> None:
    """Wait until the accept queue is empty. A busy loop needs a while: uvloop accepts one connection per turn."""
    deadline = asyncio.get_running_loop().time() + _ACCEPT_TIMEOUT
    await _wait(force, _HANDSHAKE_TIME)
    while runner.queued_connections and asyncio.get_running_loop().time() < deadline and not force.is_set():
        await _wait(force, _HANDSHAKE_TIME)


async def _wait_for_answers(
    runner: Runner, state: Drain, limit: float, force: asyncio.Event, *, min_idle: float
) -> None:
    """Wait until no connection is open and no background job runs, at most `limit` seconds; close idle connections."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + limit
    while (runner.connections or _background_jobs(state)) and clock() < deadline and not force.is_set():
        for connection in runner.connections:
            connection.close_if_idle(min_idle)
        await _wait(force, _POLL_INTERVAL)


def _background_jobs(state: Drain) -> int:
    return sum(count() for count in state.background_jobs)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
