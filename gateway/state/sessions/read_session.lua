-- Returns the facts of a conversation (created, updated, bytes) and its entries. `scripts.py` describes the keys.
local facts = redis.call('HMGET', KEYS[1], 'created', 'updated', 'bytes')
return {facts, redis.call('LRANGE', KEYS[2], 0, -1)}
