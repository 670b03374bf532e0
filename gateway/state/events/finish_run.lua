-- Adds the final event of a run without a valid lease. Returns 0 if the run has one or other events were added.
-- KEYS: list of events, lease. ARGV: number of the event, retention (ms), event, lease (ms).
local remaining = redis.call('PTTL', KEYS[2])
local valid = remaining > 0 and remaining <= tonumber(ARGV[4])
local lease = redis.call('GET', KEYS[2])
if valid and lease ~= 'ended' and lease ~= 'cancelling' then return 0 end
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], 'ended', 'PX', ARGV[2])
return 1
