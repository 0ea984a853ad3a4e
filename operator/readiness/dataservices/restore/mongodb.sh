#!/bin/sh
# A throw-away MongoDB on loopback: `order-1` lets it load data/dump.archive, `order-2` say in found.json what it holds.
# Needs mongod, mongorestore, mongosh and the usual few tools. Documents that come to their end elsewhere stay here.
set -u
cd "$1"
port=$2 server='' teller=''
[ ! -e data/db ] || : > ended-1  # this container was started anew: what was loaded is gone
trap 'kill -9 $server $teller 2> /dev/null; exit 0' TERM

export HOME="$PWD/data" STORE="mongodb://127.0.0.1:$port/?directConnection=true" WANTED=data/wanted.json
whole="--host 127.0.0.1 --port $port --archive=data/dump.archive --oplogReplay"

load() {
  tries=0
  until mongorestore $whole --dryRun > load.log 2>&1; do  # reads what the archive holds, once the server answers
    tries=$((tries + 1))
    kill -0 $server 2> /dev/null && [ $tries -lt 20 ] || return 1
    sleep 0.5
  done
  mongorestore $whole -vv > load.log 2>&1 &
  while kill -0 $! 2> /dev/null; do  # of an archive that is damaged before its oplog it would wait for that forever
    ! sed -n 's/.*demux finishing (err:\(.*\))$/\1/p' load.log | grep -qv '^<nil>$' || kill -9 $!
    sleep 0.5
  done
  wait $! || return 1
  # whoever was taken away and put back during the dump may be in it twice: then the oplog, which was replayed, has it, too
  failed=$(sed -n 's/.*successfully\. \([0-9]*\) document(s) failed.*/\1/p' load.log)
  replayed=$(sed -n 's/.*applied \([0-9]*\) oplog entries.*/\1/p' load.log)
  [ "${failed:-0}" -le "${replayed:-0}" ]
}

until [ -e order-1 ]; do sleep 0.2; done
mkdir -p data/db data/.mongodb/mongosh
echo '{"enableTelemetry":false}' > data/.mongodb/mongosh/config
mongod --dbpath "$PWD/data/db" --port "$port" --bind_ip 127.0.0.1 --nounixsocket --quiet \
  --wiredTigerCacheSizeGB 0.25 --setParameter ttlMonitorEnabled=false > mongod.log 2>&1 &
server=$!
{
  load && : > loaded-1 || { kill -9 $server; exit; }
  until [ -e order-2 ]; do sleep 0.2; done
  mongosh --quiet --norc --nodb --file data/look.js > found.partial && mv found.partial found.json && : > loaded-2 || kill -9 $server
} 2> /dev/null &
teller=$!
wait $server
echo $? > ended.partial
mv ended.partial ended-1
while :; do sleep 1; done
