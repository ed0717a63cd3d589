-- What was decided; forgetting; sizes; who serves which partition.

local function said_by(k, person) return redis.call('HGET', k[SAID], person) or '' end

-- {person} -> entries of {at_ms as a double, length, packed}, oldest first
local function decisions(k, q) return said_by(k, q[1]) end

local function drop_decisions(k, person)
  local said, at, count = said_by(k, person), 1, 0
  while at <= #said do
    at = at + 12 + struct.unpack('<I4', string.sub(said, at + 8, at + 11))
    count = count + 1
  end
  redis.call('HDEL', k[SAID], person)
  redis.call('ZREM', k[SAYING], person)
  if count > 0 then redis.call('HINCRBY', k[META], 'said', -count) end
  return count
end

-- {person, devices on record, {processes that are no more or are our own}, now_ms, op, is_final}
-- -> {processes sending to them, 1 when there was anything, names bound here}; before the final call
-- nothing is done: the homes of the names forget the person first, or who repeats a call that was cut
-- short would not know of them.
local function erase(k, q)
  local person, sending = q[1], {}
  local done = done_before(k, q[5])
  if done then return done end
  for _, process in ipairs(begun(k, {person, '', q[4]})) do
    if not has(q[3], process) then sending[#sending + 1] = process end
  end
  if #sending > 0 then return {sending, 0, {}} end
  local names, row_count = owned(k, person), 0
  if not q[6] then return {sending, 0, names} end
  bury(k, redis.call('HGET', k[PEOPLE], person))
  local mail = list_of(k[MAIL], person)
  for _, send_id in ipairs(mail) do drop_send(k, send_id) end
  row_count = #mail + #names + drop_decisions(k, person) + redis.call('HDEL', k[PEOPLE], person)
  redis.call('ZREM', k[DUE], person)
  local devices = {person}
  for _, device in ipairs(q[2]) do devices[#devices + 1] = device end
  for _, name in ipairs(names) do
    devices[#devices + 1] = name
    unbind(k, name, person)
  end
  redis.call('HDEL', k[NAMES], '\1' .. person)
  local rows = rows_of(k, devices)
  for i = 1, #devices do
    if rows[i] then row_count = row_count + 1 end
  end
  forget(k, devices)
  local was_there = row_count > 0 and 1 or 0
  if was_there == 1 then remember(k, q[5], {sending, was_there, {}}) end -- and not the names
  return {sending, was_there, names}
end

-- At the home of names: {{name, former owner}}
local function leave_home(k, q)
  for _, one in ipairs(q) do
    if redis.call('HGET', k[NAMES], one[1]) == one[2] then redis.call('HDEL', k[NAMES], one[1]) end
    if not redis.call('HGET', k[NAMES], one[1]) then forget(k, {one[1]}) end
  end
  return {}
end

local function trim_decisions(k, person, before_ms)
  local said, at, left, gone, oldest = said_by(k, person), 1, {}, 0, nil
  while at <= #said do
    local at_ms, length = struct.unpack('<dI4', string.sub(said, at, at + 11))
    if at_ms < before_ms then
      gone = gone + 1
    else
      left[#left + 1] = string.sub(said, at, at + 11 + length)
      oldest = math.min(oldest or at_ms, at_ms)
    end
    at = at + 12 + length
  end
  if oldest then
    redis.call('HSET', k[SAID], person, table.concat(left))
    redis.call('ZADD', k[SAYING], oldest, person)
  else
    redis.call('HDEL', k[SAID], person)
    redis.call('ZREM', k[SAYING], person)
  end
  redis.call('HINCRBY', k[META], 'said', -gone)
  return gone
end

-- {settled before, decisions before, limit} -> {how many were dropped, 1 when there may be more}
local function trim(k, q)
  local ids = redis.call('ZRANGEBYSCORE', k[SETTLED], '-inf', '(' .. q[1], 'LIMIT', 0, q[3])
  for _, send_id in ipairs(ids) do drop_send(k, send_id) end
  local gone = #ids
  local people = redis.call('ZRANGEBYSCORE', k[SAYING], '-inf', '(' .. q[2], 'LIMIT', 0, q[3])
  for _, person in ipairs(people) do gone = gone + trim_decisions(k, person, q[2]) end
  return {gone, (#ids == q[3] or #people == q[3]) and 1 or 0}
end

-- {cursor, count} -> {next cursor, people}
local function page(k, q)
  local found, names = redis.call('HSCAN', k[PEOPLE], q[1], 'COUNT', q[2]), {}
  for i = 1, #found[2], 2 do names[#names + 1] = found[2][i] end
  return {found[1], names}
end

-- {} -> {people, devices, pending, dead, decisions, created_ms of the oldest pending, first deadline,
--        rows leased}
local function sizes(k, q)
  local oldest = redis.call('ZRANGE', k[PENDING], 0, 0, 'WITHSCORES')[2] or ''
  local due = redis.call('ZRANGE', k[DUE], 0, 0, 'WITHSCORES')[2] or ''
  return {
    redis.call('HLEN', k[PEOPLE]), redis.call('HLEN', k[LAST_A]) + redis.call('HLEN', k[LAST_B]),
    redis.call('ZCARD', k[WAIT]), tonumber(redis.call('HGET', k[META], 'dead') or '0'),
    tonumber(redis.call('HGET', k[META], 'said') or '0'), oldest, due, redis.call('HLEN', k[HANDS]),
  }
end

-- Processes and the partitions they serve. A process holds what it holds while it is alive, which it
-- says every few seconds; each holds its share. Nobody could say so while the server was away: who
-- lived when it was last told of anybody is given GRACE_MS to say it again. Keys: members, leases,
-- grace.
local GRACE_MS = 3000 -- more than a beat

-- The processes alive, what time it is, and when anybody was last heard of.
local function alive(keys, ttl_ms)
  local time = redis.call('TIME')
  local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  local names, members, newest_ms = {}, redis.call('HGETALL', keys[1]), 0
  for i = 2, #members, 2 do newest_ms = math.max(newest_ms, tonumber(members[i])) end
  local since_ms = math.min(now_ms, tonumber(redis.call('GET', keys[3]) or now_ms)) - ttl_ms
  if now_ms - newest_ms > ttl_ms / 2 then since_ms = math.min(since_ms, newest_ms - ttl_ms) end
  for i = 1, #members, 2 do
    if tonumber(members[i + 1]) > since_ms then
      names[#names + 1] = members[i]
    elseif newest_ms - members[i + 1] > 100 * ttl_ms then
      redis.call('HDEL', keys[1], members[i])
    end
  end
  return names, now_ms, newest_ms
end

-- process, ttl_ms, number of partitions -> {alive, partitions held}
local function hold(keys, args)
  local me, ttl_ms, count = args[1], tonumber(args[2]), tonumber(args[3])
  local names, now_ms, newest_ms = alive(keys, ttl_ms)
  if #names > 0 and now_ms - newest_ms > ttl_ms / 2 then
    redis.call('SET', keys[3], newest_ms, 'PX', GRACE_MS)
  end
  redis.call('HSET', keys[1], me, now_ms)
  if not has(names, me) then names[#names + 1] = me end
  local is_alive, holder = {}, {}
  for _, name in ipairs(names) do is_alive[name] = true end
  local leases = redis.call('HGETALL', keys[2])
  for i = 1, #leases, 2 do holder[leases[i]] = leases[i + 1] end
  local fair, mine, free_ = math.ceil(count / #names), {}, {}
  for p = 0, count - 1 do
    local by = holder[tostring(p)]
    if by == me then
      mine[#mine + 1] = p
    elseif not by or not is_alive[by] then
      free_[#free_ + 1] = p
    end
  end
  while #mine > fair do redis.call('HDEL', keys[2], table.remove(mine)) end
  for _, p in ipairs(free_) do
    if #mine >= fair then break end
    redis.call('HSET', keys[2], p, me)
    mine[#mine + 1] = p
  end
  return {names, mine}
end

-- process -> nothing
local function leave(keys, args)
  redis.call('HDEL', keys[1], args[1])
  local leases = redis.call('HGETALL', keys[2])
  for i = 1, #leases, 2 do
    if leases[i + 1] == args[1] then redis.call('HDEL', keys[2], leases[i]) end
  end
  return {}
end

-- ttl_ms -> processes alive
local function members(keys, args) return (alive(keys, tonumber(args[1]))) end

local function register(name, callback) redis.register_function(name .. '_VERSION', callback) end

register('look', shares(look))
register('note', shares(note))
register('load', shares(load))
register('home', shares(home))
register('settle_in', shares(settle_in))
register('move_out', shares(move_out))
register('leave_home', shares(leave_home))
register('page', shares(page))
register('commit', shares(commit))
register('sweep', shares(sweep))
register('overdue', shares(overdue))
register('peek', shares(peek))
register('take', shares(take))
register('begin', shares(begin))
register('begun', shares(begun))
register('settle', shares(settle))
register('held', shares(held))
register('free', shares(free))
register('list', shares(list))
register('revive', shares(revive))
register('decisions', shares(decisions))
register('erase', shares(erase))
register('trim', shares(trim))
register('sizes', shares(sizes))
register('hold', hold)
register('leave', leave)
register('members', members)
