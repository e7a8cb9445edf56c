-- Reads what is known of a session that is to end, and whether there is room for its tombstone.
-- ARGV: the session, now, the skew, the most tombstones that cannot be folded.
-- Answers { 1 if there is room, what is known ('': nothing) }.
local session, most = ARGV[1], tonumber(ARGV[4])
local known, is_kept = read(session) or '', true
if redis.call('HLEN', KEYS[2]) >= most and redis.call('HEXISTS', KEYS[2], session) == 0 then
  local record = find(redis.call('GET', KEYS[1]), session)
  is_kept = has_room(record, tonumber(ARGV[2]), tonumber(ARGV[3]), most)
end
return { is_kept and 1 or 0, known }
