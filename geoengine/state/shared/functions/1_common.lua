#!lua name=geoengine_VERSION
-- What all functions share. A call is about one or more partitions (more than one only where there
-- is no Cluster): so many keys each, in the order below, and one msgpack argument each. Every key a
-- function may touch is declared, so that a slot on the move answers TRYAGAIN and never shows half.

-- Nothing of Lua's own is there while the library is loaded, only inside its functions.

local PEOPLE, DUE, NAMES, LAST_A, LAST_B, META = 1, 2, 3, 4, 5, 6
local SENDS, HANDS, WAIT, MAIL, PENDING, SETTLED, SAID, SAYING, OPS_A, OPS_B =
  7, 8, 9, 10, 11, 12, 13, 14, 15, 16
local FEW_KEYS, ALL_KEYS = 6, 16

-- A person's row: version (8 bytes), flags (1), length of the name of the device whose last fix their
-- presence goes on with (1), that name, the packed record.
local NO_VERSION = '\0\0\0\0\0\0\0\0'

-- A device's row: what its last fix says (40 bytes: turn, suspects, time, place, accuracy), then what
-- is on record of its person (48: flags, when the record knew of it, lag, dwell, zones they stand in),
-- then, if the last report was an impossible jump, that (32).
local FIX, ROW = 40, 88
local ZERO4 = '\0\0\0\0'
local NOWHERE =
  '\0\0\0\0\0\0\248\127\0\0\0\0\0\0\248\127\0\0\0\0\0\0\248\127'
local NEVER = '\0\0\0\0\0\0\0\0' .. '\255\255\255\255\255\255\255\255' .. NOWHERE
local NO_ZONES = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local NO_STAY = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' .. NO_ZONES -- after the flags
local NOTHING_KNOWN = '\0' .. NO_STAY
local ANY_TURN = '\255\255\255\255'

local CHUNK = 2000 -- Lua hands over no more than some 8,000 values at once

local function shares(key_count, body)
  return function(keys, args)
    local replies = {}
    for share = 1, #args do
      local k = {}
      for i = 1, key_count do k[i] = keys[(share - 1) * key_count + i] end
      replies[share] = body(k, cmsgpack.unpack(args[share]))
    end
    return replies
  end
end

local function hmget(key, fields)
  local count = #fields
  if count == 0 then return {} end
  if count <= CHUNK then return redis.call('HMGET', key, unpack(fields)) end
  local found = {}
  for from = 1, count, CHUNK do
    local part = redis.call('HMGET', key, unpack(fields, from, math.min(from + CHUNK - 1, count)))
    for i = 1, #part do found[from + i - 1] = part[i] end
  end
  return found
end

local function hset(key, pairs_)
  for from = 1, #pairs_, CHUNK do
    redis.call('HSET', key, unpack(pairs_, from, math.min(from + CHUNK - 1, #pairs_)))
  end
end

local function hdel(key, fields)
  for from = 1, #fields, CHUNK do
    redis.call('HDEL', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
  end
end

local function list_of(key, field)
  local packed = redis.call('HGET', key, field)
  return packed and cmsgpack.unpack(packed) or {}
end

local function keep_list(key, field, list)
  if #list == 0 then redis.call('HDEL', key, field) else redis.call('HSET', key, field, cmsgpack.pack(list)) end
end

local function without(list, gone)
  local left = {}
  for _, one in ipairs(list) do
    if one ~= gone then left[#left + 1] = one end
  end
  return left
end

local function has(list, wanted)
  for _, one in ipairs(list) do
    if one == wanted then return true end
  end
  return false
end

-- Two hashes take turns: when the one that is written is full, the other is emptied and written
-- instead. What has not been touched for a whole round is gone then: bounded, least recent first.
local function generations(k, a, b, name)
  if redis.call('HGET', k[META], name) == 'b' then return k[b], k[a], 'a' end
  return k[a], k[b], 'b'
end

local function turn_over(k, a, b, name, limit)
  local now, before, other = generations(k, a, b, name)
  if redis.call('HLEN', now) > limit then
    redis.call('UNLINK', before)
    redis.call('HSET', k[META], name, other)
  end
end
