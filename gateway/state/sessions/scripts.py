"""The Lua scripts of conversations in Redis, for Redis 6.2. Times are the server's own: instances' clocks may differ.

KEYS of each: 1 a hash of facts, 2 the list of entries, 3 the sorted set of those who wait, by their arrival. All three
share a hash tag, so that a cluster keeps them together. In the hash, `holder` is the token of the lease and `until`
its end (milliseconds); `w:<token>` is until when somebody who waits counts as alive; `last` is the token of the lease
under which the last entry was added.
"""

from gateway.state.script import RedisScript

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

ACQUIRE = RedisScript(
    _NOW
    + """
-- ARGV: token, lease (ms), how long who waits counts as alive (ms), time to live (ms)
local facts = redis.call('HMGET', KEYS[1], 'holder', 'until')
local mine = facts[1] == ARGV[1]
if not mine then
    local blocked = facts[1] and tonumber(facts[2]) > now
    while not blocked do
        local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
        if not first or first == ARGV[1] then break end
        local alive = redis.call('HGET', KEYS[1], 'w:' .. first)
        if alive and tonumber(alive) > now then
            blocked = true
        else
            redis.call('ZREM', KEYS[3], first)
            redis.call('HDEL', KEYS[1], 'w:' .. first)
        end
    end
    if blocked then
        if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then
            local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
            redis.call('ZADD', KEYS[3], (tonumber(last[2]) or 0) + 1, ARGV[1])
        end
        redis.call('HSET', KEYS[1], 'w:' .. ARGV[1], now + ARGV[3])
        redis.call('PEXPIRE', KEYS[3], ARGV[2] + 2 * ARGV[3])
        return {0, redis.call('ZRANK', KEYS[3], ARGV[1])}
    end
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[1], 'w:' .. ARGV[1])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', now + ARGV[2])
local entries = redis.call('LRANGE', KEYS[2], 0, -1)
if #entries > 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    redis.call('PEXPIRE', KEYS[2], ARGV[4])
else
    redis.call('PEXPIRE', KEYS[1], ARGV[2] + 2 * ARGV[3])
end
return {1, entries}
"""
)

RENEW = RedisScript(
    _NOW
    + """
-- ARGV: token, lease (ms), how long a hash without entries outlives its lease (ms)
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) + tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2] + ARGV[3])
    redis.call('PEXPIRE', KEYS[2], ARGV[2] + ARGV[3])
end
return 1
"""
)

APPEND = RedisScript(
    _NOW
    + """
-- ARGV: token, entry, most bytes, time to live (ms), key as printed
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
    -- Added before, only the answer got lost?
    return redis.call('HGET', KEYS[1], 'last') == ARGV[1] and 1 or 0
end
redis.call('RPUSH', KEYS[2], ARGV[2])
local bytes = redis.call('HINCRBY', KEYS[1], 'bytes', #ARGV[2])
local dropped = 0
while bytes - dropped > tonumber(ARGV[3]) and redis.call('LLEN', KEYS[2]) > 1 do
    dropped = dropped + #redis.call('LPOP', KEYS[2])
end
if dropped > 0 then redis.call('HINCRBY', KEYS[1], 'bytes', -dropped) end
redis.call('HDEL', KEYS[1], 'holder', 'until')
redis.call('HSETNX', KEYS[1], 'created', now)
redis.call('HSET', KEYS[1], 'updated', now, 'last', ARGV[1], 'key', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
"""
)

RELEASE = RedisScript("""
-- ARGV: token
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[1], 'w:' .. ARGV[1])
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
    redis.call('HDEL', KEYS[1], 'holder', 'until')
end
return 1
""")

READ = RedisScript("""
local facts = redis.call('HMGET', KEYS[1], 'key', 'created', 'updated', 'bytes')
return {facts, redis.call('LRANGE', KEYS[2], 0, -1)}
""")

COUNT = RedisScript("""
local facts = redis.call('HMGET', KEYS[1], 'key', 'created', 'updated', 'bytes')
facts[5] = redis.call('LLEN', KEYS[2])
return facts
""")

DELETE = RedisScript("""
local entries = redis.call('LLEN', KEYS[2])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return entries
""")
