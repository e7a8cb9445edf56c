-- What Redis keeps of a session of a user. KEYS of each script that begins with this: the records of the
-- user, the tombstones of the user, the activity of the session if it has no record.
--
-- The records are one string: of each 0xFF, the key of its session, its length in 3 bytes, and itself. No
-- text has the byte 0xFF, and what else has it is not followed by the key.
local function find(records, session)
  local at = records and string.find(records, '\255' .. session, 1, true)
  if at then
    local length = struct.unpack('<I3', records, at + 17)
    return string.sub(records, at + 20, at + 19 + length), at
  end
end

-- The records without the one at `at`, whose length is `length`.
local function without(records, at, length)
  return string.sub(records, 1, at - 1) .. string.sub(records, at + 20 + length)
end

local function entry(session, record)
  return '\255' .. session .. struct.pack('<I3', #record) .. record
end

-- What is known of a session: of its tombstone 3 and until when, of its record 1 and the record, of its
-- activity alone 2 and that; or nothing.
local function read(session)
  local tombstone = redis.call('HGET', KEYS[2], session)
  if tombstone then
    return '\3' .. string.sub(tombstone, 8, 13)
  end
  local record = find(redis.call('GET', KEYS[1]), session)
  if record then
    return '\1' .. record
  end
  local activity = redis.call('GET', KEYS[3])
  return activity and '\2' .. activity
end

local function lengthen(key, life)
  if redis.call('PTTL', key) < life then
    redis.call('PEXPIRE', key, string.format('%.0f', life))
  end
end

-- How many tombstones of the user can be folded, and how many cannot. Removes those that have expired.
local function count_tombstones(now, skew)
  local counts = { [0] = 0, 0, 0 }
  local tombstones = redis.call('HGETALL', KEYS[2])
  for i = 1, #tombstones, 2 do
    if #tombstones[i] == 16 then
      local kind, _, ends = struct.unpack('<BI6I6', tombstones[i + 1])
      if ends + (kind == 2 and 0 or skew) <= now then
        redis.call('HDEL', KEYS[2], tombstones[i])
      elseif ends > now then
        counts[kind] = counts[kind] + 1
      end
    end
  end
  return counts[1], counts[0]
end

-- Writes the tombstone of a session, and removes what else is known of it. It only raises what it finds.
-- Answers whether it is the first (1 or 0; 2 if the same command has written it, by its nonce) and how
-- many can be folded; or -1 if there are too many that cannot.
local function write_tombstone(session, activity, ends, now, skew, most, nonce)
  local before = redis.call('HGET', KEYS[2], session)
  local begun, epoch = 0, 0
  local records = redis.call('GET', KEYS[1])
  local record, at = find(records, session)
  if record then
    epoch = struct.unpack('<I6', record, 21)
    ends = math.max(ends, (struct.unpack('<I6', record, 27)))
    begun = string.byte(record, 33) % 2
  end
  local foldable = 0
  if before then
    local kind, epoch_before, ends_before, nonce_before = struct.unpack('<BI6I6I4', before)
    if nonce == nonce_before then
      return 2, (count_tombstones(now, skew))
    end
    if ends <= ends_before then
      return 0, 0
    end
    begun, epoch, nonce = kind, epoch_before, nonce_before
  else
    local unfoldable
    foldable, unfoldable = count_tombstones(now, skew)
    if begun == 0 and unfoldable >= most then
      return -1, 0
    end
    foldable = foldable + begun
  end
  redis.call('HSET', KEYS[2], session, struct.pack('<BI6I6I4', begun, epoch, ends, nonce))
  lengthen(KEYS[2], math.max(ends - now, 0) + skew)
  if record then
    local rest = without(records, at, #record)
    if rest == '' then
      redis.call('DEL', KEYS[1])
    else
      redis.call('SET', KEYS[1], rest, 'KEEPTTL')
    end
  end
  redis.call('DEL', activity)
  return before and 0 or 1, foldable
end
