"""What instances tell each other about models that rest: one message when a rest begins, one when it ends.

Redis is told, never asked: whether a candidate rests is decided in the process, from what was heard
(`gateway.agents.circuit`). An instance that starts, or finds Redis again, reads the rests that still last.
"""

import secrets
from typing import Any

from gateway.agents.circuit import Circuits, Rest
from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.upstream_error import UpstreamKind
from openclaw_ratelimit import Argument, Ask, ReplicationLink, Script

RESTS = Script("""
-- KEYS[1]: hash of name -> "<end in ms> <message>". ARGV: "tell", name, ms (0 ends it), channel, message | "list"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] == 'tell' then
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
for place = 1, #all, 2 do
  local ends, message = string.match(all[place + 1], '^(%d+) (.*)$')
  if tonumber(ends) > now then
    lasting[#lasting + 1] = ends - now
    lasting[#lasting + 1] = message
  else
    redis.call('HDEL', KEYS[1], all[place])
  end
end
return lasting
""")

_KIND = b"rest "  # the channel is the link's, and others use it, too
_LONGEST_MESSAGE = 500
_LATER = 1.1  # who found out first makes the probe: the others give it a moment


class SharedRests:
    """Keeps the circuits of this process in step with those of the others (`openclaw_ratelimit.Peer`)."""

    def __init__(self, link: ReplicationLink, circuits: Circuits) -> None:
        self._link = link
        self._circuits = circuits
        self._own = secrets.token_hex(8)
        circuits.share(self._tell)
        link.add(self)

    @property
    def behind(self) -> bool:
        """See Peer: a rest is over sooner than it would be worth telling of late."""
        return False

    async def join(self, ask: Ask) -> None:
        """See Peer: hear of the rests that last."""
        found = await ask(RESTS, [self._key()], ["list"])
        for left, message in zip(found[::2], found[1::2], strict=True):
            self._learn(bytes(message), int(left) / 1000)

    async def catch_up(self, ask: Ask) -> None:
        """See Peer."""

    async def hear(self, message: bytes) -> None:
        """See Peer."""
        self._learn(message, None)

    async def beat(self, ask: Ask) -> None:
        """See Peer."""

    def _key(self) -> str:
        return self._link.key("rests")

    def _tell(self, rest: Rest) -> None:
        said = {
            "from": self._own,
            "name": rest.name,
            "seconds": rest.seconds,
            "kind": rest.kind.value,
            "message": rest.message[:_LONGEST_MESSAGE],
        }
        message = _KIND + dumps(said)
        arguments: list[Argument] = ["tell", rest.name, round(rest.seconds * 1000), self._link.channel, message]
        self._link.post(RESTS, [self._key()], arguments)

    def _learn(self, message: bytes, left: float | None) -> None:
        """`left` are the seconds that a rest still lasts, None: it has just begun."""
        if not message.startswith(_KIND):
            return
        try:
            said: Any = loads(message.removeprefix(_KIND))
            seconds = float(said["seconds"]) if left is None else left
            rest = Rest(str(said["name"]), seconds * _LATER, UpstreamKind(said["kind"]), str(said["message"]))
            own = said["from"] == self._own
        except (InvalidJSON, KeyError, TypeError, ValueError):
            return  # another version's
        if not own:
            self._circuits.learn(rest)
