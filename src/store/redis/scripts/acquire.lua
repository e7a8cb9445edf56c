-- Grants a renewal unless another one holds the session or the user; see limiter.rs.
-- KEYS: the grant of the session, the grant of the user.
-- ARGV: deadline (server time), id of the grant, now, session until, user until (0: no limit per user).
-- Answers GRANTED (1), DENIED (0), or the server's time, negative, if it is after the deadline.
local time = redis.call('TIME')
local server_now = time[1] * 1000 + math.floor(time[2] / 1000)
if server_now > tonumber(ARGV[1]) then
  return -server_now
end
local id, now = ARGV[2], tonumber(ARGV[3])
local limits = { tonumber(ARGV[4]), tonumber(ARGV[5]) }
for i, ends in ipairs(limits) do
  local held = ends > 0 and redis.call('GET', KEYS[i])
  if held then
    local space = string.find(held, ' ', 1, true)
    if tonumber(string.sub(held, 1, space - 1)) > now and string.sub(held, space + 1) ~= id then
      return 0
    end
  end
end
for i, ends in ipairs(limits) do
  if ends > now then
    redis.call('SET', KEYS[i], string.format('%.0f %s', ends, id), 'PX', ends - now + 1000)
  end
end
return 1
