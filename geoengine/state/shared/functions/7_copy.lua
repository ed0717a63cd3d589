-- A state told to another one, and what another one told.

-- {kind, cursor, count} -> {next cursor, values}. Last fixes are told without the place, those of the
-- older hash where the newer one has none.
local function tell(k, q)
  local key_of = {
    people = k[PEOPLE], names = k[NAMES], newer = k[LAST_A], older = k[LAST_B], sends = k[SENDS],
    said = k[SAID], happened = k[FACTS], cards = k[CARDS],
  }
  local kind, told = q[1], {}
  local found = redis.call('HSCAN', key_of[kind], q[2], 'COUNT', q[3])
  for i = 1, #found[2], 2 do
    local name, value = found[2][i], found[2][i + 1]
    if kind == 'people' then
      local rows = with_last(k, value)
      told[#told + 1] = {name, rows[1], rows[2] or '', redis.call('ZSCORE', k[DUE], name) or ''}
    elseif kind == 'newer' or (kind == 'older' and redis.call('HEXISTS', k[LAST_A], name) == 0) then
      told[#told + 1] = {name, string.sub(value, 9, 16), redis.call('HGET', k[NAMES], name) or ''}
    elseif kind ~= 'newer' and kind ~= 'older' and (kind ~= 'names' or string.byte(name) ~= 1) then
      told[#told + 1] = {name, value}
    end
  end
  return {found[1], told}
end

-- {send_id, person, lever, created_ms, due_ms, status, reason, settled_ms or -1, attempts, last error,
--  packed as first written}
local function take_send(k, one)
  local send_id, person, created_ms, due_ms, status, settled_ms =
    one[1], one[2], one[4], one[5], one[6], one[8]
  local row = {person, one[3], created_ms, status, one[7], settled_ms, one[9], due_ms, -1, one[10]}
  keep_send(k, send_id, row, one[11])
  if status == 'pending' then
    redis.call('ZADD', k[WAIT], due_ms, send_id)
    redis.call('ZADD', k[PENDING], created_ms, send_id)
  else
    redis.call('ZADD', k[SETTLED], settled_ms, send_id)
  end
  if status == 'dead' then redis.call('HINCRBY', k[META], 'dead', 1) end
  local mine = list_of(k[MAIL], person)
  mine[#mine + 1] = send_id
  keep_list(k[MAIL], person, mine)
end

-- {person, oldest, entries, how many}
local function take_log(k, of, one)
  local person = one[1]
  redis.call('HSET', k[of.log], person, (redis.call('HGET', k[of.log], person) or '') .. one[3])
  redis.call('ZADD', k[of.ages], 'LT', one[2], person)
  redis.call('ZADD', k[TELLERS], 0, person)
  count_entries(k, of, one[4])
end

-- {name, when it ends, owner, row after its version}
local function take_card(k, one)
  redis.call('HSET', k[CARDS], one[1], '\1\0\0\0\0\0\0\0' .. one[4])
  redis.call('ZADD', k[CARD_NAMES], 0, one[1])
  point_to(k, one[1], one[2], one[3])
end

-- {op, people {person, row, due_ms or -1}, names at home {name, owner}, names at their owner's,
--  last times {device, person, fix_ms packed}, sends, decisions, facts, cards}
local function take_in(k, q)
  if done_before(k, q[1]) then return {} end
  for _, one in ipairs(q[2]) do
    redis.call('HSET', k[PEOPLE], one[1], one[2])
    if one[3] >= 0 then redis.call('ZADD', k[DUE], one[3], one[1]) end
  end
  for _, one in ipairs(q[3]) do redis.call('HSET', k[NAMES], one[1], one[2]) end
  for _, one in ipairs(q[4]) do bind(k, one[1], one[2]) end
  for _, one in ipairs(q[5]) do
    local fix = '\1\0\0\0' .. ZERO4 .. one[3] .. NOWHERE
    redis.call('HSET', k[LAST_A], one[1], fix .. flags_of(k, one[2]) .. NO_STAY)
  end
  for _, one in ipairs(q[6]) do take_send(k, one) end
  for _, one in ipairs(q[7]) do take_log(k, SAYS, one) end
  for _, one in ipairs(q[8]) do take_log(k, HAPPENS, one) end
  for _, one in ipairs(q[9]) do take_card(k, one) end
  remember(k, q[1], {})
  return {}
end

-- {} -> nothing: of the whole partition nothing is left
local function wipe(k, q)
  for number = 1, #KEYS_BY_NUMBER do redis.call('UNLINK', k[number]) end
  return {}
end

register('tell', shares(tell))
register('take_in', shares(take_in))
register('wipe', shares(wipe))
