-- Folds the tombstones of a user, of sessions that began here, if there are too many: says which epochs are
-- folded, so that sessions which begin from now on have later ones. It reads the records in the same step:
-- they are of the sessions to exempt, for no other that began at those epochs is active. May run late or
-- twice: it only raises.
-- KEYS: as user.lua. ARGV: now, the skew, the most that are kept, at, the last epoch of a session whose record
-- may be lost, and what the caller knows that is folded ('': nothing).
-- Answers { what is folded in all, packed, the records, the sessions whose tombstones are folded.. }, or
-- nothing if none can be folded.
local now, skew, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at, lost, known = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
if lost > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  note_unrecorded(lost)
end
local sessions, _, last_unfoldable = sort_tombstones(now, skew)
if #sessions <= most then
  return {}
end
local first, last, ends = math.huge, 0, 0
for _, session in ipairs(sessions) do
  local _, epoch, ends_of = struct.unpack('<BI6I6', redis.call('HGET', KEYS[2], session))
  first, last, ends = math.min(first, epoch), math.max(last, epoch), math.max(ends, ends_of)
end
for _, before in ipairs({ known, read_folded(now) }) do
  if before ~= '' then
    local first_before, last_before, at_before, ends_before = struct.unpack('<I6I6I6I6', before)
    first, last = math.min(first, first_before), math.max(last, last_before)
    at, ends = math.max(at, at_before), math.max(ends, ends_before)
  end
end
if first <= last_unfoldable then
  return {}
end
local whole = struct.pack('<I6I6I6I6', first, last, at, ends)
redis.call('HSET', KEYS[2], 'f', whole)
lengthen(KEYS[2], math.max(ends - now, 0) + skew)
return { whole, redis.call('GET', KEYS[1]) or '', unpack(sessions) }
