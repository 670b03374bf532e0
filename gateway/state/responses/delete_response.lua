-- Deletes a response. Returns 1 if it existed.
-- KEYS: hash of the response.
return redis.call('DEL', KEYS[1])
