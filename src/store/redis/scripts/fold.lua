-- Says which epochs of a user are folded: sessions that begin from now on have later ones. May run late
-- or twice: it only raises.
-- KEYS: the tombstones of the user. ARGV: first, last, at, until, now.
-- Answers what is folded in all, packed.
local first, last, at, ends = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(ARGV[5])
local before = redis.call('HGET', KEYS[1], 'f')
if before then
  local first_before, last_before, at_before, ends_before = struct.unpack('<I6I6I6I6', before)
  if now < ends_before then
    first, last = math.min(first, first_before), math.max(last, last_before)
    at, ends = math.max(at, at_before), math.max(ends, ends_before)
  end
end
local folded = struct.pack('<I6I6I6I6', first, last, at, ends)
redis.call('HSET', KEYS[1], 'f', folded)
local life = math.max(ends - now, 0) + 120000
if redis.call('PTTL', KEYS[1]) < life then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', life))
end
return folded
