-- Returns the state of the lease, and the events from the first to the last index.
-- The state: 0 there is no such run, 1 the run has ended, 2 the lease has expired, 3 the lease is valid.
-- KEYS: list of events, lease. ARGV: first index, last index, lease (ms).
local state = 2
local lease = redis.call('GET', KEYS[2])
local remaining = redis.call('PTTL', KEYS[2])
if lease == 'ended' then
  state = 1
elseif lease ~= 'cancelling' and remaining > 0 and remaining <= tonumber(ARGV[3]) then
  state = 3
elseif not lease and redis.call('EXISTS', KEYS[1]) == 0 then
  state = 0
end
return {state, redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])}
