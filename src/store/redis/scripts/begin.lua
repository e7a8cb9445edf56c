-- Begins the record of a session, unless it has one or has ended. Sent twice, it does the same once.
-- KEYS: the session, the tombstones of its user, the log of its user.
-- ARGV: deadline (server time), whether the session begins (1) or is adopted (0), now, the record, its
-- life, then as log.lua.
-- Answers { 1, epoch, rows removed.. }, { 2, epoch } if there was a record, { 0 } if it has ended; or
-- { the server's time, negative } if it is after the deadline.
local time = redis.call('TIME')
local server_now = time[1] * 1000 + math.floor(time[2] / 1000)
if server_now > tonumber(ARGV[1]) then
  return { -server_now }
end
local begins, now, record = ARGV[2] == '1', tonumber(ARGV[3]), ARGV[4]
local value = redis.call('GET', KEYS[1])
local state = value and string.byte(value) or 0
if state == 3 then
  return { 0 }
end
if state == 1 then
  return { 2, struct.unpack('<d', value, 26) }
end
local epoch = struct.unpack('<d', record, 26)
local folded = redis.call('HGET', KEYS[2], 'f')
if folded then
  local first, last, _, ends = struct.unpack('<dddd', folded)
  if now < ends and epoch <= last then
    if begins then
      epoch = last + 1
      record = string.sub(record, 1, 25) .. struct.pack('<d', epoch) .. string.sub(record, 34)
    elseif epoch >= first then
      return { 0 }
    end
  end
end
if state == 2 then
  local seen, seen_before = struct.unpack('<d', record, 2), struct.unpack('<d', value, 2)
  local presented_before = string.sub(value, 18, 21)
  record = string.sub(record, 1, 1) .. struct.pack('<d', math.max(seen, seen_before))
    .. string.sub(record, 10, 17) .. presented_before .. string.sub(record, 22)
end
redis.call('SET', KEYS[1], record, 'PX', ARGV[5])
local answer = { 1, epoch }
if #ARGV >= 9 then
  for _, row in ipairs(append(KEYS[3], tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV, 9)) do
    answer[#answer + 1] = row
  end
end
return answer
