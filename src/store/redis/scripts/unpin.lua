-- Removes tombstones that are folded, a while later: another node may not have read of it yet.
-- KEYS: the tombstones of the user. ARGV: until when they stay, the sessions.
for i = 2, #ARGV do
  local value = redis.call('HGET', KEYS[1], ARGV[i])
  if value then
    local _, epoch, ends = struct.unpack('<BI6I6', value)
    redis.call('HSET', KEYS[1], ARGV[i], struct.pack('<BI6I6I4', 2, epoch,
      math.min(ends, tonumber(ARGV[1])), 0))
  end
end
return 1
