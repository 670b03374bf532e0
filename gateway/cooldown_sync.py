"""Shares cooldowns between instances over Redis: one message when a cooldown begins, one when it ends.

No request asks Redis: whether a candidate cools down is decided in the process, from what was learnt
(`gateway.runs.cooldowns`). An instance that starts, or finds Redis again, reads the cooldowns that still last.

Shared are candidate, time and kind of failure; never a text, which was for one client. Kinds that say something about
this instance or its own key only (connecting, DNS, TLS, file descriptors, refused keys) are neither published nor
accepted (`gateway.runs.failover`).
"""

import secrets
from typing import Any

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.upstream_error import UpstreamKind
from gateway.runs.cooldowns import Cooldowns, SharedCooldown
from gateway.runs.failover import SHARED_KINDS
from ratelimit import Link, Script
from ratelimit.link import Ask
from ratelimit.pipeline import Argument

COOLDOWNS = Script("""
-- KEYS[1]: hash of unit -> "<end in ms> <message>". ARGV: "publish", unit, ms (0 ends it), channel, message | "list"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] == 'publish' then
  local ms = tonumber(ARGV[3])
  if ms > 0 then
    redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f %s', now + ms, ARGV[5]))
    redis.call('PEXPIRE', KEYS[1], 900000)
  else
    redis.call('HDEL', KEYS[1], ARGV[2])
  end
  return redis.call('PUBLISH', ARGV[4], ARGV[5])
end
local lasting, all = {}, redis.call('HGETALL', KEYS[1])
for index = 1, #all, 2 do
  local ends, message = string.match(all[index + 1], '^(%d+) (.*)$')
  if tonumber(ends) > now then
    lasting[#lasting + 1] = ends - now
    lasting[#lasting + 1] = message
  else
    redis.call('HDEL', KEYS[1], all[index])
  end
end
return lasting
""")

_PREFIX = b"cooldown "  # others use the link's channel, too
_MAX_UNIT = 1000  # characters; a longer name is no candidate of ours
_SLOWER = 1.1  # the instance that found out makes the probe: the others give it a moment


class CooldownSync:
    """Keeps the cooldowns of this process in step with those of the others (`ratelimit.link.Peer`)."""

    def __init__(self, link: Link, cooldowns: Cooldowns) -> None:
        self._link = link
        self._cooldowns = cooldowns
        self._own = secrets.token_hex(8)
        cooldowns.share(self._publish)
        link.add(self)

    @property
    def behind(self) -> bool:
        """See Peer: a cooldown is over sooner than it would be worth publishing late."""
        return False

    async def join(self, ask: Ask) -> None:
        """See Peer: learn the cooldowns that last."""
        listed = await ask(COOLDOWNS, [self._key()], ["list"])
        for milliseconds, message in zip(listed[::2], listed[1::2], strict=True):
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
        fields = {"from": self._own, "unit": shared.unit, "seconds": shared.seconds, "kind": shared.kind.value}
        message = _PREFIX + dumps(fields)
        milliseconds = round(shared.seconds * 1000)
        arguments: list[Argument] = ["publish", shared.unit, milliseconds, self._link.channel, message]
        self._link.post(COOLDOWNS, [self._key()], arguments)

    def _learn(self, message: bytes, remaining: float | None) -> None:
        """`remaining` are the seconds that a cooldown still lasts, None when it has just begun."""
        if not message.startswith(_PREFIX):
            return
        try:
            fields: Any = loads(message.removeprefix(_PREFIX))
            seconds = float(fields["seconds"]) if remaining is None else remaining
            shared = SharedCooldown(str(fields["unit"]), seconds * _SLOWER, UpstreamKind(fields["kind"]))
            own = fields["from"] == self._own
        except (InvalidJSON, KeyError, TypeError, ValueError):
            return  # another version's
        if not own and shared.kind in SHARED_KINDS and len(shared.unit) <= _MAX_UNIT:
            self._cooldowns.learn(shared)
