-- Failures that several instances count together: decides, writes down and tells the others, in one step.
-- What the calls and their answers are is said in `shared.py`. Times are milliseconds of this server.
--
-- A key's history is void up to the time in `voids`; a time to come is a lock. Failures are kept per key as
-- "time:id time:id", with the time of the last one in `recent`.
local failures, recent, voids, budget = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known, rations, reserve, meta = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local op, channel, kind, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local max_attempts, window, lockout, capacity =
  tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local budget_size, budget_window, interval, memory =
  tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local now = tonumber(ARGV[13]) -- nil but in tests

if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

-- What is over is dropped in passing. It also comes first for another reason: a Redis that is out of memory refuses a
-- script at its first write unless that one frees something, and this data is bounded and too dear to stop counting.
redis.call('ZREMRANGEBYSCORE', voids, '-inf', text(now - window))
for _, old in ipairs(redis.call('ZRANGEBYSCORE', recent, '-inf', text(now - window), 'LIMIT', 0, 100)) do
  redis.call('HDEL', failures, old)
  redis.call('ZREM', recent, old)
end

local function tell(what, time, id, about)
  local count = redis.call('HINCRBY', meta, 'told', 1)
  redis.call('PUBLISH', channel, table.concat({ kind, text(count), what, text(time), id, about }, ' '))
end

local function void_until()
  return tonumber(redis.call('ZSCORE', voids, key) or 0)
end

local function void(time)
  redis.call('ZADD', voids, text(time), key)
  redis.call('HDEL', failures, key)
  redis.call('ZREM', recent, key)
  tell(time > now and 'lock' or 'clear', time, '-', key)
end

local function failures_after(time)
  local list = {}
  for at, id in string.gmatch(redis.call('HGET', failures, key) or '', '(%d+):(%S+)') do
    if tonumber(at) > time then
      list[#list + 1] = { tonumber(at), id }
    end
  end
  return list
end

local function keep(list)
  local words = {}
  for place, failure in ipairs(list) do
    words[place] = text(failure[1]) .. ':' .. failure[2]
  end
  redis.call('HSET', failures, key, table.concat(words, ' '))
  redis.call('ZADD', recent, text(list[#list][1]), key)
end

-- A lock is never dropped for a new key; the key that failed longest ago is.
local function make_room()
  local locks = redis.call('ZCOUNT', voids, '(' .. text(now), '+inf')
  if redis.call('HEXISTS', failures, key) == 1 or redis.call('HLEN', failures) + locks < capacity then
    return true
  end
  local oldest = redis.call('ZPOPMIN', recent)
  if #oldest > 0 then
    redis.call('HDEL', failures, oldest[1])
  end
  return #oldest > 0
end

local function spent_until()
  redis.call('ZREMRANGEBYSCORE', budget, '-inf', text(now - budget_window))
  if redis.call('ZCARD', budget) < budget_size then
    return 0
  end
  return tonumber(redis.call('ZRANGE', budget, 0, 0, 'WITHSCORES')[2]) + budget_window
end

-- How long an attempt has to wait because everybody's failures are too many; 0 when it may be told.
local function charge(id, failed)
  if budget_size == 0 then
    return 0
  end
  if spent_until() == 0 then
    if failed then
      redis.call('ZADD', budget, text(now), id)
      local spent = spent_until()
      if spent > 0 then
        tell('spent', spent, '-', '-')
      end
    end
    return 0
  end
  local success = redis.call('ZSCORE', known, key)
  if success and now - tonumber(success) < memory then
    return 0
  end
  redis.call('ZREMRANGEBYSCORE', rations, '-inf', text(now - interval))
  redis.call('ZREMRANGEBYSCORE', reserve, '-inf', text(now - budget_window))
  local last = redis.call('ZSCORE', rations, key)
  if last then
    return tonumber(last) + interval - now
  end
  if redis.call('ZCARD', reserve) >= budget_size then
    return interval
  end
  redis.call('ZADD', rations, text(now), key)
  redis.call('ZADD', reserve, text(now), id)
  return 0
end

local function remember(time)
  redis.call('ZADD', known, text(time), key)
  redis.call('ZREMRANGEBYSCORE', known, '-inf', text(now - memory))
  redis.call('ZREMRANGEBYRANK', known, 0, -capacity - 1)
  tell('success', time, '-', key)
end

local function answer(allowed, remaining, wait, time)
  return { allowed and 1 or 0, remaining, wait, time }
end

if op == 'fail' then
  local id = ARGV[14]
  local locked = void_until()
  if locked > now then
    return answer(false, 0, locked - now, locked)
  end
  local wait = charge(id, true)
  if wait > 0 then
    return answer(false, 0, wait, 0)
  end
  if not make_room() then
    return answer(false, 0, lockout, 0)
  end
  local list = failures_after(math.max(locked, now - window))
  list[#list + 1] = { math.max(now, locked + 1), id }
  if #list >= max_attempts then
    void(now + lockout)
    return answer(true, 0, lockout, now + lockout)
  end
  keep(list)
  tell('fail', list[#list][1], id, key)
  return answer(true, max_attempts - #list, 0, list[#list][1])
end

if op == 'succeed' then
  local locked = void_until()
  if locked > now then
    return answer(false, 0, locked - now, locked)
  end
  local wait = charge(ARGV[14], false)
  if wait > 0 then
    return answer(false, 0, wait, 0)
  end
  if redis.call('HEXISTS', failures, key) == 1 then
    void(now)
  end
  if budget_size > 0 then
    remember(now)
  end
  return answer(true, max_attempts, 0, now)
end

if op == 'remember' then
  local time = now - tonumber(ARGV[14])
  -- Exact to an hour in a day is enough, so that saying it again changes nothing.
  if time > tonumber(redis.call('ZSCORE', known, key) or 0) + memory / 24 then
    remember(time)
  end
  return 1
end

-- What an instance knows of one key: the union of both sides' failures, the later of both times. Saying the same again
-- changes nothing. Answers up to when the key's history is void.
if op == 'merge' then
  local said, until_ = tonumber(ARGV[14]), void_until()
  local later = said > until_ and said > now - window
  local after = math.max(later and said or until_, now - window)
  local list, seen, news = failures_after(after), {}, {}
  for _, failure in ipairs(list) do
    seen[failure[2]] = true
  end
  for place = 15, #ARGV, 2 do
    local failure = { math.min(now, tonumber(ARGV[place])), ARGV[place + 1] }
    if failure[1] > after and not seen[failure[2]] then
      seen[failure[2]] = true
      news[#news + 1] = failure
    end
  end
  if later then
    void(said)
  end
  if #news > 0 and not make_room() then
    news = {}
  end
  for _, failure in ipairs(news) do
    list[#list + 1] = failure
    if budget_size > 0 then
      redis.call('ZADD', budget, 'NX', text(failure[1]), failure[2])
    end
  end
  table.sort(list, function(one, other) return one[1] < other[1] end)
  if #list >= max_attempts then
    void(list[max_attempts][1] + lockout)
  elseif #news > 0 or (later and #list > 0) then
    keep(list)
    for _, failure in ipairs(news) do
      tell('fail', failure[1], failure[2], key)
    end
  end
  return void_until()
end

-- All that is known, a page at a time: { where to go on, { what, time, id, key }, ... } in the words of the messages.
if op == 'learn' then
  local part, cursor = string.match(ARGV[14], '(%a+):(%d+)')
  local found = {}
  local function page(command, store)
    local reply = redis.call(command, store, cursor, 'COUNT', ARGV[15])
    cursor = reply[1]
    return reply[2]
  end
  if part == 'failures' then
    local pairs_ = page('HSCAN', failures)
    for place = 1, #pairs_, 2 do
      for at, id in string.gmatch(pairs_[place + 1], '(%d+):(%S+)') do
        if tonumber(at) > now - window then
          found[#found + 1] = { 'fail', at, id, pairs_[place] }
        end
      end
    end
    return { cursor == '0' and 'voids:0' or 'failures:' .. cursor, found }
  end
  if part == 'voids' then
    local pairs_ = page('ZSCAN', voids)
    for place = 1, #pairs_, 2 do
      if tonumber(pairs_[place + 1]) > now then
        found[#found + 1] = { 'lock', pairs_[place + 1], '-', pairs_[place] }
      end
    end
    return { cursor == '0' and 'known:0' or 'voids:' .. cursor, found }
  end
  local pairs_ = page('ZSCAN', known)
  for place = 1, #pairs_, 2 do
    found[#found + 1] = { 'success', pairs_[place + 1], '-', pairs_[place] }
  end
  local spent = cursor == '0' and budget_size > 0 and spent_until() or 0
  if spent > 0 then
    found[#found + 1] = { 'spent', text(spent), '-', '-' }
  end
  return { cursor == '0' and 'end' or 'known:' .. cursor, found }
end

-- A sign of life: which data this is (a name that vanishes with it), how many messages there were, the time.
if op == 'beat' then
  redis.call('HSETNX', meta, 'name', ARGV[14])
  for _, each in ipairs(KEYS) do
    redis.call('PEXPIRE', each, text(math.max(window, lockout, budget_window, memory) + 3600000))
  end
  return { redis.call('HGET', meta, 'name'), tonumber(redis.call('HGET', meta, 'told') or 0), now }
end

return redis.error_reply('unknown call ' .. op)
