-- Cards: what is known by name. A card's row: version (8 bytes), when it ends (a double, 0 for never),
-- length of the owner's name (4), that name, the body. Beside them, to find them by: their names in
-- order, their ends, and owner and name together, one of which no name can hold.

local function end_and_owner(row)
  local until_ms, length = struct.unpack('<dI4', string.sub(row, 9, 20))
  return until_ms, string.sub(row, 21, 20 + length)
end

local function owned_card(owner, name) return owner .. '\0' .. name end

-- What leads to a card by its end and its owner.
local function point_to(k, name, until_ms, owner)
  if until_ms > 0 then redis.call('ZADD', k[CARD_ENDS], until_ms, name) end
  if owner ~= '' then redis.call('ZADD', k[CARD_OWNERS], 0, owned_card(owner, name)) end
end

local function point_away(k, name, row)
  local until_ms, owner = end_and_owner(row)
  if until_ms > 0 then redis.call('ZREM', k[CARD_ENDS], name) end
  if owner ~= '' then redis.call('ZREM', k[CARD_OWNERS], owned_card(owner, name)) end
end

-- Versions go on after those of cards that are no more: see `bury`.
local function drop_card(k, name, row)
  local gone = tonumber(redis.call('HGET', k[META], 'card_gone') or '0')
  local version = struct.unpack('<I8', row)
  if version > gone then
    redis.call('HSET', k[META], 'card_gone', string.format('%.0f', version))
  end
  point_away(k, name, row)
  redis.call('HDEL', k[CARDS], name)
  redis.call('ZREM', k[CARD_NAMES], name)
end

-- {names} -> rows or false
local function find_cards(k, q) return hmget(k[CARDS], q) end

-- {op, name, version it was loaded with, when it ends, owner, row after its version or '' to take it
--  away, limit} -> {1, version it has now}, {0, ''} where it has another, {2, ''} where there is no room
local function put_card(k, q)
  local name, row = q[2], redis.call('HGET', k[CARDS], q[2])
  local done = done_before(k, q[1])
  if done then return done end
  local version = row and string.sub(row, 1, 8) or NO_VERSION
  if version ~= q[3] then return {0, ''} end
  local number = struct.unpack('<I8', version)
  if q[6] == '' then
    if not row then return {1, NO_VERSION} end
    drop_card(k, name, struct.pack('<I8', number + 1) .. string.sub(row, 9)) -- its pointers are the same
  else
    if not row then
      if redis.call('HLEN', k[CARDS]) >= q[7] then return {2, ''} end
      number = tonumber(redis.call('HGET', k[META], 'card_gone') or '0')
      redis.call('ZADD', k[CARD_NAMES], 0, name)
    else
      point_away(k, name, row)
    end
    redis.call('HSET', k[CARDS], name, struct.pack('<I8', number + 1) .. q[6])
    point_to(k, name, q[4], q[5])
  end
  local answer = {1, struct.pack('<I8', number + 1)}
  remember(k, q[1], answer)
  return answer
end

-- {name after which, how many, prefix} -> {name of the last or '' when there are no more, {name, row, ...}}
local function page_cards(k, q)
  local from = (q[1] ~= '' and '(' .. q[1]) or (q[3] ~= '' and '[' .. q[3]) or '-'
  local to = q[3] ~= '' and '(' .. q[3] .. '\255' or '+' -- no byte of a name is 255
  local names = redis.call('ZRANGEBYLEX', k[CARD_NAMES], from, to, 'LIMIT', 0, q[2])
  local rows, found = hmget(k[CARDS], names), {}
  for i, name in ipairs(names) do
    if rows[i] then
      found[#found + 1] = name
      found[#found + 1] = rows[i]
    end
  end
  return {#names == q[2] and names[#names] or '', found}
end

local function cards_of(k, owner) -- {{name, row}, ...}
  local found, theirs = {}, redis.call(
    'ZRANGEBYLEX', k[CARD_OWNERS], '[' .. owned_card(owner, ''), '(' .. owner .. '\1'
  )
  for _, one in ipairs(theirs) do
    local name = string.sub(one, #owner + 2)
    local row = redis.call('HGET', k[CARDS], name)
    -- Another owner's name may go on where this one's ends.
    if row and select(2, end_and_owner(row)) == owner then found[#found + 1] = {name, row} end
  end
  return found
end

-- {person} -> {name, row, ...}
local function owned_cards(k, q)
  local found = {}
  for _, one in ipairs(cards_of(k, q[1])) do
    found[#found + 1] = one[1]
    found[#found + 1] = one[2]
  end
  return found
end

-- {person} -> how many cards were theirs
local function disown(k, q)
  local theirs = cards_of(k, q[1])
  for _, one in ipairs(theirs) do drop_card(k, one[1], one[2]) end
  return #theirs
end

-- {now_ms, limit} -> {how many had their day, 1 when there may be more}
local function end_cards(k, q)
  local names = redis.call('ZRANGEBYSCORE', k[CARD_ENDS], '(0', '(' .. q[1], 'LIMIT', 0, q[2])
  local rows = hmget(k[CARDS], names)
  for i, name in ipairs(names) do drop_card(k, name, rows[i]) end
  return {#names, #names == q[2] and 1 or 0}
end

register('find_cards', shares(find_cards))
register('put_card', shares(put_card))
register('page_cards', shares(page_cards))
register('owned_cards', shares(owned_cards))
register('disown', shares(disown))
register('end_cards', shares(end_cards))
