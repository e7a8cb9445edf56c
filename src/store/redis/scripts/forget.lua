-- Removes what is kept if it is still as the caller has read it.
-- KEYS: what is kept. ARGV: names of fields, and what was read of each.
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return 1
