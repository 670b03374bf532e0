-- Deletes a run's events and lease. Returns the number of deleted keys.
-- KEYS: list of events, lease.
return redis.call('UNLINK', KEYS[1], KEYS[2])
