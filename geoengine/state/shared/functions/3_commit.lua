-- A commit's part in one partition.

-- Somebody at rest was heard of again after the record was loaded: what ends their presence may not
-- know. {person, version, row, due, device stood with, standing, known up to, is_forgotten,
-- is its own by this commit}
local function is_behind(k, change, row)
  local length = row and string.byte(row, 10) or 0
  if length == 0 or change[8] then return false end
  local device = string.sub(row, 11, 10 + length)
  local last = rows_of(k, {device})[1]
  local zones = last and string.sub(last, 65, ROW)
  if not last or zones == NO_ZONES then return false end
  if change[5] == device and string.sub(change[6], 25, 48) == zones then return false end
  return struct.unpack('<i8', string.sub(last, 9, 16)) > (change[7][device] or -1)
end

local function find_lost(k, changes, drops, lost)
  local names = {}
  for i, change in ipairs(changes) do names[i] = change[1] end
  local rows, owners = hmget(k[PEOPLE], names), hmget(k[NAMES], names)
  for i, change in ipairs(changes) do
    local version = rows[i] and string.sub(rows[i], 1, 8) or NO_VERSION
    local is_device = owners[i] and owners[i] ~= change[1] and not change[9]
    if version ~= change[2] or is_device or is_behind(k, change, rows[i]) then
      lost[change[1]] = true
    end
  end
  for _, drop in ipairs(drops) do
    local row = redis.call('HGET', k[PEOPLE], drop[1])
    if (row and string.sub(row, 1, 8) or NO_VERSION) ~= drop[2] then lost[drop[1]] = true end
  end
end

local function drop_person(k, person, limit)
  bury(k, redis.call('HGET', k[PEOPLE], person))
  redis.call('HDEL', k[PEOPLE], person)
  redis.call('ZREM', k[DUE], person)
  local shown = {{person, '\0'}}
  for _, name in ipairs(owned(k, person)) do shown[#shown + 1] = {name, '\0'} end
  show(k, shown, limit)
end

-- People's records, and what shows of them on their devices; `at` has rows written just now.
local function keep_people(k, changes, lost, at, limit)
  local names, kept, gone, due, idle, shown = {}, {}, {}, {}, {}, {}
  for _, change in ipairs(changes) do
    if not lost[change[1]] then names[#names + 1] = '\1' .. change[1] end
  end
  if #names == 0 then return false end
  local bound, next_ = hmget(k[NAMES], names), 0
  local function tell(person, flags, device, standing)
    next_ = next_ + 1
    local mine = bound[next_] and cmsgpack.unpack(bound[next_]) or {}
    mine[#mine + 1] = person
    for _, name in ipairs(mine) do
      shown[#shown + 1] = {name, flags, name == device and standing or nil, at[name]}
    end
  end
  for _, change in ipairs(changes) do
    local person, row, due_ms = change[1], change[3], change[4]
    if not lost[person] then
      if row == '' then
        bury(k, change[2])
        gone[#gone + 1] = person
        tell(person, '\0')
      else
        kept[#kept + 1] = person
        kept[#kept + 1] = change[2] == NO_VERSION and reborn(k, row) or row
        if due_ms < 0 then
          idle[#idle + 1] = person
        else
          due[#due + 1] = due_ms
          due[#due + 1] = person
        end
        tell(person, string.sub(row, 9, 9), change[5], change[6])
      end
    end
  end
  for _, person in ipairs(gone) do idle[#idle + 1] = person end
  hset(k[PEOPLE], kept)
  hdel(k[PEOPLE], gone)
  for from = 1, #due, CHUNK do
    redis.call('ZADD', k[DUE], unpack(due, from, math.min(from + CHUNK - 1, #due)))
  end
  for from = 1, #idle, CHUNK do
    redis.call('ZREM', k[DUE], unpack(idle, from, math.min(from + CHUNK - 1, #idle)))
  end
  show(k, shown, limit)
  return true
end

-- A row of the outbox: how it stands, then the send as first written. How it stands: {person, lever,
-- created_ms, status, reason, settled_ms, attempts, due_ms, expires_ms or -1 as first written, last
-- error}.
local function read_send(k, send_id)
  local packed = redis.call('HGET', k[SENDS], send_id)
  if not packed then return nil end
  local length = struct.unpack('<I4', packed)
  return cmsgpack.unpack(string.sub(packed, 5, 4 + length)), string.sub(packed, 5 + length)
end

local function keep_send(k, send_id, row, send)
  local packed = cmsgpack.pack(row)
  redis.call('HSET', k[SENDS], send_id, struct.pack('<I4', #packed) .. packed .. send)
end

-- {send_id, person, lever, due_ms, created_ms, packed}
local function add_send(k, send)
  local send_id, person = send[1], send[2]
  if redis.call('HEXISTS', k[SENDS], send_id) == 1 then return end
  keep_send(k, send_id, {person, send[3], send[5], 'pending', '', -1, 0, send[4], -1, ''}, send[6])
  redis.call('ZADD', k[WAIT], send[4], send_id)
  redis.call('ZADD', k[PENDING], send[5], send_id)
  local mine = list_of(k[MAIL], person)
  mine[#mine + 1] = send_id
  keep_list(k[MAIL], person, mine)
end

-- What was decided about people, and what happened to them: by person, one entry after another, the
-- time of their first entry beside them. Who has any is in `tellers`, in order.
local SAYS = {log = SAID, ages = SAYING, counted = 'said'}
local HAPPENS = {log = FACTS, ages = HAPPENING, counted = 'happened'}

local function count_entries(k, of, more)
  if more ~= 0 then redis.call('HINCRBY', k[META], of.counted, more) end
end

-- {person, at_ms, packed} -> how many more there are by it
local function add_entry(k, of, entry, limit_bytes)
  local person, at_ms, packed = entry[1], entry[2], entry[3]
  local log = redis.call('HGET', k[of.log], person) or ''
  if log == '' then redis.call('ZADD', k[TELLERS], 0, person) end
  log = log .. struct.pack('<dI4', at_ms, #packed) .. packed
  local gone = 0
  while #log > limit_bytes do
    log = string.sub(log, 13 + struct.unpack('<I4', string.sub(log, 9, 12)))
    gone = gone + 1
  end
  redis.call('HSET', k[of.log], person, log)
  redis.call('ZADD', k[of.ages], 'LT', at_ms, person)
  return 1 - gone
end

-- Those of people who have not lost -> whether there are any
local function add_entries(k, of, entries, limit_bytes, lost)
  local more, is_any = 0, false
  for _, entry in ipairs(entries) do
    if not lost[entry[1]] then
      more = more + add_entry(k, of, entry, limit_bytes)
      is_any = true
    end
  end
  count_entries(k, of, more)
  return is_any
end

-- Pending rows of a person by a lever end; who is sending one may still settle it.
local function cancel(k, person, lever, now_ms)
  for _, send_id in ipairs(list_of(k[MAIL], person)) do
    local row, send = read_send(k, send_id)
    if row and row[4] == 'pending' and (lever == '' or lever == row[2]) then
      row[4], row[5], row[6] = 'refused', 'consent_withdrawn', now_ms
      keep_send(k, send_id, row, send)
      redis.call('ZREM', k[WAIT], send_id)
      redis.call('ZREM', k[PENDING], send_id)
      redis.call('ZADD', k[SETTLED], now_ms, send_id)
    end
  end
end

local OPS_KEPT = 4096

local function done_before(k, op)
  if op == '' then return nil end
  local done = redis.call('HGET', k[OPS_A], op) or redis.call('HGET', k[OPS_B], op)
  if not done then return nil end
  redis.call('HINCRBY', k[META], 'again', 1) -- something for WAIT to wait for
  return cmsgpack.unpack(done)
end

local function remember(k, op, answer)
  if op == '' then return end
  redis.call('HSET', k[OPS_A], op, cmsgpack.pack(answer))
  if redis.call('HLEN', k[OPS_A]) > OPS_KEPT then
    redis.call('RENAME', k[OPS_A], k[OPS_B])
  end
end

-- {op, now_ms, changes, rows or false, sends, decisions, cancels, devices to forget, bindings, drops,
--  limits {devices, pending, bytes of decisions, of facts}, facts} -> {people whose part has not happened, outbox is full}
local function commit(k, q)
  local op, now_ms, changes, limits = q[1], q[2], q[3], q[11]
  local done = done_before(k, op)
  if done then return {done, 0} end
  if #q[5] > 0 and redis.call('ZCARD', k[WAIT]) + #q[5] > limits[2] then return {{}, 1} end
  local lost = {}
  find_lost(k, changes, q[10], lost)
  local plan = q[4] and compared(k, q[4], lost)
  if #q[9] + #q[10] > 0 and next(lost) then return {names_in(lost), 0} end
  local at = {}
  if plan then
    local changed, fresh, quiet = {}, written(k, plan, lost), {}
    for _, change in ipairs(changes) do changed[change[1]] = true end
    for i = 1, #fresh, 2 do -- those of people who change are written once, with what they show
      local device = fresh[i]
      if changed[plan.owner_of[device] or device] then
        at[device] = fresh[i + 1]
      else
        quiet[#quiet + 1] = device
        quiet[#quiet + 1] = fresh[i + 1]
      end
    end
    keep_unlogged(k, quiet, limits[1])
  end
  forget(k, q[8])
  for _, drop in ipairs(q[10]) do drop_person(k, drop[1], limits[1]) end
  for _, binding in ipairs(q[9]) do -- {name, person, its row, or ''}
    bind(k, binding[1], binding[2])
    if binding[3] ~= '' and not rows_of(k, {binding[1]})[1] then
      keep_unlogged(k, {binding[1], string.sub(binding[3], 1, FIX) .. NOTHING_KNOWN}, limits[1])
    end
    show(k, {{binding[1], (flags_of(k, binding[2]))}}, limits[1])
  end
  local has_changed = keep_people(k, changes, lost, at, limits[1])
  local has_happened = has_changed or not next(lost)
  for _, one in ipairs(q[7]) do
    if not lost[one[1]] then cancel(k, one[1], one[2], now_ms) end
  end
  for _, send in ipairs(q[5]) do
    if not lost[send[2]] then add_send(k, send) end
  end
  local has_said = add_entries(k, SAYS, q[6], limits[3], lost)
  has_happened = add_entries(k, HAPPENS, q[12], limits[4], lost) or has_said or has_happened
  local names = names_in(lost)
  if has_happened then remember(k, op, names) end -- else it may come again, made anew
  return {names, 0}
end

-- At the home of names: {{{name, owner, is_away, version of its own record or ''}}, limit} -> those
-- whose record is another by now: nothing happens to them. A record goes in the stroke that makes its
-- name another's: who is due under a name that is not theirs could never be served. Of a name that
-- stands for itself again nothing is kept; the last fix goes where the owner is.
local function settle_in(k, q)
  local lost = {}
  for _, one in ipairs(q[1]) do
    local name, owner, is_away, version = one[1], one[2], one[3], one[4]
    local row = version ~= '' and redis.call('HGET', k[PEOPLE], name)
    if row and string.sub(row, 1, 8) ~= version then
      lost[name] = true
    else
      if row then drop_person(k, name, q[2]) end
      if owner == name then
        redis.call('HDEL', k[NAMES], name)
      else
        redis.call('HSET', k[NAMES], name, owner)
      end
      if is_away then forget(k, {name}) end
    end
  end
  return names_in(lost)
end

-- Where names used to be bound: {{name, former owner, is_elsewhere now, owner}}. Whoever looks for such
-- a name here is sent on until its home tells whose it is; then `leave_home` forgets it.
local function move_out(k, q)
  for _, one in ipairs(q) do
    local name, former, is_elsewhere, owner = one[1], one[2], one[3], one[4]
    local is_here = redis.call('HGET', k[NAMES], name) == former
    unbind(k, name, former)
    if is_elsewhere then
      if is_here and owner ~= name then redis.call('HSET', k[NAMES], name, owner) end
      forget(k, {name})
    end
  end
  return {}
end

-- {names} -> {owner or '', row or '', version of the record of that name} each
local function home(k, q)
  local found, rows, owners = {}, rows_of(k, q), hmget(k[NAMES], q)
  local records = hmget(k[PEOPLE], q)
  for i = 1, #q do
    found[i] = {owners[i] or '', rows[i] or '', records[i] and string.sub(records[i], 1, 8) or NO_VERSION}
  end
  return found
end
