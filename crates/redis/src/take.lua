-- Takes one call from every limit, or from none, by Redis' own clock.
-- KEYS: one for each limit. ARGV: for each, its interval and its capacity in nanoseconds.
-- Returns {0, 0}, or the limit that has no room the longest (from 1) and that time in nanoseconds.
-- A state is "at:debt": microseconds since 1970, and nanoseconds as of then. The arithmetic is
-- that of sentinel_core::rate::RateState; all numbers are whole and below 2^53.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local known = redis.call('MGET', unpack(KEYS))
local states, which, longest = {}, 0, 0
for i = 1, #KEYS do
  local interval, capacity = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local at, debt = now, 0
  if known[i] then
    local known_at, known_debt = string.match(known[i], '^(%d+):(%d+)$')
    -- A state that cannot be read counts as all used up, and is one again once that is paid.
    at, debt = tonumber(known_at) or now, tonumber(known_debt) or capacity
    if not known_at then redis.call('SET', KEYS[i], string.format('%.0f:%.0f', at, debt), 'PX', math.ceil(debt / 1000000) + 1000) end
  end
  if at < now then
    debt = math.max(0, debt - (now - at) * 1000)
    at = now
  end
  debt = debt + interval
  local wait = debt - capacity
  if wait > longest then which, longest = i, wait end
  states[i] = { at, debt }
end
if which > 0 then return { which, longest } end
for i = 1, #KEYS do
  local at, debt = states[i][1], states[i][2]
  -- Kept until the debt is paid: from then on no state says the same.
  local paid = math.ceil((at - now) / 1000 + debt / 1000000) + 1
  redis.call('SET', KEYS[i], string.format('%.0f:%.0f', at, debt), 'PX', string.format('%.0f', paid))
end
return { 0, 0 }
