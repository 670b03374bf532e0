-- Runs each command of ARGV (words; KEY is KEYS[1], EMPTY an empty one) and returns those that fail with what Redis says; deletes KEYS[1].
-- A right is checked before a command runs, so a wrong type of the value does not matter: those errors are left out.
local failures = {}
for _, line in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(line, '%S+') do
    words[#words + 1] = word == 'KEY' and KEYS[1] or word == 'EMPTY' and '' or word
  end
  local reply = redis.pcall(unpack(words))
  if type(reply) == 'table' and reply.err and not string.find(reply.err, 'WRONGTYPE', 1, true) then
    failures[#failures + 1] = words[1]
    failures[#failures + 1] = reply.err
  end
end
redis.pcall('DEL', KEYS[1])
return failures
