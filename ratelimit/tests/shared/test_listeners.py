"""What listeners of events receive, and what happens when one raises."""

from openclaw_ratelimit import EventKind, FailureLimiter, ReplicationLink
from support.instances import POLICY, client, until


async def test_a_listener_that_raises_is_logged_and_ends_nothing(server, caplog):
    def broken(event):
        raise ZeroDivisionError(event.kind)

    async with client(server) as one:
        link = ReplicationLink(one, name="test", on_event=broken, max_backoff=0.05)
        limiter = FailureLimiter(POLICY, link=link, on_event=broken)
        async with link:
            assert [(await limiter.record_failure("a")).allowed for _ in range(4)] == [True, True, True, False]
            await server.restart()
            await until(lambda: not link.available or limiter.locked_for("a"))
            await until(lambda: link.available)
    assert "ZeroDivisionError" in caplog.text


async def test_events_tell_what_happens(server):
    events = []
    async with client(server) as one:
        link = ReplicationLink(one, name="test", on_event=events.append)
        limiter = FailureLimiter(POLICY, link=link, on_event=events.append)
        async with link:
            for _ in range(4):
                await limiter.record_failure("a")
            await limiter.unlock("a")
            await server.stop()
            await until(lambda: not link.available)
    kinds = [event.kind for event in events]
    failure = EventKind.FAILURE
    assert kinds == [
        EventKind.BACK, failure, failure, failure,
        EventKind.LOCKED, EventKind.REFUSED, EventKind.RELEASED, EventKind.AWAY,
    ]  # fmt: skip
    assert events[4] == (EventKind.LOCKED, "failures", "a", 300.0, "")


async def test_without_a_listener_locks_and_outages_are_logged(server, caplog):
    caplog.set_level("INFO", "openclaw_ratelimit")
    async with client(server) as one:
        link = ReplicationLink(one, name="test")
        limiter = FailureLimiter(POLICY, link=link)
        async with link:
            for _ in range(3):
                await limiter.record_failure("a")
            await limiter.unlock("a")
            await server.stop()
            await until(lambda: not link.available)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines[:3] == [
        ("INFO", "test: Redis is in use"),
        ("INFO", "failures: locked 'a' for 300 s"),
        ("INFO", "failures: released 'a'"),
    ]
    assert lines[3][0] == "WARNING"
    assert lines[3][1].startswith("test: Redis is away, this instance decides alone: ")
