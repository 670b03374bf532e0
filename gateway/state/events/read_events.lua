-- Returns the state of the lease, and the events from the first to the last index, but none after those that together
-- have as many bytes as a page.
-- The state: 0 there is no such run, 1 the run has ended, 2 the lease has expired, 3 the lease is valid.
-- KEYS: list of events, lease. ARGV: first index, last index, lease (ms), bytes of a page, events of one step.
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
local first, last, step = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[5])
if first < 0 then return {state, redis.call('LRANGE', KEYS[1], first, last)} end
local events, size = {}, 0
while first <= last and size < tonumber(ARGV[4]) do
  local read = redis.call('LRANGE', KEYS[1], first, math.min(last, first + step - 1))
  for _, event in ipairs(read) do
    if size >= tonumber(ARGV[4]) then break end
    events[#events + 1] = event
    size = size + #event
  end
  if #read < step then break end
  first = first + step
end
return {state, events}
