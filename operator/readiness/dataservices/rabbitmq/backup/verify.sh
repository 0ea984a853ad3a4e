#!/bin/sh
# Boots a server of its own with the definitions, as a drill does: it must hold what they say. Writes /backup/verify.json.
# Needs RabbitMQ and the usual few tools.
set -u
place=/backup/verify

give_up() {  # REASON MESSAGE
  printf '{"reason":"%s","message":"%s"}' "$1" "$2" | tee /dev/termination-log >&2
  exit 1
}

rm -rf "$place"  # of a container that was killed
mkdir -p "$place/data" && cp /backup/definitions.json /scripts/count.erl /scripts/sorts.json "$place/data" && : > "$place/order-1" ||
  give_up DumpMissing "there is no dump to be verified, or no room for it"
sh /scripts/drill.sh "$place" 5672 >&2 &
server=$!
until [ -e "$place/loaded-1" ] || [ -e "$place/ended-1" ]; do sleep 0.2; done
kill $server
wait $server
[ -e "$place/loaded-1" ] || give_up DumpUnreadable "no RabbitMQ boots with the definitions"
grep -q '"vhosts"' "$place/data/told.json" || give_up DumpUnreadable "the definitions name no virtual host: they are of no RabbitMQ"
[ "$(cat "$place/data/told.json")" = "$(cat "$place/data/found.json")" ] ||
  give_up DumpUnreadable "a RabbitMQ that was booted with the definitions holds other things than they say"
mv "$place/data/found.json" /backup/verify.json
rm -rf "$place" || :  # whoever still writes there ends with this container
