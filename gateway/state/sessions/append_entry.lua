-- Adds an entry and releases the lease. Returns 0 if the token does not hold the lease. `scripts.py` describes the keys.
-- KEYS[5] stores the digest of the added entry for ARGV[6] ms, so that a repeated call adds nothing.
-- ARGV: token, entry, maximum bytes, time to live (ms), printed session key, how long the digest is stored (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
    -- An earlier attempt may have added the entry, and only its result got lost.
    return redis.call('GET', KEYS[5]) == redis.sha1hex(ARGV[2]) and 1 or 0
end
local entries = redis.call('RPUSH', KEYS[2], ARGV[2])
local bytes = 0
if entries > 1 and redis.call('HEXISTS', KEYS[1], 'bytes') == 1 then
    bytes = redis.call('HGET', KEYS[1], 'bytes') + #ARGV[2]
else -- this is the first entry, or a Redis that evicts keys has lost one of the two keys
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
