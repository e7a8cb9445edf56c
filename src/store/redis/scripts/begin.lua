-- Begins the record of a session, unless it has one or has ended; and ends the session that it replaces.
-- Sent twice, it does the same once.
-- KEYS: as user.lua, the activity of the session that is replaced, the log of the user.
-- ARGV: deadline (server time), whether the session begins (1) or is adopted (0), now, the skew, the most
-- records of a user, the most tombstones that cannot be folded, the session, its record, its life; the
-- session that is replaced ('': none), until when its tombstone stands; then as log.lua, if rows are
-- written: of the sign-in, and of the end of the session that is replaced, if this ends it.
-- Answers { 1, epoch, whether the tombstone is the first, how many can be folded, rows removed.. },
-- { 2, epoch, 0, 0 } if there was a record, { 0 } if it has ended, { 3 } if there are too many tombstones;
-- or { the server's time, negative } if it is after the deadline.
local time = redis.call('TIME')
local server_now = time[1] * 1000 + math.floor(time[2] / 1000)
if server_now > tonumber(ARGV[1]) then
  return { -server_now }
end
local begins, now, skew = ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])
local most, session, record = tonumber(ARGV[5]), ARGV[7], ARGV[8]
if redis.call('HEXISTS', KEYS[2], session) == 1 then
  return { 0 }
end
local present = find(redis.call('GET', KEYS[1]), session)
if present then
  return { 2, (struct.unpack('<I6', present, 21)), 0, 0 }
end
local epoch = struct.unpack('<I6', record, 21)
local folded = begins and read_folded(now)
if folded then
  epoch = math.max(epoch, struct.unpack('<I6', folded, 7) + 1)
  record = string.sub(record, 1, 20) .. struct.pack('<I6', epoch) .. string.sub(record, 27)
end
local is_first, many, replaced = 0, 0, ARGV[10]
if replaced ~= '' then
  is_first, many = write_tombstone(replaced, KEYS[4], tonumber(ARGV[11]), now, skew, tonumber(ARGV[6]), 0)
  if is_first < 0 then
    return { 3 }
  end
end
local activity = redis.call('GET', KEYS[3])
if activity then
  local seen_before, _, presented_before = struct.unpack('<I6I6I4', activity)
  local seen, idle, presented = struct.unpack('<I6I6I4', record)
  record = struct.pack('<I6I6I4', math.max(seen, seen_before), idle, math.max(presented, presented_before))
    .. string.sub(record, 17)
  redis.call('DEL', KEYS[3])
end
-- Records that have expired are removed, and of too many the least active one: a session without a record
-- goes on. The pieces that stay are joined once: there may be many that go.
local records = redis.call('GET', KEYS[1]) or ''
local kept, at, least, least_at = {}, 1, math.huge, 0
while at <= #records do
  local length = struct.unpack('<I3', records, at + 17)
  local seen, _, _, _, _, ends = struct.unpack('<I6I6I4I4I6I6', records, at + 20)
  if ends + skew > now then
    kept[#kept + 1] = string.sub(records, at, at + 19 + length)
    if seen < least then
      least, least_at = seen, #kept
    end
  end
  at = at + 20 + length
end
if #kept >= most then
  local epoch_of, ends_of = struct.unpack('<I6I6', table.remove(kept, least_at), 41)
  note_unrecorded(epoch_of)
  lengthen(KEYS[2], math.max(ends_of - now, 0) + skew)
end
kept[#kept + 1] = entry(session, record)
local life = math.max(tonumber(ARGV[9]), redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], table.concat(kept), 'PX', string.format('%.0f', life))
local answer = { 1, epoch, is_first, many }
if #ARGV >= 15 then
  local rows = { ARGV[15], is_first == 1 and ARGV[16] or nil }
  for _, row in ipairs(append(KEYS[5], tonumber(ARGV[12]), ARGV[13], ARGV[14], rows, 1)) do
    answer[#answer + 1] = row
  end
end
return answer
