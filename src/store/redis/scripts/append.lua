-- Appends rows to a log, which is a list; see logs.rs. Answers the rows that are removed, because the log
-- has more than `most` or they are older than `oldest`.
local function append(key, most, oldest, life, rows, from)
  local removed = {}
  -- A client may have sent the command twice.
  local present = {}
  for _, row in ipairs(redis.call('LRANGE', key, -8, -1)) do
    present[row] = true
  end
  for i = from, #rows do
    if not present[rows[i]] then
      redis.call('RPUSH', key, rows[i])
    end
  end
  local count = redis.call('LLEN', key)
  while count > most or (#removed < 100 and string.sub(redis.call('LINDEX', key, 0), 1, 8) < oldest) do
    removed[#removed + 1] = redis.call('LPOP', key)
    count = count - 1
  end
  redis.call('PEXPIRE', key, life)
  return removed
end
