-- Takes the lease of a new run.
-- KEYS: list of events, lease. ARGV: lease duration (ms).
redis.call('SET', KEYS[2], 'held', 'PX', ARGV[1])
return 1
