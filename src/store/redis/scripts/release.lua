-- Shortens what a grant blocks; changes nothing that another grant blocks. See limiter.rs.
-- KEYS: the grant of the session, the grant of the user. ARGV: id of the grant, now, until.
local id, now, ends = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for _, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  if held then
    local space = string.find(held, ' ', 1, true)
    if string.sub(held, space + 1) == id and tonumber(string.sub(held, 1, space - 1)) > ends then
      if ends > now then
        redis.call('SET', key, string.format('%.0f %s', ends, id), 'PX', ends - now + 1000)
      else
        redis.call('DEL', key)
      end
    end
  end
end
return 0
