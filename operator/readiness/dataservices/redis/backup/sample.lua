-- Up to ARGV[1] keys of this database that last, in hexadecimal: never the same twice, none so long that nobody could say it.
local found, seen = {}, {}
for _ = 1, 4 * ARGV[1] do
  local key = redis.call('RANDOMKEY')
  if key and not seen[key] and #found < tonumber(ARGV[1]) and #key <= 256 and redis.call('PTTL', key) == -1 then
    seen[key] = true
    found[#found + 1] = key:gsub('.', function(byte) return string.format('%02x', byte:byte()) end)
  end
end
return found
