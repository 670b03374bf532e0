-- KEYS[1]: hash of unit -> "<end in ms> <message>". ARGV: "publish", unit, ms (0 ends it), channel, message | "list"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] == 'publish' then
  local ms = tonumber(ARGV[3])
  if ms > 0 then
    redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f %s', now + ms, ARGV[5]))
    redis.call('PEXPIRE', KEYS[1], 900000)
  else
    redis.call('HDEL', KEYS[1], ARGV[2])
  end
  return redis.call('PUBLISH', ARGV[4], ARGV[5])
end
local lasting, all = {}, redis.call('HGETALL', KEYS[1])
for index = 1, #all, 2 do
  local ends, message = string.match(all[index + 1], '^(%d+) (.*)$')
  if tonumber(ends) > now then
    lasting[#lasting + 1] = ends - now
    lasting[#lasting + 1] = message
  else
    redis.call('HDEL', KEYS[1], all[index])
  end
end
return lasting
