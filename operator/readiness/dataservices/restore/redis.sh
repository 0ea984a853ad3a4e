#!/bin/sh
# A throw-away Redis on loopback. `order-N` holds whether append-only mode is on; `ended-N` says how that server ended.
set -u
cd "$1"
[ ! -e order-1 ] || : > ended-1  # this container was started anew: what was loaded is gone
number=1 server=''
trap 'kill -9 $server 2> /dev/null; exit 0' TERM
while :; do
  until [ -e "order-$number" ]; do sleep 0.2; done
  redis-server --bind 127.0.0.1 --port "$2" --dir "$PWD/data" --dbfilename dump.rdb --save '' --databases 1024 \
    --appendonly "$(cat "order-$number")" --enable-debug-command local --logfile '' &
  server=$!
  wait $server
  echo $? > ended.partial
  mv ended.partial "ended-$number"
  number=$((number + 1))
done
