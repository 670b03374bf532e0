"""What a limiter, a quota or a link reports while it works: one hook, with logging as its default."""

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

log = logging.getLogger("openclaw_ratelimit")


class EventKind(StrEnum):
    """FAILURE: counted. LOCKED: that failure locked its key. RELEASED: an operator unlocked the key. REFUSED: an
    attempt or a reservation was turned away. AWAY, BACK: the shared storage can't be used, can be used again.
    """

    FAILURE = "failure"
    LOCKED = "locked"
    RELEASED = "released"
    REFUSED = "refused"
    AWAY = "away"
    BACK = "back"


class Event(NamedTuple):
    """`scope` is the limiter's kind, the violated policy, or the link's name; `key` is as it is stored.

    `seconds` is the length of a lock, or the wait of a refusal; `reason` says why the storage is away.
    """

    kind: EventKind
    scope: str
    key: str = ""
    seconds: float = 0.0
    reason: str = ""


Listener = Callable[[Event], object]
"""Called in the moment of the event; must not block. What it raises is logged and changes nothing."""


def log_event(event: Event) -> None:
    """The default listener: the storage's state and locks at WARNING and INFO, single attempts at DEBUG."""
    kind = event.kind
    if kind is EventKind.FAILURE or kind is EventKind.REFUSED:
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s %r", event.scope, kind.value, event.key)
        return
    match kind:
        case EventKind.AWAY:
            log.warning("%s: Redis is away, this instance decides alone: %s", event.scope, event.reason)
        case EventKind.BACK:
            log.info("%s: Redis is in use", event.scope)
        case EventKind.LOCKED:
            log.info("%s: locked %r for %.0f s", event.scope, event.key, event.seconds)
        case EventKind.RELEASED:
            log.info("%s: released %r", event.scope, event.key)


def emit(listener: Listener, event: Event) -> None:
    """Call the listener; its error must not change what is decided here."""
    try:
        listener(event)
    except Exception:
        log.exception("the listener of %s events raised", event.kind.value)
