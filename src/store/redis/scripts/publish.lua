-- Publishes changes, with what is kept of them, if that is still as the caller has read it.
-- KEYS: what is kept, the feed, its sequence number.
-- ARGV: the changes, the most entries of the feed, how many fields are written; of each its name, what
-- was read ('': nothing) and what is written; then names of fields to remove.
-- Answers 1; 2 if all of it is there already; or 0 if it is not as the caller has read it.
local count = tonumber(ARGV[3])
local present = 0
for i = 4, 3 + 3 * count, 3 do
  local value = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  if value == ARGV[i + 2] then
    present = present + 1
  elseif value ~= ARGV[i + 1] then
    return 0
  end
end
if count > 0 and present == count then
  return 2
end
for i = 4, 3 + 3 * count, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
end
for i = 4 + 3 * count, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
local seq = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 's', seq, 'c', ARGV[1])
return 1
