#!/bin/sh
# Has the throw-away server of a restore drill load the dump, and writes what it then holds into /backup/verify.json.
# Needs what drill.sh needs. Nobody else can reach that server, and it goes with this script.
set -u
place=/backup/loaded

give_up() {  # REASON MESSAGE
  printf '{"reason":"%s","message":"%s"}' "$1" "$2" | tee /dev/termination-log >&2
  exit 1
}

rm -rf "$place" && mkdir -p "$place/data" && cp /scripts/look.js "$place/data" && ln /backup/dump.archive "$place/data" || exit 1
: > "$place/order-1"
: > "$place/order-2"
sh /scripts/drill.sh "$place" "$PORT" >&2 &
drill=$!
until [ -e "$place/loaded-2" ] || [ -e "$place/ended-1" ] || ! kill -0 $drill 2> /dev/null; do sleep 0.2; done
left=$(df -Pk /backup | awk 'NR == 2 { print $4 }')  # a mongod that finds no room to write ends
kill $drill
wait $drill
[ -e "$place/loaded-1" ] || [ "$left" -gt 131072 ] || give_up DumpUnreadable "the volume is full before the dump is loaded: see backup.scratch"
[ -e "$place/loaded-1" ] || give_up DumpCorrupt "mongorestore does not load the dump"
[ -e "$place/loaded-2" ] || give_up DumpUnreadable "mongod does not tell what it has loaded"
mv "$place/found.json" /backup/verify.json
rm -rf "$place"
