-- Says where a session, or a subject, is: with which user, and until when.
-- KEYS: a bucket, which is a hash. ARGV: the session or subject, the user, the last second, now in
-- seconds, the life of the bucket in ms.
-- A value has 20 bytes of each user, the latest last. Of four fields at random those that have expired are
-- removed, so that they are a part of the bucket.
local ends, now, value = tonumber(ARGV[3]), tonumber(ARGV[4]), ''
local before = redis.call('HGET', KEYS[1], ARGV[1]) or ''
for i = 1, #before, 20 do
  local user, user_ends = string.sub(before, i, i + 15), struct.unpack('<I4', before, i + 16)
  if user == ARGV[2] then
    ends = math.max(ends, user_ends)
  elseif user_ends > now then
    value = value .. string.sub(before, i, i + 19)
  end
end
redis.call('HSET', KEYS[1], ARGV[1], value .. ARGV[2] .. struct.pack('<I4', ends))
local some = redis.call('HRANDFIELD', KEYS[1], 4, 'WITHVALUES')
for i = 1, #some, 2 do
  local latest = 0
  for j = 1, #some[i + 1], 20 do
    latest = math.max(latest, (struct.unpack('<I4', some[i + 1], j + 16)))
  end
  if latest <= now then
    redis.call('HDEL', KEYS[1], some[i])
  end
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return 1
