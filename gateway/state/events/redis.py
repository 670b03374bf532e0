"""Events in Redis: a list and a lease for each run, both in one slot of a cluster."""

import hashlib
from collections.abc import Sequence
from typing import cast

from gateway.state.events.store import PAGE, EventPolicy, Standing, Told
from gateway.state.link import RedisLink, RedisScript

_MOST = 500  # events in one call: a script's stack holds some thousands

# KEYS: the list, the lease, whose value is `held` or `cancelled`. Times are milliseconds.
_BEGIN = RedisScript("redis.call('SET', KEYS[2], 'held', 'PX', ARGV[1]) return 1")
# ARGV: number of the first event, lease, keep, whether they are the last, the events. Those that an earlier try of the
# same call has added already are passed over. A lease that ran out is taken up again if nobody has ended the run.
_ADD = RedisScript("""
local lease = redis.call('GET', KEYS[2])
local known = redis.call('LLEN', KEYS[1]) - tonumber(ARGV[1])
if not lease then
  local ours = known == 0 or (known > 0 and known <= #ARGV - 4 and redis.call('LINDEX', KEYS[1], -1) == ARGV[4 + known])
  if not ours then return 'lost' end
  lease = 'held'
end
for place = 5 + known, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[place]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if ARGV[4] == '1' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], lease, 'PX', ARGV[2]) end
return lease
""")
_READ = RedisScript("return {redis.call('EXISTS', KEYS[2]), redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])}")
_CANCEL = RedisScript("""
local left = redis.call('PTTL', KEYS[2])
if left > 0 then redis.call('SET', KEYS[2], 'cancelled', 'PX', left) end
return 1
""")
# ARGV: number, keep, event.
_FINISH = RedisScript("""
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
""")


class RedisEvents:
    """See EventLog. `prefix` begins all keys."""

    def __init__(self, link: RedisLink, policy: EventPolicy, *, prefix: str) -> None:
        self._link = link
        self._lease = int(policy.lease * 1000)
        self._keep = int(policy.keep * 1000)
        self._prefix = prefix

    async def begin(self, name: str) -> None:
        """See EventLog."""
        await self._link.run(_BEGIN, self._keys(name), [self._lease])

    async def add(self, name: str, number: int, events: Sequence[bytes], *, last: bool = False) -> Standing:
        """See EventLog."""
        standing: Standing = "held"
        for start in range(0, max(1, len(events)), _MOST):
            piece = events[start : start + _MOST]
            ends = "1" if last and start + _MOST >= len(events) else "0"
            words = [number + start, self._lease, self._keep, ends, *piece]
            answer: bytes = await self._link.run(_ADD, self._keys(name), words)
            standing = cast(Standing, answer.decode())
            if standing == "lost":
                break
        return standing

    async def read(self, name: str, number: int) -> Told:
        """See EventLog."""
        last = number + PAGE - 1 if number >= 0 else -1
        held, events = await self._link.run(_READ, self._keys(name), [number, last])
        return Told(tuple(events), bool(held))

    async def cancel(self, name: str) -> None:
        """See EventLog."""
        await self._link.run(_CANCEL, self._keys(name))

    async def finish(self, name: str, number: int, event: bytes) -> bool:
        """See EventLog."""
        return bool(await self._link.run(_FINISH, self._keys(name), [number, self._keep, event]))

    def _keys(self, name: str) -> list[str]:
        digest = hashlib.sha256(name.encode()).hexdigest()[:40]
        return [f"{self._prefix}:response-events:{{{digest}}}", f"{self._prefix}:response-lease:{{{digest}}}"]
