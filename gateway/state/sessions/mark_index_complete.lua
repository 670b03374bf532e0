-- Records that the index is complete, with the time of the next scan as the marker's score.
-- KEYS: sorted set of all conversations. ARGV: marker, time until the next scan (ms), retention (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
