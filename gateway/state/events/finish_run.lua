-- Adds the final event of a run without a lease. Returns 0 if the run has a lease or other events were added.
-- KEYS: list of events, lease. ARGV: number of the event, retention (ms), event.
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
