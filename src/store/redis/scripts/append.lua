-- Appends rows to a log, which is a sorted set of equal scores; see logs.rs. Answers the rows that are
-- removed, because the log has more than `most` or they are older than `oldest`.
local function append(key, most, oldest, life, rows, from)
  local removed = {}
  for i = from, #rows do
    redis.call('ZADD', key, 0, rows[i])
  end
  local old = redis.call('ZRANGEBYLEX', key, '-', '(' .. oldest, 'LIMIT', 0, 100)
  for _, row in ipairs(old) do
    removed[#removed + 1] = row
  end
  local surplus = redis.call('ZCARD', key) - #old - most
  if surplus > 0 then
    for _, row in ipairs(redis.call('ZRANGE', key, #old, #old + surplus - 1)) do
      removed[#removed + 1] = row
    end
  end
  for _, row in ipairs(removed) do
    redis.call('ZREM', key, row)
  end
  redis.call('PEXPIRE', key, life)
  return removed
end
