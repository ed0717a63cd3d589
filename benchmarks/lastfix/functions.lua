#!lua name=last_fix
-- What is asked of the servers. Requests are msgpack: how many devices of each key, then the devices
-- of all. A write has beside it an entry a device: the turn it believes, and the new head. It answers
-- the rows where that was wrong, each behind its position.
local HEAD, ENTRY, ROW = 40, 44, 88
local ZEROS = '\0\0\0\0\0\0\0\0\0\0\0'
local NEVER = ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS

local function judged(row, entries, ix, refused)
  local at = (ix - 1) * ENTRY
  if string.sub(row, 1, 4) == string.sub(entries, at + 1, at + 4) then
    return string.sub(entries, at + 5, at + ENTRY)
  end
  refused[#refused + 1] = struct.pack('<I4', ix - 1) .. row
end

local function keys_set(keys, args)
  local written, refused = {}, {}
  for ix, found in ipairs(redis.call('MGET', unpack(keys))) do
    local row = found or NEVER
    local head = judged(row, args[1], ix, refused)
    if head then
      written[#written + 1] = keys[ix]
      written[#written + 1] = head .. string.sub(row, HEAD + 1)
    end
  end
  for first = 1, #written, 2000 do
    redis.call('MSET', unpack(written, first, math.min(first + 1999, #written)))
  end
  return table.concat(refused)
end

local function keys_set_tracked(keys, args)
  local refused = keys_set(keys, args)
  redis.call('EXISTS', unpack(keys))
  return refused
end

local function walk(keys, args, step, work)
  local asked, last = cmsgpack.unpack(args[1]), 0
  for ix = 1, #keys, step do
    local first = last + 1
    last = last + asked[1][(ix - 1) / step + 1]
    work(asked[2], first, last, keys[ix], keys[ix + 1])
  end
end

local function hash_rows(keys, args)
  local found = {}
  walk(keys, args, 1, function(ids, first, last, key)
    for _, row in ipairs(redis.call('HMGET', key, unpack(ids, first, last))) do
      found[#found + 1] = row or NEVER
    end
  end)
  return table.concat(found)
end

local function hash_set(keys, args)
  local refused = {}
  walk(keys, args, 1, function(ids, first, last, key)
    local written = {}
    for turn, found in ipairs(redis.call('HMGET', key, unpack(ids, first, last))) do
      local row, ix = found or NEVER, first + turn - 1
      local head = judged(row, args[2], ix, refused)
      if head then
        written[#written + 1] = ids[ix]
        written[#written + 1] = head .. string.sub(row, HEAD + 1)
      end
    end
    if #written > 0 then redis.call('HSET', key, unpack(written)) end
  end)
  return table.concat(refused)
end

local function hash_set_here(keys, args)
  redis.set_repl(redis.REPL_NONE)
  return hash_set(keys, args)
end

local function blob_rows(keys, args)
  local found = {}
  walk(keys, args, 1, function(offsets, first, last, key)
    for ix = first, last do
      found[ix] = redis.call('GETRANGE', key, offsets[ix], offsets[ix] + ROW - 1)
    end
  end)
  return table.concat(found)
end

local function blob_write(key, at, entries, ix, refused)
  local row = redis.call('GETRANGE', key, at, at + ROW - 1)
  local head = judged(row, entries, ix, refused)
  if head then redis.call('SETRANGE', key, at, head) end
end

local function blob_set(keys, args)
  local refused = {}
  walk(keys, args, 1, function(offsets, first, last, key)
    for ix = first, last do blob_write(key, offsets[ix], args[2], ix, refused) end
  end)
  return table.concat(refused)
end

local function indexed_rows(keys, args)
  local found = {}
  walk(keys, args, 2, function(ids, first, last, key, index)
    for _, at in ipairs(redis.call('HMGET', index, unpack(ids, first, last))) do
      found[#found + 1] = redis.call('GETRANGE', key, at, at + ROW - 1)
    end
  end)
  return table.concat(found)
end

local function indexed_set(keys, args)
  local refused = {}
  walk(keys, args, 2, function(ids, first, last, key, index)
    for turn, at in ipairs(redis.call('HMGET', index, unpack(ids, first, last))) do
      blob_write(key, tonumber(at), args[2], first + turn - 1, refused)
    end
  end)
  return table.concat(refused)
end

local function leased_set(keys, args)
  local first = 3
  local counts = cmsgpack.unpack(args[1])
  for ix, key in ipairs(keys) do
    local stop = first + 2 * counts[ix]
    if redis.call('HGET', key, '') == args[2] then
      redis.call('HSET', key, unpack(args, first, stop - 1))
    end
    first = stop
  end
  return ''
end

redis.register_function('keys_set', keys_set)
redis.register_function('keys_set_tracked', keys_set_tracked)
redis.register_function('hash_rows', hash_rows)
redis.register_function('hash_set', hash_set)
redis.register_function('hash_set_here', hash_set_here)
redis.register_function('blob_rows', blob_rows)
redis.register_function('blob_set', blob_set)
redis.register_function('indexed_rows', indexed_rows)
redis.register_function('indexed_set', indexed_set)
redis.register_function('leased_set', leased_set)
