-- The outbox. Who holds a row: {owner, until_ms, process, 1 when begun}.

-- {} -> when the first deadline and the first row fall due; '' for never
local function sweep(k, q)
  local due = redis.call('ZRANGE', k[DUE], 0, 0, 'WITHSCORES')
  local wait = redis.call('ZRANGE', k[WAIT], 0, 0, 'WITHSCORES')
  return {due[2] or '', wait[2] or ''}
end

-- {now_ms, limit} -> {person, due_ms, ...}
local function overdue(k, q)
  return redis.call('ZRANGEBYSCORE', k[DUE], '-inf', q[1], 'WITHSCORES', 'LIMIT', 0, q[2])
end

-- {now_ms, limit} -> {send_id, due_ms, ...}
local function peek(k, q)
  return redis.call('ZRANGEBYSCORE', k[WAIT], '-inf', q[1], 'WITHSCORES', 'LIMIT', 0, q[2])
end

-- {send_ids, now_ms, until_ms, owner, process} -> {send_id, row, ...} of those still to be had, and of
-- those had by this very call, whose answer was lost
local function take(k, q)
  local taken, hand = {}, cmsgpack.pack({q[4], q[3], q[5], 0})
  for _, send_id in ipairs(q[1]) do
    local due_ms = redis.call('ZSCORE', k[WAIT], send_id)
    local is_again = redis.call('HGET', k[HANDS], send_id) == hand -- the reply was lost
    if due_ms and (tonumber(due_ms) <= q[2] or is_again) then
      redis.call('ZADD', k[WAIT], q[3], send_id)
      redis.call('HSET', k[HANDS], send_id, hand)
      taken[#taken + 1] = send_id
      taken[#taken + 1] = redis.call('HGET', k[SENDS], send_id)
    end
  end
  return taken
end

-- {{send_id, owner, person}} -> the person's row, as `load`, of rows that are still the owner's
local function begin(k, q)
  local found = {}
  for i, one in ipairs(q) do
    local packed = redis.call('HGET', k[HANDS], one[1])
    local hand = packed and cmsgpack.unpack(packed)
    if hand and hand[1] == one[2] then
      hand[4] = 1
      redis.call('HSET', k[HANDS], one[1], cmsgpack.pack(hand))
      found[i] = with_last(k, redis.call('HGET', k[PEOPLE], one[3]))
    else
      found[i] = false
    end
  end
  return found
end

-- {person, owner or '', now_ms} -> the processes of others that have begun to send to them
local function begun(k, q)
  local processes = {}
  for _, send_id in ipairs(list_of(k[MAIL], q[1])) do
    local packed = redis.call('HGET', k[HANDS], send_id)
    local hand = packed and cmsgpack.unpack(packed)
    if hand and hand[4] == 1 and hand[1] ~= q[2] and q[3] < hand[2] then
      processes[#processes + 1] = hand[3]
    end
  end
  return processes
end

local function end_row(k, send_id, row, send, now_ms)
  row[6] = now_ms
  keep_send(k, send_id, row, send)
  redis.call('ZREM', k[WAIT], send_id)
  redis.call('ZREM', k[PENDING], send_id)
  redis.call('ZADD', k[SETTLED], now_ms, send_id)
  if row[4] == 'dead' then redis.call('HINCRBY', k[META], 'dead', 1) end
end

-- {{{send_id, status, reason, due_ms, attempts}}, owner, now_ms, op} -> the send_ids settled
local function settle(k, q)
  local done = done_before(k, q[4])
  if done then return done end
  local settled = {}
  for _, one in ipairs(q[1]) do
    local send_id, status = one[1], one[2]
    local hand, row, send = redis.call('HGET', k[HANDS], send_id), read_send(k, send_id)
    if hand and row and cmsgpack.unpack(hand)[1] == q[2] then
      if one[5] > 0 then row[7] = one[5] end
      if status ~= 'retry' then
        row[4], row[5] = status, one[3]
        end_row(k, send_id, row, send, q[3])
      elseif row[4] == 'pending' then
        row[8], row[10] = one[4], one[3]
        keep_send(k, send_id, row, send)
        redis.call('ZADD', k[WAIT], one[4], send_id)
      end
      redis.call('HDEL', k[HANDS], send_id)
      settled[#settled + 1] = send_id
    end
  end
  if #settled > 0 then remember(k, q[4], settled) end
  return settled
end

-- {} -> {send_id, process, ...} of all rows in somebody's hands
local function held(k, q)
  local found, hands = {}, redis.call('HGETALL', k[HANDS])
  for i = 1, #hands, 2 do
    found[#found + 1] = hands[i]
    found[#found + 1] = cmsgpack.unpack(hands[i + 1])[3]
  end
  return found
end

-- {{send_id, process}} of processes that are no more: whoever serves the partition may take the rows.
-- What they had begun may have been sent: it counts as an attempt, or its place under a cap would be
-- given away.
local function free(k, q)
  for _, one in ipairs(q) do
    local packed = redis.call('HGET', k[HANDS], one[1])
    local hand = packed and cmsgpack.unpack(packed)
    if hand and hand[3] == one[2] then
      local row, send = read_send(k, one[1])
      redis.call('HDEL', k[HANDS], one[1])
      if row and hand[4] == 1 then
        row[7] = row[7] + 1
        keep_send(k, one[1], row, send)
      end
      if row and row[4] == 'pending' then redis.call('ZADD', k[WAIT], row[8], one[1]) end
    end
  end
  return {}
end

local function drop_send(k, send_id)
  local row = read_send(k, send_id)
  if not row then return end
  if row[4] == 'dead' then redis.call('HINCRBY', k[META], 'dead', -1) end
  keep_list(k[MAIL], row[1], without(list_of(k[MAIL], row[1]), send_id))
  redis.call('HDEL', k[SENDS], send_id)
  redis.call('HDEL', k[HANDS], send_id)
  redis.call('ZREM', k[WAIT], send_id)
  redis.call('ZREM', k[PENDING], send_id)
  redis.call('ZREM', k[SETTLED], send_id)
end

-- {status or '', limit} -> {send_id, row, 1 when leased, ...}, newest first
local function list(k, q)
  local found, status, limit = {}, q[1], q[2]
  local function add(ids, is_wanted)
    for _, send_id in ipairs(ids) do
      if #found >= 6 * limit then return end -- three values each, of two kinds
      local row = read_send(k, send_id)
      local is_held = redis.call('HEXISTS', k[HANDS], send_id)
      if row and is_wanted(row, is_held) then
        found[#found + 1] = send_id
        found[#found + 1] = redis.call('HGET', k[SENDS], send_id)
        found[#found + 1] = is_held
      end
    end
  end
  if status == '' or status == 'pending' or status == 'leased' then
    local bound = status == '' and limit - 1 or -1
    add(redis.call('ZREVRANGE', k[PENDING], 0, bound), function(_, is_held)
      return status == '' or (status == 'leased') == (is_held == 1)
    end)
  end
  if status ~= 'pending' and status ~= 'leased' then
    local bound = status == '' and limit - 1 or -1
    add(redis.call('ZREVRANGE', k[SETTLED], 0, bound), function(row)
      return status == '' or row[4] == status
    end)
  end
  return found
end

-- {person, limit} -> {row, 1 when leased, ...}, what was appended last first
local function sends_of(k, q)
  local found, mail = {}, list_of(k[MAIL], q[1])
  for i = #mail, math.max(#mail - q[2], 0) + 1, -1 do
    found[#found + 1] = redis.call('HGET', k[SENDS], mail[i])
    found[#found + 1] = redis.call('HEXISTS', k[HANDS], mail[i])
  end
  return found
end

-- {send_ids, now_ms, expires_ms, op} -> those revived
local function revive(k, q)
  local done = done_before(k, q[4])
  if done then return done end
  local revived = {}
  for _, send_id in ipairs(q[1]) do
    local row, send = read_send(k, send_id)
    if row and row[4] == 'dead' then
      row[4], row[5], row[6], row[7], row[8], row[9] = 'pending', '', -1, 0, q[2], q[3]
      row[10] = ''
      keep_send(k, send_id, row, send)
      redis.call('ZREM', k[SETTLED], send_id)
      redis.call('ZADD', k[WAIT], q[2], send_id)
      redis.call('ZADD', k[PENDING], row[3], send_id)
      redis.call('HINCRBY', k[META], 'dead', -1)
      revived[#revived + 1] = send_id
    end
  end
  if #revived > 0 then remember(k, q[4], revived) end
  return revived
end
