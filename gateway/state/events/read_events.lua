-- Returns whether the lease exists, and the events from the first to the last index.
-- KEYS: list of events, lease. ARGV: first index, last index.
return {redis.call('EXISTS', KEYS[2]), redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])}
