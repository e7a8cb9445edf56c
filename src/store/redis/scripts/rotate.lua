-- Exchanges a refresh token, unless the session has ended or has reached its successor. Sent twice, it
-- does the same once.
-- KEYS: as user.lua. ARGV: deadline (server time), the session, next generation, the exchange, its
-- activity (0: none), the skew (-1: any), the latest generation of which an access token was presented.
-- Answers { 1 } if it is exchanged, { 0, what is known of the session } if not; or { the server's time,
-- negative } if it is after the deadline.
local time = redis.call('TIME')
local server_now = time[1] * 1000 + math.floor(time[2] / 1000)
if server_now > tonumber(ARGV[1]) then
  return { -server_now }
end
local session, next_generation, exchange = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local records = redis.call('GET', KEYS[1])
local record, at = find(records, session)
-- That of a session that has ended is removed in the same step.
if not record then
  return { 0, read(session) }
end
local generation = struct.unpack('<I4', record, 17)
local length = struct.unpack('<I2', record, 34)
if generation == next_generation and string.sub(record, 36, 35 + length) == exchange then
  return { 1 }
end
if generation >= next_generation then
  return { 0, '\1' .. record }
end
local seen, skew = tonumber(ARGV[5]), tonumber(ARGV[6])
if skew >= 0 then
  seen = math.min(seen, server_now + skew)
end
seen = math.max(seen, (struct.unpack('<I6', record)))
local presented = math.max(tonumber(ARGV[7]), (struct.unpack('<I4', record, 13)))
local exchanged = struct.pack('<I6', seen) .. string.sub(record, 7, 12)
  .. struct.pack('<I4I4', presented, next_generation) .. string.sub(record, 21, 33)
  .. struct.pack('<I2', #exchange) .. exchange .. string.sub(record, 36 + length)
records = string.sub(records, 1, at - 1) .. entry(session, exchanged)
  .. string.sub(records, at + 20 + #record)
redis.call('SET', KEYS[1], records, 'KEEPTTL')
return { 1 }
