-- Quotas that several instances share: every call is one step. What the calls and their answers are is said in
-- `quota_shared.py`. Times are seconds of this server.
--
-- A sliding window is "start previous current": when the window of now began, what was counted in the one before, what in
-- this one. Runs are a sorted set: each with the time at which its instance must have said again that it lives.
local op, now = ARGV[1], tonumber(ARGV[2]) -- no time but in tests

if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end

local function text(number)
  return string.format('%.17g', number)
end

-- The window of now. One in which nothing counts any more begins anew; a clock that was set back opens nothing.
local function window(key, width)
  local start, previous, current = string.match(redis.call('GET', key) or '', '(%S+) (%S+) (%S+)')
  start, previous, current = tonumber(start) or now, tonumber(previous) or 0, tonumber(current) or 0
  local passed = math.floor((now - start) / width)
  if passed > 0 then
    start, previous, current = start + width, passed == 1 and current or 0, 0
  end
  if previous == 0 and current == 0 then
    start = now
  end
  return start, previous, current
end

local function keep(key, width, start, previous, current)
  local words = text(start) .. ' ' .. text(previous) .. ' ' .. text(current)
  redis.call('SET', key, words, 'EX', 2 * width)
end

local function left(start, width)
  return start + width - math.max(now, start)
end

local function live(key, lease, run)
  redis.call('ZADD', key, text(now + lease), run)
  redis.call('EXPIRE', key, 2 * lease)
end

-- { allowed, per key: previous, current, start, seconds left }; for runs their number and nothing else.
if op == 'reserve' then
  local lease, run = tonumber(ARGV[3]), ARGV[4]
  local allowed, found = true, {}
  for place, key in ipairs(KEYS) do
    local amount, width, cost =
      tonumber(ARGV[2 + 3 * place]), tonumber(ARGV[3 + 3 * place]), tonumber(ARGV[4 + 3 * place])
    if width == 0 then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
      found[place] = { 0, 0, redis.call('ZCARD', key), width, cost }
      allowed = allowed and found[place][3] + cost <= amount
    else
      local start, previous, current = window(key, width)
      found[place] = { start, previous, current, width, cost }
      allowed = allowed and math.floor(previous * left(start, width) / width + current) + cost <= amount
    end
  end
  local answer = { allowed and 1 or 0 }
  for place, key in ipairs(KEYS) do
    local start, previous, current, width, cost = unpack(found[place])
    if allowed then
      current = current + cost
      if width == 0 then
        live(key, lease, run)
      else
        keep(key, width, start, previous, current)
      end
    end
    answer[4 * place - 2], answer[4 * place - 1] = previous, current
    answer[4 * place], answer[4 * place + 1] = text(start), width == 0 and '0' or text(left(start, width))
  end
  return answer
end

-- Per key: its width and a correction. Runs end; tokens are counted now, or taken back from the window that began then.
if op == 'settle' then
  for place, key in ipairs(KEYS) do
    local width, name, tokens = tonumber(ARGV[3 * place]), ARGV[1 + 3 * place], tonumber(ARGV[2 + 3 * place])
    if width == 0 then
      redis.call('ZREM', key, name)
    else
      local start, previous, current = window(key, width)
      local windows_ago = tokens > 0 and 0 or math.floor((start - tonumber(name)) / width + 0.5)
      if windows_ago == 0 then
        current = math.max(0, current + tokens)
      elseif windows_ago == 1 then
        previous = math.max(0, previous + tokens)
      end
      keep(key, width, start, previous, current)
    end
  end
  return 1
end

-- The run named beside each key goes on.
if op == 'renew' then
  for place, key in ipairs(KEYS) do
    live(key, tonumber(ARGV[3]), ARGV[3 + place])
  end
  return 1
end

return redis.error_reply('unknown call ' .. op)
