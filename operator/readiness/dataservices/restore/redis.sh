#!/bin/sh
# A throw-away Redis on loopback. `order-N` holds whether append-only mode is on; `ended-N` says how that server ended.
set -u
cd "$1"
number=1
while :; do
  until [ -e "order-$number" ]; do sleep 0.2; done
  redis-server --bind 127.0.0.1 --port "$2" --dir "$PWD/data" --dbfilename dump.rdb --save '' --databases 1024 \
    --appendonly "$(cat "order-$number")" --enable-debug-command local --logfile ''
  echo $? > ended.partial
  mv ended.partial "ended-$number"
  number=$((number + 1))
done
