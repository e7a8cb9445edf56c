-- Reads the changes after a position.
-- KEYS: the feed, its sequence number, the marker. ARGV: the position, the most entries, a marker for a
-- store that has none; it is kept with the server's time.
-- Answers the server's time, the sequence number, the marker, the last position, and the entries.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A server that takes no write at the moment can be read; a replica cannot: it may be behind.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('READONLY this server is a replica')
end
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('SET', KEYS[3], ARGV[3] .. struct.pack('>I8', now))
end
local seq = tonumber(redis.call('GET', KEYS[2]) or '0')
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
return { now, seq, redis.call('GET', KEYS[3]),
  last[1] and last[1][1] or '0-0', entries }
