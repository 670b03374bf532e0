-- KEYS: hash of name -> digest and record, hash of the version, hash of last uses. ARGV: name, its digest or ''
-- Returns the new version, 0 if there is no such key.
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored or (ARGV[2] ~= '' and string.sub(stored, 1, 64) ~= ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('HINCRBY', KEYS[2], 'version', 1)
