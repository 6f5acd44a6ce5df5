-- One atomic look at, and change of, every count that a request touches.
-- ARGV: admit, charge or leave; then for each key: kind, how long it lasts in
-- milliseconds, how much it holds, how much must be there, how much to take, and
-- the number and names of members. Kinds: b, a bucket kept as the time at which
-- it is whole again (GCRA); d, distinct members within a window; c, members that
-- are under way. Answers for each key how many milliseconds until it has room,
-- and how many thousandths are left.
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local mode, at, meters, refused = ARGV[1], 2, {}, false

local function look(m)
	if m.kind == 'b' then
		m.whole = tonumber(redis.call('GET', m.key) or '') or now
		-- a clock that jumped back must not bar anyone for longer than debt can
		m.whole = math.min(math.max(m.whole, now), now + 10 * m.holds * m.last)
		m.left = m.holds - (m.whole - now) / m.last
		return math.max(0, (math.min(m.need, m.holds) - m.left) * m.last)
	end
	redis.call('ZREMRANGEBYSCORE', m.key, '-inf', string.format('%.3f', now - m.last))
	local there = redis.call('ZCARD', m.key)
	m.left = m.holds - there
	if there < m.holds then
		return 0
	end
	if m.kind == 'c' then
		return 1000
	end
	local first = redis.call('ZRANGE', m.key, there - m.holds, there - m.holds, 'WITHSCORES')
	return math.max(1, tonumber(first[2]) + m.last - now)
end

local function take(m)
	if m.kind == 'b' then
		if m.take > 0 then
			m.whole = math.min(m.whole + m.take * m.last, now + 10 * m.holds * m.last)
			m.left = m.holds - (m.whole - now) / m.last
			redis.call('SET', m.key, string.format('%.3f', m.whole), 'PX', string.format('%.0f', m.whole - now + 1000))
		end
		return
	end
	if #m.members == 0 then
		return
	end
	local there, most = m.holds - m.left, m.holds + (m.kind == 'd' and 1024 or 0)
	for _, member in ipairs(m.members) do
		if there < most then
			there = there + redis.call('ZADD', m.key, 'NX', string.format('%.3f', now), member)
		end
	end
	m.left = m.holds - there
	redis.call('PEXPIRE', m.key, string.format('%.0f', m.last + 1000))
end

for k, key in ipairs(KEYS) do
	local m = {key = key, kind = ARGV[at], last = tonumber(ARGV[at + 1]), holds = tonumber(ARGV[at + 2]),
		need = tonumber(ARGV[at + 3]), take = tonumber(ARGV[at + 4]), members = {}}
	local n = tonumber(ARGV[at + 5])
	for i = 1, n do
		m.members[i] = ARGV[at + 5 + i]
	end
	at = at + 6 + n
	meters[k] = m
	if mode == 'leave' then
		redis.call('ZREM', key, m.members[1])
		m.wait, m.left = 0, 0
	else
		m.wait = look(m)
		refused = refused or m.wait > 0
	end
end

local reply = {}
for k, m in ipairs(meters) do
	if mode == 'charge' or mode == 'admit' and not refused then
		take(m)
		if mode == 'charge' then
			m.wait = look(m)
		end
	end
	reply[2 * k - 1], reply[2 * k] = math.ceil(m.wait), math.floor(math.max(m.left, -1e12) * 1000)
end
return reply
