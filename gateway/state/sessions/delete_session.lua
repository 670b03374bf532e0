-- Deletes a conversation. Returns the number of its entries. `scripts.py` describes the keys.
local entries = redis.call('LLEN', KEYS[2])
if entries > 0 then redis.call('DEL', KEYS[1], KEYS[2]) end
return entries
