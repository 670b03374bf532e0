-- Returns 1 while no scan is due.
-- KEYS: sorted set of all conversations. ARGV: marker.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) > now and 1 or 0
