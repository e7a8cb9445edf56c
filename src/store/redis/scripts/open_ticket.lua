-- Adds a ticket to those of its session. Sent twice, it does the same once.
-- KEYS: the tickets of the session. ARGV: the ticket, the most, their life in ms.
-- Answers the tickets that are too many; they stay in the list until they are removed.
if not redis.call('LPOS', KEYS[1], ARGV[1]) then
  redis.call('RPUSH', KEYS[1], ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('LRANGE', KEYS[1], 0, -1 - tonumber(ARGV[2]))
