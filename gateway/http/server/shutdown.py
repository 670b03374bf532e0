"""The way out of a process: say so, stop accepting, let answers finish, and tell those that can't why they end."""

import asyncio
from dataclasses import dataclass

import structlog

from gateway.http.server.connections import Runner
from gateway.http.server.drain import Drain

log = structlog.get_logger(__name__)

_LOOK = 0.05  # seconds between two looks at what is still open
_SETTLE = 0.02  # seconds in which connections that are just being made arrive in the queue
_LAST_WORDS = 2.0  # seconds in which an interrupted answer may still tell its failure


@dataclass(frozen=True, slots=True)
class DrainPolicy:
    """`notice`: seconds in which new connections are still accepted, so that proxies notice. `limit`: seconds that
    running answers get after that.
    """

    notice: float
    limit: float


async def drain(runner: Runner, state: Drain, policy: DrainPolicy, hurry: asyncio.Event, *, notice: bool) -> None:
    """Bring `runner` to where its cleanup ends nobody's answer; `hurry` ends every wait.

    Idle connections are closed once they have rested for the time of the notice, by whom they belong to or by us:
    a proxy that gives its idle connections up sooner than that never has one closed under its hands.
    """
    state.begun = True
    log.info("draining", notice_s=policy.notice if notice else 0, limit_s=policy.limit)
    if notice:
        await _unless(hurry, policy.notice)
    if runner.stop_accepting():
        await _unless(hurry, _SETTLE)
    await runner.stop_listening()
    state.shut = True
    loop = asyncio.get_running_loop()
    end = loop.time() + policy.limit
    while (runner.connections or _elsewhere(state)) and loop.time() < end and not hurry.is_set():
        for connection in runner.connections:
            connection.close_if_idle(policy.notice if notice else 0.0)
        await _unless(hurry, _LOOK)
    state.over = True
    if count := _elsewhere(state):
        log.warning("runs in the background are cut off", count=count, limit_s=policy.limit, hurried=hurry.is_set())
    if unfinished := [connection for connection in runner.connections if connection.busy]:
        log.warning("answers are cut off", count=len(unfinished), limit_s=policy.limit, hurried=hurry.is_set())
        for connection in unfinished:
            connection.interrupt()
        end = loop.time() + _LAST_WORDS
        while any(connection.busy for connection in unfinished) and loop.time() < end:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(_LOOK)


def _elsewhere(state: Drain) -> int:
    return sum(count() for count in state.elsewhere)


async def _unless(event: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or until the event."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
