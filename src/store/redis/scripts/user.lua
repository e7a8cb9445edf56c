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

-- Writes the tombstone of a session, and removes what else is known of it. Removes tombstones that have
-- expired. It only raises what it finds. Answers whether it is the first (1 or 0) and how many can be
-- folded; or -1 if there are too many that cannot.
local function write_tombstone(session, activity, ends, now, skew, most)
  local begun, epoch = 0, 0
  local records = redis.call('GET', KEYS[1])
  local record, at = find(records, session)
  if record then
    epoch = struct.unpack('<I6', record, 21)
    ends = math.max(ends, (struct.unpack('<I6', record, 27)))
    begun = string.byte(record, 33) % 2
  end
  local before = redis.call('HGET', KEYS[2], session)
  local folded = 0
  if before then
    local kind, epoch_before, ends_before = struct.unpack('<BI6I6', before)
    if ends <= ends_before then
      return 0, 0
    end
    begun, epoch = kind, epoch_before
  else
    local unfolded = 0
    local others = redis.call('HGETALL', KEYS[2])
    for i = 1, #others, 2 do
      if #others[i] == 16 then
        local kind, _, other_ends = struct.unpack('<BI6I6', others[i + 1])
        if other_ends + (kind == 2 and 0 or skew) <= now then
          redis.call('HDEL', KEYS[2], others[i])
        elseif other_ends > now then
          folded = folded + (kind == 1 and 1 or 0)
          unfolded = unfolded + (kind == 0 and 1 or 0)
        end
      end
    end
    if begun == 0 and unfolded >= most then
      return -1, 0
    end
  end
  redis.call('HSET', KEYS[2], session, struct.pack('<BI6I6', begun, epoch, ends))
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
  return before and 0 or 1, folded + begun
end
