-- Gives the lease to the token, if the lease is free and no earlier request waits; else queues the token.
-- Returns {1, entries}, or {0, position in the queue, end of a lease that is not valid}. `scripts.py` describes the keys.
-- A lease that has expired by this clock is taken over only if its end is ARGV[5]: the caller has seen for a while that
-- nobody renewed it. A lease is valid if it has not more time left than a new one: else the clock went back.
-- ARGV: token, lease (ms), how long a waiting token counts as alive (ms), time to live (ms), end of the lost lease,
-- shortest time to live (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local facts = redis.call('HMGET', KEYS[1], 'holder', 'until')
local expiry = tonumber(ARGV[6])
local lapsed = ''
if facts[1] and not (tonumber(facts[2]) > now and tonumber(facts[2]) <= now + ARGV[2]) then lapsed = facts[2] end
if facts[1] ~= ARGV[1] then
    local blocked = facts[1] and (lapsed == '' or lapsed ~= ARGV[5])
    while not blocked do
        local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
        if not first or first == ARGV[1] then break end
        local alive = redis.call('HGET', KEYS[4], first)
        if alive and tonumber(alive) > now and tonumber(alive) <= now + ARGV[3] then
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
        redis.call('PEXPIRE', KEYS[3], expiry)
        redis.call('PEXPIRE', KEYS[4], expiry)
        return {0, redis.call('ZRANK', KEYS[3], ARGV[1]), lapsed}
    end
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', now + ARGV[2])
local entries = redis.call('LRANGE', KEYS[2], 0, -1)
if #entries > 0 then expiry = math.max(expiry, tonumber(ARGV[4])) end
redis.call('PEXPIRE', KEYS[1], expiry)
redis.call('PEXPIRE', KEYS[2], expiry)
return {1, entries}
