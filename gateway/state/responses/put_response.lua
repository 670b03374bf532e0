-- Stores a response. Without '1' as the second argument only if the response exists. Returns 1 if it was stored.
-- KEYS: hash of the response. ARGV: time to live (ms), '1' for a new response, field names and values.
if ARGV[2] == '0' and redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
