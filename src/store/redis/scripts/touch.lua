-- Writes an activity, unless the session has ended. The last activity never moves back, nor past the
-- server's time by more than a skew. May run late: it only raises.
-- KEYS: the session. ARGV: last activity, idle timeout, life of a session without a record, latest
-- generation presented, the skew (-1: any).
local seen, idle, presented = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local skew = tonumber(ARGV[5])
if skew >= 0 then
  local time = redis.call('TIME')
  seen = math.min(seen, time[1] * 1000 + math.floor(time[2] / 1000) + skew)
end
local value = redis.call('GET', KEYS[1])
if not value then
  redis.call('SET', KEYS[1], struct.pack('<BddI4', 2, seen, idle, presented), 'PX', ARGV[3])
  return 1
end
local state = string.byte(value)
if state == 3 then
  return 0
end
local seen_before = struct.unpack('<d', value, 2)
local presented_before = struct.unpack('<I4', value, 18)
if seen <= seen_before and presented <= presented_before then
  return 1
end
local header = struct.pack('<BddI4', state, math.max(seen, seen_before), idle,
  math.max(presented, presented_before))
if state == 2 then
  redis.call('SET', KEYS[1], header, 'PX', ARGV[3])
else
  redis.call('SETRANGE', KEYS[1], 0, header)
end
return 1
