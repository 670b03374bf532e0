-- The server's time in milliseconds, and the correction that makes the shared time of it. `clock.py` explains it.
-- KEYS[1]: the correction. ARGV: "read", time | "correct", time, known correction, new one. The time is "" but in tests.
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call('PEXPIRE', KEYS[1], 2592000000) -- first, because a Redis without memory allows it
local correction = tonumber(redis.call('GET', KEYS[1]) or 0)
if ARGV[1] == 'correct' and correction == tonumber(ARGV[3]) then
  correction = tonumber(ARGV[4])
  redis.call('SET', KEYS[1], ARGV[4], 'PX', 2592000000)
end
return { now, correction }
