-- Adds events and renews the lease, or releases it after the last event. Returns the state of the lease.
-- Skips events that an earlier attempt of the same call has added. Restores an expired lease if nobody ended the run.
-- KEYS: list of events, lease. ARGV: number of the first event, lease (ms), retention (ms), '1' for the last, events.
local lease = redis.call('GET', KEYS[2])
local added = redis.call('LLEN', KEYS[1]) - tonumber(ARGV[1])
if lease == 'cancelling' then lease = 'cancelled' end
if not lease or lease == 'ended' then
  local ours = added > 0 and added <= #ARGV - 4 and redis.call('LINDEX', KEYS[1], -1) == ARGV[4 + added]
  if not ours and (lease or added ~= 0) then return 'lost' end
  lease = 'held'
end
for index = 5 + added, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[index]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if ARGV[4] == '1' then
  redis.call('SET', KEYS[2], 'ended', 'PX', ARGV[3])
else
  redis.call('SET', KEYS[2], lease, 'PX', ARGV[2])
end
return lease
