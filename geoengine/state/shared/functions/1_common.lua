#!lua name=geoengine_VERSION
-- What all functions share. A call is about one or more partitions (more than one only where there
-- is no Cluster), each with one msgpack argument. In a Cluster every key that a function may touch is
-- declared, so that a slot on the move answers TRYAGAIN and never shows half; elsewhere one of each
-- partition's, for what is declared is paid for each time.
-- Nothing of Lua's own is there while the library is loaded, only inside its functions.

local PEOPLE, DUE, NAMES, LAST_A, LAST_B, META = 1, 2, 3, 4, 5, 6
local SENDS, HANDS, WAIT, MAIL, PENDING, SETTLED, SAID, SAYING, OPS_A, OPS_B =
  7, 8, 9, 10, 11, 12, 13, 14, 15, 16
local FACTS, HAPPENING, TELLERS, CARDS, CARD_NAMES, CARD_ENDS, CARD_OWNERS =
  17, 18, 19, 20, 21, 22, 23
local KEYS_BY_NUMBER = {
  'people', 'due', 'names', 'last_a', 'last_b', 'meta', 'sends', 'hands', 'wait', 'mail', 'pending',
  'settled', 'said', 'saying', 'ops_a', 'ops_b', 'facts', 'happening', 'tellers', 'cards',
  'card_names', 'card_ends', 'card_owners',
}

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

-- A partition's keys by one of them; names only, as many as there are partitions.
local keys_beside = {}

local function partition_of(key)
  local tag, k = string.match(key, '^.-}:'), {}
  for number, name in ipairs(KEYS_BY_NUMBER) do k[number] = tag .. name end
  keys_beside[key] = k
  return k
end

local function shares(body)
  return function(keys, args)
    local replies, step = {}, #keys / #args
    for share = 1, #args do
      local key = keys[(share - 1) * step + 1]
      replies[share] = body(keys_beside[key] or partition_of(key), cmsgpack.unpack(args[share]))
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

local function hset(key, pairs_) -- how many fields are new
  local count = 0
  for from = 1, #pairs_, CHUNK do
    local to = math.min(from + CHUNK - 1, #pairs_)
    count = count + redis.call('HSET', key, unpack(pairs_, from, to))
  end
  return count
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

-- Two hashes take turns: when the one that is written is full, it takes the place of the other, and
-- a new one begins. What has not been touched for a whole round is gone then: bounded, least recent
-- first. Replicas and the file, which have not all of it, begin anew: what they are told to drop has to
-- be there to be dropped.
local function turn_over(k, a, b, limit)
  if redis.call('HLEN', k[a]) <= limit then return end
  redis.set_repl(redis.REPL_NONE)
  redis.call('RENAME', k[a], k[b])
  redis.call('HSET', k[a], '', '')
  redis.set_repl(redis.REPL_ALL)
  redis.call('UNLINK', k[a])
end
