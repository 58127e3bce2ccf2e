-- script.lua - what the Lua workload runs: n rounds of queens, string building, sorting with a closure, and
-- objects with methods. Returns a checksum.
local n = ...

local sum = 0
local function mix(v)
	sum = ((sum ~ v) * 16777619) & 0xffffffff
end

local function queens(size)
	local rows, up, down, count = {}, {}, {}, 0
	local function place(column)
		if column > size then
			count = count + 1
			return
		end
		for row = 1, size do
			local u, d = row + column, row - column + size
			if not (rows[row] or up[u] or down[d]) then
				rows[row], up[u], down[d] = true, true, true
				place(column + 1)
				rows[row], up[u], down[d] = nil, nil, nil
			end
		end
	end
	place(1)
	return count
end

local function words(round)
	local count, parts = {}, {}
	for i = 1, 300 do
		local w = string.format("w%d", (i * 7919 + round) % 97)
		count[w] = (count[w] or 0) + 1
		parts[#parts + 1] = w:upper()
	end
	local text = table.concat(parts, " ")
	local found = 0
	for w in text:gmatch("W(%d+)") do
		found = found + tonumber(w)
	end
	return found + #text + count["w5"]
end

local function sorted(round)
	local list, x = {}, round + 12345
	for i = 1, 400 do
		x = (x * 1103515245 + 12345) & 0x7fffffff
		list[i] = { key = x % 1000, name = i }
	end
	table.sort(list, function(a, b)
		return a.key < b.key or a.key == b.key and a.name < b.name
	end)
	local s = 0
	for i, item in ipairs(list) do
		s = (s + i * item.key + item.name) & 0xffffff
	end
	return s
end

local Account = {}
Account.__index = Account
function Account.new(balance)
	return setmetatable({ balance = balance, log = {} }, Account)
end
function Account:move(other, amount)
	if amount <= self.balance then
		self.balance = self.balance - amount
		other.balance = other.balance + amount
		self.log[#self.log + 1] = amount * 1.5
	end
	return self.balance
end

local function accounts(round)
	local list = {}
	for i = 1, 20 do
		list[i] = Account.new(100 * i)
	end
	local s = 0.0
	for i = 1, 600 do
		s = s + list[i % 20 + 1]:move(list[(i * 7 + round) % 20 + 1], i % 37)
	end
	return math.floor(s)
end

for round = 1, n do
	mix(queens(6))
	mix(words(round))
	mix(sorted(round))
	mix(accounts(round))
end
return sum
