-- Charges one request to the buckets KEYS, in their order, up to the first that refuses: the arithmetic of `Quota::charge`.
-- ARGV holds for each bucket its burst and its interval. All times are whole microseconds, which a double keeps exactly.
-- Returns what each bucket that was looked at owed before.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local owed = {}
for index, key in ipairs(KEYS) do
  local burst, interval = tonumber(ARGV[2 * index - 1]), tonumber(ARGV[2 * index])
  local debt, written = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  debt, written = tonumber(debt) or 0, tonumber(written) or now
  -- The debt is kept with the time it was written at, so that a clock that jumps back costs nobody the length of its jump:
  -- the debt begins anew to be paid off.
  debt = math.max(debt - math.max(now - written, 0), 0)
  owed[index] = string.format('%.0f', debt)
  local after = debt + interval
  local refuses = after > burst * interval
  if refuses then
    after = debt
  end
  if not refuses or now < written then
    redis.call('SET', key, string.format('%.0f %.0f', after, now), 'PX', math.max(math.ceil(after / 1000), 1))
  end
  if refuses then
    break
  end
end
return owed
