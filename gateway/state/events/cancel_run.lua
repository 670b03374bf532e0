-- Asks the lease holder to stop. A valid lease keeps its remaining time; an expired one stays expired.
-- KEYS: list of events, lease. ARGV: how long to remember a request to a holder whose lease has expired (ms).
local lease = redis.call('GET', KEYS[2])
if lease == 'held' then
  redis.call('SET', KEYS[2], 'cancelled', 'PX', math.max(1, redis.call('PTTL', KEYS[2])))
elseif not lease and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SET', KEYS[2], 'cancelling', 'PX', ARGV[1])
end
return 1
