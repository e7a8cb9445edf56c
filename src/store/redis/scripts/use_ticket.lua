-- Closes a ticket. Sent twice, it says the same.
-- KEYS: the ticket. ARGV: deadline (server time), now, a nonce of this use.
-- Answers 1 if it was open, else 0; or the server's time, negative, if it is after the deadline.
local time = redis.call('TIME')
local server_now = time[1] * 1000 + math.floor(time[2] / 1000)
if server_now > tonumber(ARGV[1]) then
  return -server_now
end
local value = redis.call('GET', KEYS[1])
if value and #value == 6 and tonumber(ARGV[2]) < struct.unpack('<I6', value) then
  redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
  return 1
end
return value == ARGV[3] and 1 or 0
