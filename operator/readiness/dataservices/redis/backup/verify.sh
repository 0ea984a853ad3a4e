#!/bin/sh
# Has redis-check-rdb read the dump, then a server of its own that nobody else can reach; writes /backup/verify.json.
# Needs redis-check-rdb, redis-server, redis-cli and the usual few tools.
set -u
dump=/backup/dump.rdb

give_up() {  # REASON MESSAGE
  printf '{"reason":"%s","message":"%s"}' "$1" "$2" | tee /dev/termination-log >&2
  exit 1
}

ask() { redis-cli -s /tmp/redis.sock "$@"; }

redis-check-rdb "$dump" > /tmp/check 2>&1 || { cat /tmp/check >&2; give_up DumpCorrupt "redis-check-rdb finds fault with the dump"; }
counted() { sed -n "s/.*\] \([0-9]*\) $1.*/\1/p" /tmp/check; }

redis-server --port 0 --unixsocket /tmp/redis.sock --dir /backup --dbfilename dump.rdb --appendonly no --save '' \
  --databases 1024 --enable-debug-command local --daemonize no >&2 &
server=$!
until ask ping 2> /dev/null | grep -qx PONG; do
  kill -0 $server 2> /dev/null || give_up DumpUnreadable "redis-server does not load the dump"
  sleep 0.2
done

ask info keyspace | tr -d '\r' | sed -n 's/^\(db[0-9]*\):keys=\([0-9]*\),expires=\([0-9]*\).*/\1 \2 \3/p' > /tmp/tallies
lasting=$(awk '{ n += $2 - $3 } END { print n + 0 }' /tmp/tallies)
read_keys=$(counted 'keys read') expiring=$(counted 'expires')
[ "$lasting" -eq "$((read_keys - expiring))" ] ||
  give_up DumpUnreadable "the dump has $((read_keys - expiring)) lasting keys, and redis-server has loaded $lasting"

# Some keys that last, by the digest that the server makes of their content, whatever their order in memory.
: > /tmp/questions
while read -r database _; do
  echo "select ${database#db}" >> /tmp/questions
  ask -n "${database#db}" eval "$(cat /scripts/sample.lua)" 0 "$SAMPLES" > "/tmp/keys.$database"
  sed 's/../\\x&/g; s/.*/debug digest-value "&"/' "/tmp/keys.$database" >> /tmp/questions
  sed "s/^/$database /" "/tmp/keys.$database" >> /tmp/keys
done < /tmp/tallies
ask < /tmp/questions | grep -v '^OK$' > /tmp/digests
[ "$(wc -l < /tmp/digests)" = "$(cat /tmp/keys 2> /dev/null | wc -l)" ] || give_up DumpUnreadable "redis-server does not tell what its keys hold"

rows() { paste -s -d , -; }
tallies=$(sed 's/\(.*\) \(.*\) \(.*\)/{"name":"\1","count":\2,"volatile":\3}/' /tmp/tallies | rows)
samples=$(touch /tmp/keys; paste -d ' ' /tmp/keys /tmp/digests | sed 's/\(.*\) \(.*\) \(.*\)/{"of":"\1","key":"\2","digest":"\3"}/' | rows)
version=$(ask info server | tr -d '\r' | sed -n 's/^redis_version://p')
ask shutdown nosave 2> /dev/null
wait $server
printf '{"tool":"redis-server %s","tallies":[%s],"samples":[%s]}\n' "$version" "$tallies" "$samples" > /backup/verify.json
