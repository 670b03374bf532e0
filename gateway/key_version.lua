-- KEYS[1]: the hash with the version of the stored client keys. ARGV: channel and message, or nothing to read only
if ARGV[1] then redis.call('PUBLISH', ARGV[1], ARGV[2]) end
local version = redis.pcall('HGET', KEYS[1], 'version')
if type(version) == 'table' then return 0 end -- a foreign key of this name must not cost the instances their link
return version or 0
