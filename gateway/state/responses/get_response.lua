-- Returns the bytes of the response's values, and its fields: names and values in turn, none for a large response.
-- KEYS: hash of the response. ARGV: bytes above which a response is large, -1 if none is.
local fields = redis.call('HGETALL', KEYS[1])
local size = 0
for index = 2, #fields, 2 do size = size + #fields[index] end
local limit = tonumber(ARGV[1])
if limit >= 0 and size > limit then fields = {} end
return {size, fields}
