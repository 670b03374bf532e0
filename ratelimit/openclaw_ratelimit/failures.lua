-- Failures that several instances count together: decides, stores and publishes, in one step.
-- `failure_replica.py` documents the calls and their replies. Times are milliseconds of this server, corrected by what
-- `clock.py` explains.
--
-- Per key, `locks` has the end of its lock, `cleared` the time of its last success, `released` the end of the last lock
-- that an operator has released: locks that end then or earlier don't count, even if an instance that was away sends them
-- later. Of each the latest time holds, in whatever order they come. Failures are stored per key as "time:id time:id", with the
-- time of the last one in `recent`.
local failures, recent, locks, budget = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known, granted, reserve, meta = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local released, cleared, waiting, asked, correction = KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]
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
now = now + tonumber(redis.call('GET', correction) or 0)

local function text(number)
  return string.format('%.0f', number)
end

-- At each heartbeat: the id of the data (lost together with it) and the number of messages published. Nothing expires
-- here, because the server's time may have been set a moment ago.
if op == 'beat' then
  local keep = text(math.max(window, lockout, budget_window, memory) + 3600000)
  for i = 1, 12 do
    redis.call('PEXPIRE', KEYS[i], keep) -- also comes first because a Redis without memory allows it
  end
  redis.call('HSETNX', meta, 'id', ARGV[14])
  redis.call('PEXPIRE', meta, keep)
  return { redis.call('HGET', meta, 'id'), tonumber(redis.call('HGET', meta, 'published') or 0) }
end

-- Every call drops what has expired. It also comes first for another reason: a Redis that is out of memory refuses a
-- script at its first write unless that one frees something, and this data is bounded and too dear to stop counting.
redis.call('ZREMRANGEBYSCORE', locks, '-inf', text(now - window))
redis.call('ZREMRANGEBYSCORE', cleared, '-inf', text(now - window))
for _, over in ipairs(redis.call('ZRANGEBYSCORE', released, '-inf', text(now), 'LIMIT', 0, 100)) do
  if tonumber(redis.call('ZSCORE', locks, over) or 0) <= tonumber(redis.call('ZSCORE', released, over)) then
    redis.call('ZREM', locks, over) -- the released lock, not a newer one
  end
  redis.call('ZREM', released, over)
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', recent, '-inf', text(now - window), 'LIMIT', 0, 100)) do
  redis.call('HDEL', failures, old)
  redis.call('ZREM', recent, old)
end

local function publish(what, time, id, about)
  local count = redis.call('HINCRBY', meta, 'published', 1)
  redis.call('PUBLISH', channel, table.concat({ kind, text(count), what, text(time), id, about }, ' '))
end

local function score(set)
  return tonumber(redis.call('ZSCORE', set, key) or 0)
end

local function locked_until()
  local until_ = score(locks)
  return until_ > score(released) and until_ or 0
end

-- Failures up to this time don't count: a success or a lock has cleared them. In the future while the key is locked.
local function cleared_until()
  return math.max(score(cleared), locked_until())
end

local function forget_failures()
  redis.call('HDEL', failures, key)
  redis.call('ZREM', recent, key)
end

-- A new lock ends later than the released one, so that it counts.
local function lock(earned)
  local until_ = math.max(earned, score(released) + 1)
  redis.call('ZADD', locks, text(until_), key)
  forget_failures()
  publish('lock', until_, '-', key)
  return until_
end

local function clear(time)
  redis.call('ZADD', cleared, text(time), key)
  forget_failures()
  publish('clear', time, '-', key)
end

-- A released lock makes room for another key.
local function release(until_, time)
  redis.call('ZADD', released, text(until_), key)
  if score(locks) <= until_ then
    redis.call('ZREM', locks, key)
  end
  redis.call('ZREMRANGEBYRANK', released, 0, -capacity - 1)
  publish('release', until_, text(time), key)
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
  for i, failure in ipairs(list) do
    words[i] = text(failure[1]) .. ':' .. failure[2]
  end
  redis.call('HSET', failures, key, table.concat(words, ' '))
  redis.call('ZADD', recent, text(list[#list][1]), key)
end

-- A new key replaces the one whose last failure is oldest, never a lock.
local function make_room()
  local locked = redis.call('ZCOUNT', locks, '(' .. text(now), '+inf')
  if redis.call('HEXISTS', failures, key) == 1 or redis.call('HLEN', failures) + locked < capacity then
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

-- How many milliseconds an attempt has to wait because the budget is spent; 0 if the client may get its result.
local function charge(id, failed)
  if budget_size == 0 then
    return 0
  end
  if spent_until() == 0 then
    if failed then
      redis.call('ZADD', budget, text(now), id)
      local spent = spent_until()
      if spent > 0 then
        publish('spent', spent, '-', '-')
      end
    end
    return 0
  end
  local success = redis.call('ZSCORE', known, key)
  if success and now - tonumber(success) < memory then
    return 0
  end
  redis.call('ZREMRANGEBYSCORE', granted, '-inf', text(now - interval))
  redis.call('ZREMRANGEBYSCORE', reserve, '-inf', text(now - budget_window))
  local last = redis.call('ZSCORE', granted, key)
  if last then
    return tonumber(last) + interval - now
  end
  -- Of the keys that keep asking, the one that asked first comes next.
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', asked, '-inf', text(now - 2 * interval))) do
    redis.call('ZREM', waiting, gone)
    redis.call('ZREM', asked, gone)
  end
  if not redis.call('ZSCORE', waiting, key) then
    if redis.call('ZCARD', waiting) >= capacity then
      return interval
    end
    redis.call('ZADD', waiting, text(now), key)
  end
  if redis.call('ZRANK', waiting, key) >= budget_size - redis.call('ZCARD', reserve) then
    redis.call('ZADD', asked, text(now), key)
    return interval
  end
  redis.call('ZREM', waiting, key)
  redis.call('ZREM', asked, key)
  redis.call('ZADD', granted, text(now), key)
  redis.call('ZADD', reserve, text(now), id)
  return 0
end

local function remember(time)
  redis.call('ZADD', known, text(time), key)
  redis.call('ZREMRANGEBYSCORE', known, '-inf', text(now - memory))
  redis.call('ZREMRANGEBYRANK', known, 0, -capacity - 1)
  publish('success', time, '-', key)
end

local function answer(allowed, remaining, wait, time)
  return { allowed and 1 or 0, remaining, wait, time }
end

if op == 'fail' then
  local id = ARGV[14]
  local locked = locked_until()
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
  local cleared_at = cleared_until()
  local list = failures_after(math.max(cleared_at, now - window))
  list[#list + 1] = { math.max(now, cleared_at + 1), id }
  if #list >= max_attempts then
    return answer(true, 0, lockout, lock(now + lockout))
  end
  keep(list)
  publish('fail', list[#list][1], id, key)
  return answer(true, max_attempts - #list, 0, list[#list][1])
end

if op == 'succeed' then
  local locked = locked_until()
  if locked > now then
    return answer(false, 0, locked - now, locked)
  end
  local wait = charge(ARGV[14], false)
  if wait > 0 then
    return answer(false, 0, wait, 0)
  end
  if redis.call('HEXISTS', failures, key) == 1 then
    clear(now)
  end
  if budget_size > 0 then
    remember(now)
  end
  return answer(true, max_attempts, 0, now)
end

-- An operator unlocks the key and forgets its failures.
if op == 'release' then
  local stood = locked_until() > now or redis.call('HEXISTS', failures, key) == 1
  local until_ = math.max(score(locks), now + lockout, score(released))
  release(until_, now)
  clear(now)
  return { stood and 1 or 0, until_, now }
end

if op == 'remember' then
  local time = now - tonumber(ARGV[14])
  -- A success soon after the stored one (an hour if `memory` is a day) changes nothing: repeated calls are cheap.
  if time > tonumber(redis.call('ZSCORE', known, key) or 0) + memory / 24 then
    remember(time)
  end
  return 1
end

-- What an instance knows of one key (the end of a lock, up to when its history is clear, the end of a released lock):
-- the union of both sides' failures, the later of all times. Sending the same again changes nothing.
if op == 'merge' then
  local its_lock, its_clear, its_release = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
  if its_release > now and its_release > score(released) then
    release(its_release, its_clear)
  end
  local list, seen, news = failures_after(math.max(cleared_until(), its_clear, now - window)), {}, {}
  if its_clear > score(cleared) and its_clear > now - window then
    clear(its_clear)
    if #list > 0 then
      keep(list)
    end
  end
  if its_lock > score(locks) and its_lock > score(released) then
    lock(its_lock)
    list = {}
  end
  local after = math.max(cleared_until(), now - window)
  for _, failure in ipairs(list) do
    seen[failure[2]] = true
  end
  for i = 17, #ARGV, 2 do
    local failure = { math.min(now, tonumber(ARGV[i])), ARGV[i + 1] }
    if failure[1] > after and not seen[failure[2]] then
      seen[failure[2]] = true
      news[#news + 1] = failure
    end
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
    lock(list[max_attempts][1] + lockout)
  elseif #news > 0 then
    keep(list)
    for _, failure in ipairs(news) do
      publish('fail', failure[1], failure[2], key)
    end
  end
  return { cleared_until(), score(released) }
end

-- All that is known, a page at a time: { next cursor, { what, time, id, key }, ... } as in the messages.
if op == 'learn' then
  local part, cursor = string.match(ARGV[14], '(%a+):(%d+)')
  local entries = {}
  local function page(command, store)
    local reply = redis.call(command, store, cursor, 'COUNT', ARGV[15])
    cursor = reply[1]
    return reply[2]
  end
  if part == 'failures' then
    local pairs_ = page('HSCAN', failures)
    for i = 1, #pairs_, 2 do
      for at, id in string.gmatch(pairs_[i + 1], '(%d+):(%S+)') do
        if tonumber(at) > now - window then
          entries[#entries + 1] = { 'fail', at, id, pairs_[i] }
        end
      end
    end
    return { cursor == '0' and 'locks:0' or 'failures:' .. cursor, entries }
  end
  if part == 'locks' then
    local pairs_ = page('ZSCAN', locks)
    for i = 1, #pairs_, 2 do
      if tonumber(pairs_[i + 1]) > now then
        entries[#entries + 1] = { 'lock', pairs_[i + 1], '-', pairs_[i] }
      end
    end
    return { cursor == '0' and 'released:0' or 'locks:' .. cursor, entries }
  end
  if part == 'released' then
    local pairs_ = page('ZSCAN', released)
    for i = 1, #pairs_, 2 do
      entries[#entries + 1] = { 'release', pairs_[i + 1], '0', pairs_[i] }
    end
    return { cursor == '0' and 'known:0' or 'released:' .. cursor, entries }
  end
  local pairs_ = page('ZSCAN', known)
  for i = 1, #pairs_, 2 do
    entries[#entries + 1] = { 'success', pairs_[i + 1], '-', pairs_[i] }
  end
  local spent = cursor == '0' and budget_size > 0 and spent_until() or 0
  if spent > 0 then
    entries[#entries + 1] = { 'spent', text(spent), '-', '-' }
  end
  return { cursor == '0' and 'end' or 'known:' .. cursor, entries }
end

return redis.error_reply('unknown call ' .. op)
