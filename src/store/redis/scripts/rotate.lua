-- Exchanges a refresh token, unless the session has ended or has reached its successor. Sent twice, it
-- does the same once.
-- KEYS: the session. ARGV: deadline (server time), next generation, the exchange, its activity (0: none),
-- the skew (-1: any).
-- Answers { 1 } if it is exchanged, { 0, the session } if not; or { the server's time, negative } if it is
-- after the deadline.
local time = redis.call('TIME')
local server_now = time[1] * 1000 + math.floor(time[2] / 1000)
if server_now > tonumber(ARGV[1]) then
  return { -server_now }
end
local value = redis.call('GET', KEYS[1])
if not value or string.byte(value) ~= 1 then
  return { 0, value }
end
local next_generation, exchange = tonumber(ARGV[2]), ARGV[3]
local generation = struct.unpack('<I4', value, 22)
local length = struct.unpack('<I2', value, 43)
if generation == next_generation and string.sub(value, 45, 44 + length) == exchange then
  return { 1 }
end
if generation >= next_generation then
  return { 0, value }
end
local seen, skew = tonumber(ARGV[4]), tonumber(ARGV[5])
if skew >= 0 then
  seen = math.min(seen, server_now + skew)
end
seen = math.max(seen, (struct.unpack('<d', value, 2)))
local record = string.sub(value, 1, 1) .. struct.pack('<d', seen) .. string.sub(value, 10, 21)
  .. struct.pack('<I4', next_generation) .. string.sub(value, 26, 42)
  .. struct.pack('<I2', #exchange) .. exchange .. string.sub(value, 45 + length)
redis.call('SET', KEYS[1], record, 'KEEPTTL')
return { 1 }
