-- People: what is known of who sends a fix, last fixes, records.

local function rows_of(k, devices)
  local rows = hmget(k[LAST_A], devices)
  local missing, at = {}, {}
  for i = 1, #devices do
    if not rows[i] then
      missing[#missing + 1] = devices[i]
      at[#at + 1] = i
    end
  end
  if #missing > 0 then
    local found = hmget(k[LAST_B], missing)
    for j = 1, #missing do rows[at[j]] = found[j] end
  end
  return rows
end

local function forget(k, devices)
  if #devices > 0 then
    hdel(k[LAST_A], devices)
    hdel(k[LAST_B], devices)
  end
end

-- Names that stand for a person here; the list hangs under a field that no name can be.
local function owned(k, person) return list_of(k[NAMES], '\1' .. person) end

local function bind(k, name, person)
  redis.call('HSET', k[NAMES], name, person)
  local names = owned(k, person)
  if not has(names, name) then
    names[#names + 1] = name
    keep_list(k[NAMES], '\1' .. person, names)
  end
end

local function unbind(k, name, person)
  if redis.call('HGET', k[NAMES], name) == person then redis.call('HDEL', k[NAMES], name) end
  keep_list(k[NAMES], '\1' .. person, without(owned(k, person), name))
end

-- What each device's name stands for here; false where nothing is said of it.
local function told_of(k, devices)
  if redis.call('EXISTS', k[NAMES]) == 0 then return {} end
  return hmget(k[NAMES], devices)
end

-- Nothing where a device is this person's as far as this partition can tell; else whose, '' to ask at
-- home.
local function other_than(told, device, person)
  if told == person or (not told and device == person) then return nil end
  return told or ''
end

-- Versions go on after those of records that are no more: what somebody still makes of one of them is
-- told apart from whatever is written anew under its name.
local function bury(k, row)
  if not row then return end
  local version = struct.unpack('<I8', row)
  if version > tonumber(redis.call('HGET', k[META], 'buried') or '0') then
    redis.call('HSET', k[META], 'buried', string.format('%.0f', version))
  end
end

local function reborn(k, row)
  local buried = redis.call('HGET', k[META], 'buried')
  return buried and struct.pack('<I8', tonumber(buried) + 1) .. string.sub(row, 9) or row
end

local function flags_of(k, person)
  local row = redis.call('HGET', k[PEOPLE], person)
  return row and string.sub(row, 9, 9) or '\0', row
end

local function never_seen(k, i, person, extras)
  local flags, row = flags_of(k, person)
  if row then extras[#extras + 1] = {i, 'record', row} end
  return NEVER .. flags .. NO_STAY
end

-- Whether there is a row of each, and nothing beside it: most often so.
local function are_plain(rows, count)
  for i = 1, count do
    local row = rows[i]
    if not row or #row ~= ROW then return false end
  end
  return true
end

-- {devices, {i, owner, ...} where not the device itself, is_sure} -> {rows, {{i, kind, value}, ...}}
local function look(k, q)
  local devices, owner_at, extras, out = q[1], {}, {}, {}
  local rows, told = rows_of(k, devices), told_of(k, devices)
  if #q[2] == 0 and not next(told) and are_plain(rows, #devices) then
    return {table.concat(rows), extras}
  end
  for j = 1, #q[2], 2 do owner_at[q[2][j]] = q[2][j + 1] end
  for i = 1, #devices do
    local row, person = rows[i], owner_at[i] or devices[i]
    local other = other_than(told[i], devices[i], person)
    if other == '' and q[3] then
      bind(k, devices[i], person) -- a binding that was cut short
      other = nil
    end
    if other then
      extras[#extras + 1] = {i, 'owner', other}
      out[i] = NEVER .. NOTHING_KNOWN
    elseif not row then
      out[i] = never_seen(k, i, person, extras)
    elseif #row > ROW then
      out[i] = string.sub(row, 1, ROW)
      extras[#extras + 1] = {i, 'suspect', string.sub(row, ROW + 1)}
    else
      out[i] = row
    end
  end
  return {table.concat(out), extras}
end

-- Whether a row still has the turn expected, the i-th of these.
local function has_turn(row, turns, i)
  local a, b, c, d = string.byte(row, 1, 4)
  local e, f, g, h = string.byte(turns, 4 * i - 3, 4 * i)
  return a == e and b == f and c == g and d == h
end

-- Rows to be written: {devices, {i, owner, ...}, turns expected, rows whole, {i, suspect, ...}}. While
-- its turn stands nobody has changed anything of a row. Whose has moved on, or whose device is another's
-- by now, is put into `lost`; a row without a turn, about what is another's, is passed over.
local function compared(k, r, lost)
  local devices, turns, bodies = r[1], r[3], r[4]
  local plan = {
    devices = devices, owner_at = {}, owner_of = {}, suspect_at = {}, is_passed = {},
    bodies = bodies,
  }
  for j = 1, #r[2], 2 do
    plan.owner_at[r[2][j]] = r[2][j + 1]
    plan.owner_of[devices[r[2][j]]] = r[2][j + 1]
  end
  for j = 1, #r[5], 2 do plan.suspect_at[r[5][j]] = r[5][j + 1] end
  plan.stored = rows_of(k, devices)
  local told = told_of(k, devices)
  for i = 1, #devices do
    local was = plan.stored[i]
    if told[i] or plan.owner_at[i] or not (was and has_turn(was, turns, i)) then
      local expected = string.sub(turns, 4 * i - 3, 4 * i)
      local person = plan.owner_at[i] or devices[i]
      local is_others = other_than(told[i], devices[i], person) ~= nil
      local has_moved = (was and string.sub(was, 1, 4) or ZERO4) ~= expected
      if expected == ANY_TURN then
        plan.is_passed[i] = is_others
      elseif is_others then
        lost[person] = true
      elseif has_moved then -- unless it was this very call that changed it
        local body = string.sub(bodies, ROW * (i - 1) + 1, ROW * i)
        if not was or string.sub(was, 1, ROW) ~= body then lost[person] = true end
      end
    end
  end
  return plan
end

local function next_turn(row)
  return struct.pack('<I4', (struct.unpack('<I4', row) + 1) % 4294967295)
end

-- The rows of those not lost, as {device, row, device, row, ...}.
local function written(k, plan, lost)
  local fresh = {}
  for i = 1, #plan.devices do
    local device = plan.devices[i]
    local person = plan.owner_at[i] or device
    if not lost[person] and not plan.is_passed[i] then
      local was = plan.stored[i]
      local body = string.sub(plan.bodies, ROW * (i - 1) + 1, ROW * i)
      if not was then -- what is on record may have changed since it was asked for
        body = string.sub(body, 1, FIX) .. flags_of(k, person) .. NO_STAY
      end
      if string.sub(body, 1, 4) == ANY_TURN then
        local known = string.sub(was or body, FIX + 1, ROW)
        body = next_turn(was or ZERO4) .. string.sub(body, 5, FIX) .. known
      end
      local suspect = plan.suspect_at[i]
      fresh[#fresh + 1] = device
      fresh[#fresh + 1] = suspect and body .. suspect or body
    end
  end
  return fresh
end

-- Last fixes stay in memory: not in the append-only file, nor sent to replicas.
local function keep_unlogged(k, fresh, limit)
  if #fresh == 0 then return end
  redis.set_repl(redis.REPL_NONE)
  local new_count = hset(k[LAST_A], fresh)
  redis.set_repl(redis.REPL_ALL)
  if new_count > 0 then turn_over(k, LAST_A, LAST_B, limit) end
end

local function names_in(lost)
  local names = {}
  for name in pairs(lost) do names[#names + 1] = name end
  return names
end

-- As `compared` and `written`, where every row is there with the turn expected and nobody's device is
-- another's; nothing where it is not that plain.
local function plainly_written(k, r)
  local devices, bodies = r[1], r[4]
  if #r[2] > 0 or #r[5] > 0 or next(told_of(k, devices)) then return nil end
  local rows, turns, fresh = hmget(k[LAST_A], devices), {}, {}
  if not are_plain(rows, #devices) then return nil end
  for i = 1, #devices do
    turns[i] = string.sub(rows[i], 1, 4)
    fresh[2 * i - 1] = devices[i]
    fresh[2 * i] = string.sub(bodies, ROW * (i - 1) + 1, ROW * i)
  end
  return table.concat(turns) == r[3] and fresh or nil
end

-- {rows, limit} -> people whose device was heard of meanwhile
local function note(k, q)
  local fresh = plainly_written(k, q[1])
  if fresh then
    keep_unlogged(k, fresh, q[2])
    return {}
  end
  local lost = {}
  local plan = compared(k, q[1], lost)
  keep_unlogged(k, written(k, plan, lost), q[2])
  return names_in(lost)
end

local function with_last(k, row)
  if not row then return false end
  local length = string.byte(row, 10)
  if length == 0 then return {row} end
  local last = rows_of(k, {string.sub(row, 11, 10 + length)})[1]
  return last and {row, last} or {row}
end

-- {people} -> each {row, row of the device their presence goes on with} or false
local function load(k, q)
  local rows = hmget(k[PEOPLE], q)
  for i = 1, #q do rows[i] = with_last(k, rows[i]) end
  return rows
end

-- What is on record of people shows on their devices: {device, flags, standing or nil, its row if
-- that is known already}. What is logged of it holds no place.
local function show(k, shown, limit)
  local asked, at = {}, {}
  for i, one in ipairs(shown) do
    if not one[4] then
      asked[#asked + 1] = one[1]
      at[#at + 1] = i
    end
  end
  local rows, logged, full = rows_of(k, asked), {}, {}
  for j, i in ipairs(at) do shown[i][4] = rows[j] end
  for _, one in ipairs(shown) do
    local device, row = one[1], one[4]
    if row then
      local known = one[3] or one[2] .. NO_STAY
      local turn = next_turn(row)
      logged[#logged + 1] = device
      logged[#logged + 1] = turn .. ZERO4 .. string.sub(row, 9, 16) .. NOWHERE .. known
      full[#full + 1] = device
      full[#full + 1] = turn .. string.sub(row, 5, FIX) .. known .. string.sub(row, ROW + 1)
    end
  end
  if #full > 0 then
    local new_count = hset(k[LAST_A], logged)
    keep_unlogged(k, full, limit)
    if new_count > 0 then turn_over(k, LAST_A, LAST_B, limit) end
  end
end
