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

-- Of the epochs up to `epoch` a session of the user may be active that has no record: field `d`.
local function note_unrecorded(epoch)
  local before = redis.call('HGET', KEYS[2], 'd')
  if not before or struct.unpack('<I6', before) < epoch then
    redis.call('HSET', KEYS[2], 'd', struct.pack('<I6', epoch))
  end
end

-- What is folded of the user, packed: field `f`.
local function read_folded(now)
  local value = redis.call('HGET', KEYS[2], 'f')
  if value and now < struct.unpack('<I6', value, 19) then
    return value
  end
end

-- The last epoch that cannot be folded: every session that began later has a record if it is active. None
-- can be while what is folded reaches as far back: it is one range, and an active session in it, which was
-- exempt when it was folded, may have lost its record since.
local function last_unfoldable(now)
  local unrecorded = redis.call('HGET', KEYS[2], 'd')
  if not unrecorded then
    return 0
  end
  local last, before = struct.unpack('<I6', unrecorded), read_folded(now)
  return before and struct.unpack('<I6', before) <= last and math.huge or last
end

-- The tombstones of the user that stand: the sessions of those that can be folded, and how many cannot be.
-- Removes those that have expired.
local function sort_tombstones(now, skew)
  local last, foldable, unfoldable = last_unfoldable(now), {}, 0
  local tombstones = redis.call('HGETALL', KEYS[2])
  for i = 1, #tombstones, 2 do
    if #tombstones[i] == 16 then
      local kind, epoch, ends = struct.unpack('<BI6I6', tombstones[i + 1])
      if ends + (kind == 2 and 0 or skew) <= now then
        redis.call('HDEL', KEYS[2], tombstones[i])
      elseif kind < 2 then
        if kind == 1 and epoch > last then
          foldable[#foldable + 1] = tombstones[i]
        else
          unfoldable = unfoldable + 1
        end
      end
    end
  end
  return foldable, unfoldable, last
end

-- Whether there is room for the tombstone of one more session, which has this record or none; and how many
-- can be folded then.
local function has_room(record, now, skew, most)
  local foldable, unfoldable, last = sort_tombstones(now, skew)
  local count = #foldable
  if record and string.byte(record, 33) % 2 == 1 and struct.unpack('<I6', record, 21) > last then
    return count < most, count + 1
  end
  return unfoldable < most, count
end

-- Writes the tombstone of a session, and removes what else is known of it. It only raises what it finds.
-- Answers whether it is the first (1 or 0; 2 if the same command has written it, by its nonce) and how
-- many can be folded; or -1 if there is no room for it.
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
      return 2, #sort_tombstones(now, skew)
    end
    if ends <= ends_before then
      return 0, 0
    end
    begun, epoch, nonce = kind, epoch_before, nonce_before
  else
    local is_kept
    is_kept, foldable = has_room(record, now, skew, most)
    if not is_kept then
      return -1, 0
    end
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
