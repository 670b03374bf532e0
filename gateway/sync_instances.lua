-- KEYS[1]: hash of id -> "<time in ms> <facts>". ARGV: own id, own facts, milliseconds until one is forgotten
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[2]))
local live, all = {}, redis.call('HGETALL', KEYS[1])
for index = 1, #all, 2 do
  local seen, facts = string.match(all[index + 1], '^(%d+) (.*)$')
  if seen and now - seen <= tonumber(ARGV[3]) then
    live[#live + 1] = all[index]
    live[#live + 1] = facts
  else
    redis.call('HDEL', KEYS[1], all[index])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return live
