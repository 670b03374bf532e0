-- KEYS: hash of name -> digest and record, hash of the version. ARGV: name, digest and record, the most keys
-- Returns the new version, 0 if another key has the name, -1 if there is no room.
local version = redis.call('HGET', KEYS[2], 'version')
if version and (#version > 18 or not string.find(version, '^%d+$')) then version = false end -- it is damaged
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored == ARGV[2] and version then
  return version -- this call was here before, and its answer got lost
end
if stored and stored ~= ARGV[2] then return 0 end
if not stored and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
-- A Redis that lost its data, or has a damaged version, begins with another version than before.
if not version then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[2], 'version', string.format('%.0f', time[1] * 1000000 + time[2]))
end
return redis.call('HINCRBY', KEYS[2], 'version', 1)
