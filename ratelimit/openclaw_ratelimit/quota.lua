-- Quotas that several instances share: every call is one step. `quota_shared.py` documents the calls and their replies.
-- Times are seconds of this server, corrected by what `clock.py` explains.
--
-- A sliding window is "start previous current": when the current window began, what was counted in the one before, what in
-- this one. Runs are a sorted set: each with the time at which its instance must have renewed it. `index` holds all keys
-- with the time at which they end, so that there are never more than `capacity`.
local correction, index, first = KEYS[1], KEYS[2], 3
local op, now = ARGV[1], tonumber(ARGV[2]) -- milliseconds; none but in tests

if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
now = (now + tonumber(redis.call('GET', correction) or 0)) / 1000

local function text(number)
  return string.format('%.17g', number)
end

-- Every call drops what has expired. It also comes first for another reason: a Redis that is out of memory refuses a
-- script at its first write unless that one frees something, and this data is bounded and too dear to stop counting.
redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now))

-- The current window. It starts now if nothing counts in it, or if its start is in the future.
local function window(key, width)
  local start, previous, current = string.match(redis.call('GET', key) or '', '(%S+) (%S+) (%S+)')
  start, previous, current = tonumber(start) or now, tonumber(previous) or 0, tonumber(current) or 0
  local passed = math.floor((now - start) / width)
  if passed > 0 then
    start, previous, current = start + width, passed == 1 and current or 0, 0
  end
  if (previous == 0 and current == 0) or start > now then
    start = now
  end
  return start, previous, current
end

local function list(key, seconds)
  redis.call('ZADD', index, text(now + seconds), key)
  if redis.call('TTL', index) < seconds then
    redis.call('EXPIRE', index, seconds)
  end
end

local function keep(key, width, start, previous, current)
  local words = text(start) .. ' ' .. text(previous) .. ' ' .. text(current)
  redis.call('SET', key, words, 'EX', 2 * width)
  list(key, 2 * width)
end

local function left(start, width)
  return start + width - now
end

local function live(key, lease, run)
  redis.call('ZADD', key, text(now + lease), run)
  redis.call('EXPIRE', key, 2 * lease)
  list(key, 2 * lease)
end

-- The keys to count under: callers for whom there is no room share one key per policy.
local function placed(capacity)
  local keys, new, full = {}, 0, nil
  for i = first, #KEYS do
    keys[i] = KEYS[i]
    if not redis.call('ZSCORE', index, KEYS[i]) then
      full = full or redis.call('ZCARD', index)
      new = new + 1
      if full + new > capacity then
        keys[i] = string.gsub(KEYS[i], '[^:]*$', 'overflow')
      end
    end
  end
  return keys
end

-- { allowed, per key: previous, current, start, seconds left, in the overflow }; for runs their number, nothing else.
if op == 'reserve' then
  local capacity, lease, run = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
  local keys, allowed, counts = placed(capacity), true, {}
  for i = first, #KEYS do
    local at = 3 * (i - first)
    local amount, width, cost = tonumber(ARGV[6 + at]), tonumber(ARGV[7 + at]), tonumber(ARGV[8 + at])
    if width == 0 then
      redis.call('ZREMRANGEBYSCORE', keys[i], '-inf', text(now))
      counts[i] = { 0, 0, redis.call('ZCARD', keys[i]), width, cost }
      allowed = allowed and counts[i][3] + cost <= amount
    else
      local start, previous, current = window(keys[i], width)
      counts[i] = { start, previous, current, width, cost }
      allowed = allowed and math.floor(previous * left(start, width) / width + current) + cost <= amount
    end
  end
  local answer = { allowed and 1 or 0 }
  for i = first, #KEYS do
    local start, previous, current, width, cost = unpack(counts[i])
    if allowed then
      current = current + cost
      if width == 0 then
        live(keys[i], lease, run)
      else
        keep(keys[i], width, start, previous, current)
      end
    end
    answer[#answer + 1], answer[#answer + 2] = previous, current
    answer[#answer + 1], answer[#answer + 2] = text(start), width == 0 and '0' or text(left(start, width))
    answer[#answer + 1] = keys[i] == KEYS[i] and 0 or 1
  end
  return answer
end

-- Per key, with its width: previous, current, seconds left. Nothing is taken.
if op == 'look' then
  local answer = {}
  for i = first, #KEYS do
    local width = tonumber(ARGV[3 + i - first])
    local start, previous, current = window(KEYS[i], width)
    answer[#answer + 1], answer[#answer + 2] = previous, current
    answer[#answer + 1] = text(left(start, width))
  end
  return answer
end

-- Per key: its width and a correction. A run ends; a positive correction counts now, a negative one is subtracted from
-- the window that began at the given time.
if op == 'settle' then
  for i = first, #KEYS do
    local at = 3 * (i - first)
    local width, name, count = tonumber(ARGV[3 + at]), ARGV[4 + at], tonumber(ARGV[5 + at])
    if width == 0 then
      redis.call('ZREM', KEYS[i], name)
    else
      local start, previous, current = window(KEYS[i], width)
      if count > 0 or math.abs(start - tonumber(name)) < 0.001 then
        current = math.min(9007199254740992, math.max(0, current + count)) -- a reply is a whole number
      elseif math.abs(start - width - tonumber(name)) < 0.001 then
        previous = math.max(0, previous + count)
      end
      keep(KEYS[i], width, start, previous, current)
    end
  end
  return 1
end

-- Renew the lease of the run named beside each key.
if op == 'renew' then
  for i = first, #KEYS do
    live(KEYS[i], tonumber(ARGV[3]), ARGV[4 + i - first])
  end
  return 1
end

-- An operator resets these windows.
if op == 'reset' then
  for i = first, #KEYS do
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', index, KEYS[i])
    redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' reset ' .. KEYS[i])
  end
  return 1
end

return redis.error_reply('unknown call ' .. op)
