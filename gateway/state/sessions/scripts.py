"""The Lua scripts of conversations in Redis, for Redis 6.2. Times are the server's own: instances' clocks may differ.

KEYS of each: 1 a hash of facts, 2 the list of entries, 3 the sorted set of those who wait, by their arrival, 4 a hash
of until when each of them counts as alive, by token. All share a hash tag, so that a cluster keeps them together. Among
the facts, `holder` is the token of the lease and `until` its end (milliseconds).
"""

from gateway.state.link import RedisScript

NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
"""The beginning of a script that needs the server's time."""

ACQUIRE = RedisScript(
    NOW
    + """
-- ARGV: token, lease (ms), how long who waits counts as alive (ms), time to live (ms)
local facts = redis.call('HMGET', KEYS[1], 'holder', 'until')
local brief = ARGV[2] + 2 * ARGV[3] -- what nobody looks after goes by itself
if facts[1] ~= ARGV[1] then
    local blocked = facts[1] and tonumber(facts[2]) > now
    while not blocked do
        local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
        if not first or first == ARGV[1] then break end
        local alive = redis.call('HGET', KEYS[4], first)
        if alive and tonumber(alive) > now then
            blocked = true
        else
            redis.call('ZREM', KEYS[3], first)
            redis.call('HDEL', KEYS[4], first)
        end
    end
    if blocked then
        if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then
            local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
            redis.call('ZADD', KEYS[3], (tonumber(last[2]) or 0) + 1, ARGV[1])
        end
        redis.call('HSET', KEYS[4], ARGV[1], now + ARGV[3])
        redis.call('PEXPIRE', KEYS[3], brief)
        redis.call('PEXPIRE', KEYS[4], brief)
        return {0, redis.call('ZRANK', KEYS[3], ARGV[1])}
    end
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', now + ARGV[2])
local entries = redis.call('LRANGE', KEYS[2], 0, -1)
if #entries > 0 then brief = math.max(brief, tonumber(ARGV[4])) end
redis.call('PEXPIRE', KEYS[1], brief)
redis.call('PEXPIRE', KEYS[2], brief)
return {1, entries}
"""
)

RENEW = RedisScript(
    NOW
    + """
-- ARGV: token, lease (ms), how long facts without entries outlive their lease (ms)
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
    NOW
    + """
-- KEYS 5 remembers for ARGV 6 (ms) what was added.
-- ARGV: token, entry, most bytes, time to live (ms), key as printed, how long it is remembered
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
    -- Added before, only the answer got lost?
    return redis.call('GET', KEYS[5]) == redis.sha1hex(ARGV[2]) and 1 or 0
end
local entries = redis.call('RPUSH', KEYS[2], ARGV[2])
local bytes = 0
if entries > 1 and redis.call('HEXISTS', KEYS[1], 'bytes') == 1 then
    bytes = redis.call('HGET', KEYS[1], 'bytes') + #ARGV[2]
else -- the first one, or a Redis that evicts keys has lost one of the two
    for _, entry in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do bytes = bytes + #entry end
end
while bytes > tonumber(ARGV[3]) and entries > 1 do
    bytes = bytes - #redis.call('LPOP', KEYS[2])
    entries = entries - 1
end
redis.call('HDEL', KEYS[1], 'holder', 'until')
redis.call('HSETNX', KEYS[1], 'created', now)
redis.call('HSET', KEYS[1], 'updated', now, 'bytes', bytes, 'key', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('SET', KEYS[5], redis.sha1hex(ARGV[2]), 'PX', ARGV[6])
return 1
"""
)

RELEASE = RedisScript("""
-- ARGV: token
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
    redis.call('HDEL', KEYS[1], 'holder', 'until')
end
return 1
""")

READ = RedisScript("""
local facts = redis.call('HMGET', KEYS[1], 'created', 'updated', 'bytes')
return {facts, redis.call('LRANGE', KEYS[2], 0, -1)}
""")

COUNT = RedisScript("""
local facts = redis.call('HMGET', KEYS[1], 'created', 'updated', 'bytes')
return {facts, redis.call('LLEN', KEYS[2])}
""")

DELETE = RedisScript("""
local entries = redis.call('LLEN', KEYS[2])
if entries > 0 then redis.call('DEL', KEYS[1], KEYS[2]) end
return entries
""")
