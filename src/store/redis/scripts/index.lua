-- Adds a session to a list, which is a sorted set of equal scores, and removes those that have ended by
-- their age.
-- KEYS: the list, the longest life of a session in it. ARGV: the session, its life in ms, now.
local life = tonumber(ARGV[2])
local longest = tonumber(redis.call('GET', KEYS[2]) or '0')
if life > longest then
  longest = life
end
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
redis.call('SET', KEYS[2], text, 'PX', text)
redis.call('PEXPIRE', KEYS[1], text)
return 1
