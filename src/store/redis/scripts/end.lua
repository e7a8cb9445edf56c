-- Writes the tombstone of a session. May run late or twice: it only raises.
-- KEYS: as user.lua, the log of the user.
-- ARGV: the session, until, now, the skew, the most tombstones that cannot be folded, then as log.lua.
-- Answers { 1 if it is the first, how many can be folded, rows removed.. }, or { -1 } if there are too
-- many.
local is_first, many = write_tombstone(ARGV[1], KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]),
  tonumber(ARGV[4]), tonumber(ARGV[5]))
local answer = { is_first, many }
if is_first == 1 and #ARGV >= 9 then
  for _, row in ipairs(append(KEYS[4], tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV, 9)) do
    answer[#answer + 1] = row
  end
end
return answer
