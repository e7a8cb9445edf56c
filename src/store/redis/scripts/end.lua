-- Writes the tombstone of a session. May run late or twice: it only raises.
-- KEYS: as user.lua, the log of the user.
-- ARGV: the session, until, now, the skew, the most tombstones that cannot be folded, a nonce of this
-- command, then as log.lua.
-- Answers { 1 if it is the first, how many can be folded, rows removed.. }, or { -1 } if there are too
-- many.
local is_first, many = write_tombstone(ARGV[1], KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]),
  tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]))
local answer = { math.min(is_first, 1), many }
if is_first == 1 and #ARGV >= 10 then
  for _, row in ipairs(append(KEYS[4], tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV, 10)) do
    answer[#answer + 1] = row
  end
end
return answer
