-- Writes an activity, unless the session has ended. The last activity never moves back, nor past the
-- server's time by more than a skew. May run late: it only raises.
-- ARGV: the session, last activity, idle timeout, life of a session without a record, latest generation
-- presented, the skew (-1: any).
-- Answers whether the session has ended (0), has a record (1), or is known by its activity alone (2).
local session, seen, idle, presented = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local skew = tonumber(ARGV[6])
if redis.call('HEXISTS', KEYS[2], session) == 1 then
  return 0
end
if skew >= 0 then
  local time = redis.call('TIME')
  seen = math.min(seen, time[1] * 1000 + math.floor(time[2] / 1000) + skew)
end
local record, at = find(redis.call('GET', KEYS[1]), session)
local before = record or redis.call('GET', KEYS[3])
local head = struct.pack('<I6I6I4', seen, idle, presented)
if before then
  local seen_before, _, presented_before = struct.unpack('<I6I6I4', before)
  if seen <= seen_before and presented <= presented_before then
    return record and 1 or 2
  end
  head = struct.pack('<I6I6I4', math.max(seen, seen_before), idle, math.max(presented, presented_before))
end
if record then
  redis.call('SETRANGE', KEYS[1], at + 19, head)
  return 1
end
redis.call('SET', KEYS[3], head, 'PX', ARGV[4])
return 2
