-- Asks the lease holder to stop. The lease keeps its remaining time.
-- KEYS: list of events, lease.
local remaining = redis.call('PTTL', KEYS[2])
if remaining > 0 then redis.call('SET', KEYS[2], 'cancelled', 'PX', remaining) end
return 1
