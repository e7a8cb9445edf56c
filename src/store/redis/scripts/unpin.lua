-- Removes tombstones that are folded, a while later: another node may not have read of it yet.
-- KEYS: the tombstones of the user, the sessions. ARGV: how long they stay in ms, the sessions.
for i = 2, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
  local value = redis.call('GET', KEYS[i])
  if value and string.byte(value) == 3 and redis.call('PTTL', KEYS[i]) > tonumber(ARGV[1]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
  end
end
return 1
