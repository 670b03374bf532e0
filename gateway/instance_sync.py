"""The instances that share one Redis: each writes a few facts about itself at every heartbeat and reads all.

An instance that ends is listed for five more seconds.
"""

import os
import platform
import secrets
import time
from collections.abc import Callable
from typing import Any

from gateway import __version__
from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.state.script import load_script
from openclaw_ratelimit import Ask, ReplicationLink

INSTANCES = load_script(__file__, "sync_instances")

_FORGET_AFTER = 5000  # milliseconds


class InstanceSync:
    """See `openclaw_ratelimit.Peer`. `generation` returns that of the configuration in force, 0 before any."""

    def __init__(self, link: ReplicationLink, generation: Callable[[], int], *, own: str | None = None) -> None:
        self._link = link
        self._generation = generation
        self._own = own or secrets.token_hex(8)
        self._others: dict[str, dict[str, Any]] = {}
        link.add(self)

    def instances(self) -> list[dict[str, Any]]:
        """The facts of this instance, then those of the others as they were at the last heartbeat."""
        others = sorted(self._others.items(), key=lambda one: (str(one[1].get("host")), one[0]))
        return [own_facts(self._generation()), *({**facts, "self": False} for _, facts in others)]

    @property
    def behind(self) -> bool:
        """See Peer."""
        return False

    async def join(self, ask: Ask) -> None:
        """See Peer."""
        await self.beat(ask)

    async def catch_up(self, ask: Ask) -> None:
        """See Peer."""

    async def hear(self, message: bytes) -> None:
        """See Peer."""

    async def beat(self, ask: Ask) -> None:
        """See Peer. Never finds a difference: facts are for people."""
        facts = dumps({**own_facts(self._generation()), "self": None})
        reply = await ask(INSTANCES, [self._link.key("instances")], [self._own, facts, _FORGET_AFTER])
        self._others = {}
        for name, text in zip(reply[::2], reply[1::2], strict=True):
            try:
                others: Any = loads(bytes(text))
            except InvalidJSON:
                continue  # of another version
            if isinstance(others, dict) and (own := bytes(name).decode("utf-8", "replace")) != self._own:
                self._others[own] = others


def own_facts(generation: int) -> dict[str, Any]:
    """What an instance shows of itself: `host`, `process`, `version`, `started_at` in Unix time, and `generation`."""
    return {
        "host": platform.node(),
        "process": os.getpid(),
        "version": __version__,
        "started_at": _STARTED,
        "generation": generation,
        "self": True,
    }


_STARTED = int(time.time())
