-- KEYS: hash of name -> digest and record, hash of the version, hash of last uses. ARGV: name, its digest or ''
-- Returns the new version, 0 if there is no such key.
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored or (ARGV[2] ~= '' and string.sub(stored, 1, 64) ~= ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
local version = redis.call('HGET', KEYS[2], 'version')
if not version or #version > 18 or not string.find(version, '^%d+$') then -- damaged or lost: another one than before
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[2], 'version', string.format('%.0f', time[1] * 1000000 + time[2]))
end
return redis.call('HINCRBY', KEYS[2], 'version', 1)
