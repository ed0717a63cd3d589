-- What was decided; forgetting; sizes; who serves which partition.

local function log_of(k, of, person) return redis.call('HGET', k[of.log], person) or '' end

-- {person} -> entries of {at_ms as a double, length, packed}, first written first
local function decisions(k, q) return log_of(k, SAYS, q[1]) end
local function facts(k, q) return log_of(k, HAPPENS, q[1]) end

-- Each entry: where it begins, where the next one does, its time.
local function entries_of(log)
  local next_ = 1
  return function()
    local at = next_
    if at > #log then return nil end
    local at_ms, length = struct.unpack('<dI4', string.sub(log, at, at + 11))
    next_ = at + 12 + length
    return at, next_, at_ms
  end
end

local function drop_log(k, of, person)
  redis.call('HDEL', k[of.log], person)
  redis.call('ZREM', k[of.ages], person)
  local is_silent = redis.call('HEXISTS', k[SAID], person) + redis.call('HEXISTS', k[FACTS], person) == 0
  if is_silent then redis.call('ZREM', k[TELLERS], person) end
end

local function forget_log(k, of, person)
  local count = 0
  for _ in entries_of(log_of(k, of, person)) do count = count + 1 end
  drop_log(k, of, person)
  count_entries(k, of, -count)
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
  row_count = #mail + #names + redis.call('HDEL', k[PEOPLE], person)
  row_count = row_count + forget_log(k, SAYS, person) + forget_log(k, HAPPENS, person)
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

local function trim_log(k, of, person, before_ms)
  local log, left, gone, oldest = log_of(k, of, person), {}, 0, nil
  for at, next_, at_ms in entries_of(log) do
    if at_ms < before_ms then
      gone = gone + 1
    else
      left[#left + 1] = string.sub(log, at, next_ - 1)
      oldest = math.min(oldest or at_ms, at_ms)
    end
  end
  if oldest then
    redis.call('HSET', k[of.log], person, table.concat(left))
    redis.call('ZADD', k[of.ages], oldest, person)
  else
    drop_log(k, of, person)
  end
  count_entries(k, of, -gone)
  return gone
end

local function trim_logs(k, of, before_ms, limit) -- how many are gone, of how many people
  local gone = 0
  local people = redis.call('ZRANGEBYSCORE', k[of.ages], '-inf', '(' .. before_ms, 'LIMIT', 0, limit)
  for _, person in ipairs(people) do gone = gone + trim_log(k, of, person, before_ms) end
  return gone, #people
end

-- {settled before, decisions before, facts before, limit} -> {how many were dropped, 1 when there may
-- be more}
local function trim(k, q)
  local limit = q[4]
  local ids = redis.call('ZRANGEBYSCORE', k[SETTLED], '-inf', '(' .. q[1], 'LIMIT', 0, limit)
  for _, send_id in ipairs(ids) do drop_send(k, send_id) end
  local said, sayers = trim_logs(k, SAYS, q[2], limit)
  local happened, doers = trim_logs(k, HAPPENS, q[3], limit)
  local has_more = math.max(#ids, sayers, doers) == limit
  return {#ids + said + happened, has_more and 1 or 0}
end

-- Who was written by a release that kept no order of people is put in it.
local function require_tellers(k)
  if redis.call('ZCARD', k[TELLERS]) >= redis.call('HLEN', k[SAID]) then return end
  for _, person in ipairs(redis.call('HKEYS', k[SAID])) do
    redis.call('ZADD', k[TELLERS], 0, person)
  end
end

local function within(log, since_ms, until_ms) -- entries of a time, and how many they are
  local found, count = {}, 0
  for at, next_, at_ms in entries_of(log) do
    if at_ms >= since_ms and at_ms < until_ms then
      count = count + 1
      found[count] = string.sub(log, at, next_ - 1)
    end
  end
  return table.concat(found), count
end

local PEOPLE_AT_ONCE = 500 -- looked through in one call, however little is found

-- {person after whom, how many, since, until} -> {the last person looked at or '' when there are no
-- more, {decisions, facts, decisions, facts, ...}}: all of a person at once, so none is told twice
local function history(k, q)
  require_tellers(k)
  local from = q[1] ~= '' and '(' .. q[1] or '-'
  local people = redis.call('ZRANGEBYLEX', k[TELLERS], from, '+', 'LIMIT', 0, PEOPLE_AT_ONCE)
  local found, total = {}, 0
  for i, person in ipairs(people) do
    local said, said_count = within(log_of(k, SAYS, person), q[3], q[4])
    local happened, happened_count = within(log_of(k, HAPPENS, person), q[3], q[4])
    total = total + said_count + happened_count
    if said_count + happened_count > 0 then
      found[#found + 1] = said
      found[#found + 1] = happened
    end
    if total >= q[2] and i < #people then return {person, found} end
  end
  return {#people == PEOPLE_AT_ONCE and people[#people] or '', found}
end

-- {cursor or '' to begin, count} -> {next cursor or '' when there are no more, people}
local function page(k, q)
  local found = redis.call('HSCAN', k[PEOPLE], q[1] == '' and '0' or q[1], 'COUNT', q[2])
  local names = {}
  for i = 1, #found[2], 2 do names[#names + 1] = found[2][i] end
  return {found[1] == '0' and '' or found[1], names}
end

-- {} -> {people, devices, pending, dead, decisions, created_ms of the oldest pending, first deadline,
--        rows leased, facts, cards}
local function sizes(k, q)
  local oldest = redis.call('ZRANGE', k[PENDING], 0, 0, 'WITHSCORES')[2] or ''
  local due = redis.call('ZRANGE', k[DUE], 0, 0, 'WITHSCORES')[2] or ''
  return {
    redis.call('HLEN', k[PEOPLE]), redis.call('HLEN', k[LAST_A]) + redis.call('HLEN', k[LAST_B]),
    redis.call('ZCARD', k[WAIT]), tonumber(redis.call('HGET', k[META], 'dead') or '0'),
    tonumber(redis.call('HGET', k[META], 'said') or '0'), oldest, due, redis.call('HLEN', k[HANDS]),
    tonumber(redis.call('HGET', k[META], 'happened') or '0'), redis.call('HLEN', k[CARDS]),
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
register('sends_of', shares(sends_of))
register('revive', shares(revive))
register('decisions', shares(decisions))
register('facts', shares(facts))
register('history', shares(history))
register('erase', shares(erase))
register('trim', shares(trim))
register('sizes', shares(sizes))
register('hold', hold)
register('leave', leave)
register('members', members)
