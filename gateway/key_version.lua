-- KEYS[1]: the hash with the version of the stored client keys. ARGV: channel and message, or nothing to read only
if ARGV[1] then redis.call('PUBLISH', ARGV[1], ARGV[2]) end
return redis.call('HGET', KEYS[1], 'version') or 0
