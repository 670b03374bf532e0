"""Shares cooldowns between instances over Redis: one message when a cooldown begins, one when it ends.

Requests never wait for Redis: `gateway.runs.cooldowns` holds all known cooldowns in the process. An instance reads the
current cooldowns when it starts and when it reconnects to Redis.

A message has the candidate, the remaining time, the kind of failure, and a digest of the client if all failures are of
one. It has no error text, because that belongs to one client. Kinds that concern only one instance or its key
(connecting, DNS, TLS, file descriptors, refused keys) are neither published nor accepted; the table in
`gateway.runs.failover` marks them.
"""

import secrets
from typing import Any

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.upstream_error import UpstreamKind
from gateway.runs.cooldowns import Cooldowns, SharedCooldown
from gateway.runs.failover import SHARED_KINDS
from gateway.state.script import load_script
from openclaw_ratelimit import Argument, Ask, ReplicationLink

COOLDOWNS = load_script(__file__, "sync_cooldowns")

_PREFIX = b"cooldown "  # other senders use the same channel
_MAX_UNIT = 1000  # characters; no candidate has a longer name
_MAX_CLIENT = 64  # characters of a digest
_SLOWER = 1.1  # other instances wait longer, so that the instance that opened the cooldown probes first


class CooldownSync:
    """Keeps the cooldowns of this process in step with those of the others (`openclaw_ratelimit.Peer`)."""

    def __init__(self, link: ReplicationLink, cooldowns: Cooldowns) -> None:
        self._link = link
        self._cooldowns = cooldowns
        self._own = secrets.token_hex(8)
        cooldowns.share(self._publish)
        link.add(self)

    @property
    def behind(self) -> bool:
        """See Peer. Always False: a cooldown is too short to be published late."""
        return False

    async def join(self, ask: Ask) -> None:
        """See Peer. Reads the current cooldowns."""
        reply = await ask(COOLDOWNS, [self._key()], ["list"])
        for milliseconds, message in zip(reply[::2], reply[1::2], strict=True):
            self._learn(bytes(message), int(milliseconds) / 1000)

    async def catch_up(self, ask: Ask) -> None:
        """See Peer."""

    async def hear(self, message: bytes) -> None:
        """See Peer."""
        self._learn(message, None)

    async def beat(self, ask: Ask) -> None:
        """See Peer."""

    def _key(self) -> str:
        return self._link.key("cooldowns")

    def _publish(self, shared: SharedCooldown) -> None:
        fields = {
            "from": self._own,
            "unit": shared.unit,
            "seconds": shared.seconds,
            "kind": shared.kind.value,
            "client": shared.client,
        }
        message = _PREFIX + dumps(fields)
        milliseconds = round(shared.seconds * 1000)
        arguments: list[Argument] = ["publish", shared.unit, milliseconds, self._link.channel, message]
        self._link.post(COOLDOWNS, [self._key()], arguments)

    def _learn(self, message: bytes, remaining: float | None) -> None:
        """Apply a message. `remaining` is the remaining time of a cooldown in seconds, None if it has just begun."""
        if not message.startswith(_PREFIX):
            return
        try:
            fields: Any = loads(message.removeprefix(_PREFIX))
            seconds = float(fields["seconds"]) if remaining is None else remaining
            client = str(fields.get("client", ""))  # earlier versions don't send it
            shared = SharedCooldown(str(fields["unit"]), seconds * _SLOWER, UpstreamKind(fields["kind"]), client)
            own = fields["from"] == self._own
        except (InvalidJSON, KeyError, TypeError, ValueError):
            return  # a message of another version
        if not own and shared.kind in SHARED_KINDS and len(shared.unit) <= _MAX_UNIT and len(client) <= _MAX_CLIENT:
            self._cooldowns.learn(shared)
