-- Returns the facts of a conversation (created, updated, bytes) and the number of its entries.
-- `scripts.py` describes the keys.
local facts = redis.call('HMGET', KEYS[1], 'created', 'updated', 'bytes')
return {facts, redis.call('LLEN', KEYS[2])}
