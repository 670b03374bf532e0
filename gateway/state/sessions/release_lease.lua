-- Removes the token from the queue and releases the lease if the token holds it. `scripts.py` describes the keys.
-- ARGV: token, time to live (ms).
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
    redis.call('HDEL', KEYS[1], 'holder', 'until')
    if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        redis.call('PEXPIRE', KEYS[2], ARGV[2])
    end
end
return 1
