-- Adds a conversation to the index, and removes the expired ones.
-- KEYS: sorted set of all conversations, sorted set of the owner's. Scores are times of the last use (ms).
-- ARGV: printed session key, retention (ms), time of the last use (ms; '' for now).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, set in ipairs(KEYS) do
    if ARGV[3] == '' then redis.call('ZADD', set, now, ARGV[1]) else redis.call('ZADD', set, 'NX', ARGV[3], ARGV[1]) end
    redis.call('ZREMRANGEBYSCORE', set, '-inf', now - ARGV[2])
    redis.call('PEXPIRE', set, ARGV[2])
end
return 1
