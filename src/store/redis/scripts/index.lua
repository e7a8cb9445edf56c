-- Adds a session to a list, which is a sorted set of equal scores, and removes those that have ended by
-- their age.
-- KEYS: the list, the longest life and the latest epoch of a session in it. ARGV: the session, its life in
-- ms, now, its epoch.
local known = redis.call('HMGET', KEYS[2], 'life', 'epoch')
local longest = math.max(tonumber(ARGV[2]), tonumber(known[1] or '0'))
local epoch = math.max(tonumber(ARGV[4]), tonumber(known[2] or '0'))
redis.call('ZADD', KEYS[1], 0, ARGV[1])
local now = tonumber(ARGV[3])
if now > longest then
  local oldest, bytes = now - longest, ''
  for _ = 1, 8 do
    bytes = string.char(oldest % 256) .. bytes
    oldest = math.floor(oldest / 256)
  end
  redis.call('ZREMRANGEBYLEX', KEYS[1], '-', '(' .. bytes)
end
local text = string.format('%.0f', longest)
redis.call('HSET', KEYS[2], 'life', text, 'epoch', string.format('%.0f', epoch))
redis.call('PEXPIRE', KEYS[2], text)
redis.call('PEXPIRE', KEYS[1], text)
return 1
