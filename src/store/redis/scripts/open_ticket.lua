-- Adds a ticket to those of its session.
-- KEYS: the tickets of the session. ARGV: the ticket, the most, their life in ms.
-- Answers the tickets that are too many.
local surplus = {}
redis.call('RPUSH', KEYS[1], ARGV[1])
while redis.call('LLEN', KEYS[1]) > tonumber(ARGV[2]) do
  surplus[#surplus + 1] = redis.call('LPOP', KEYS[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return surplus
