-- Removes a conversation from the index.
-- KEYS: sorted set of all conversations, sorted set of the owner's. ARGV: printed session key.
for _, set in ipairs(KEYS) do redis.call('ZREM', set, ARGV[1]) end
return 1
