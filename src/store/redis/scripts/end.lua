-- Writes the tombstone of a session. May run late or twice: it only raises.
-- KEYS: the session, the tombstones of its user, the log of its user.
-- ARGV: the session, until, now, the skew, the most tombstones that cannot be folded, then as log.lua.
-- Answers { 1 if it is the first, how many can be folded, rows removed.. }, or { -1 } if there are too
-- many.
local ends, now, skew = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local value = redis.call('GET', KEYS[1])
local state = value and string.byte(value) or 0
local begun, epoch = 0, 0
if state == 1 then
  epoch = struct.unpack('<d', value, 26)
  ends = math.max(ends, (struct.unpack('<d', value, 34)))
  begun = string.byte(value, 42) % 2
end
local function keep(until_)
  local life = math.max(until_ - now, 0) + skew
  redis.call('SET', KEYS[1], struct.pack('<Bd', 3, until_), 'PX', string.format('%.0f', life))
  redis.call('HSET', KEYS[2], ARGV[1], struct.pack('<Bdd', begun, epoch, until_))
  if redis.call('PTTL', KEYS[2]) < life then
    redis.call('PEXPIRE', KEYS[2], string.format('%.0f', life))
  end
end
if state == 3 then
  if ends > struct.unpack('<d', value, 2) then
    local before = redis.call('HGET', KEYS[2], ARGV[1])
    if before then
      begun, epoch = struct.unpack('<Bd', before)
    end
    keep(ends)
  end
  return { 0, 0 }
end
local counts = { 0, 0 }
local others = redis.call('HGETALL', KEYS[2])
for i = 1, #others, 2 do
  if #others[i] == 16 then
    local kind, _, other_ends = struct.unpack('<Bdd', others[i + 1])
    if other_ends <= now then
      redis.call('HDEL', KEYS[2], others[i])
    else
      counts[kind + 1] = counts[kind + 1] + 1
    end
  end
end
if begun == 0 and counts[1] >= tonumber(ARGV[5]) then
  return { -1 }
end
keep(ends)
local answer = { 1, counts[2] + begun }
if #ARGV >= 9 then
  for _, row in ipairs(append(KEYS[3], tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV, 9)) do
    answer[#answer + 1] = row
  end
end
return answer
