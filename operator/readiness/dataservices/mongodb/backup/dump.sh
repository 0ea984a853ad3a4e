#!/bin/sh
# Takes all of one member, and what is written meanwhile, into /backup/dump.archive, and says of whom and when.
# Needs mongosh, mongodump and the usual few tools. The password reaches mongodump on its standard input only.
# One member and no other: two secondaries that share the reading may be at two points in time.
set -u

give_up() {  # REASON MESSAGE
  printf '{"reason":"%s","message":"%s"}' "$1" "$2" | tee /dev/termination-log >&2
  exit 1
}

why() { [ "$(df -Pk /backup | awk 'NR == 2 { print $4 }')" -gt 16384 ] || echo ", as the volume is full: see backup.scratch"; }

for each in mongosh mongodump; do
  command -v $each > /dev/null || give_up DumpFailed "the image has no $each"
done
export HOME=/tmp/home
mkdir -p $HOME/.mongodb/mongosh
echo '{"enableTelemetry":false}' > $HOME/.mongodb/mongosh/config
read_key() { [ ! -r "/passwords/$1" ] || cat "/passwords/$1"; }

user=${LOGIN:-$(read_key username)} trust=''
[ -z "${TLS:-}" ] || [ ! -r "$TLS/ca.crt" ] || trust="$TLS/ca.crt"
export TRUST="$trust"
found=$(mongosh --quiet --norc --nodb /scripts/choose.js)
from=${found%% *} version=${found#* }
[ -n "$from" ] || give_up NoMember "no member answers that could be dumped"
name=${from%%.*}

began=$(date +%s)
echo "dumping $from" >&2
mongodump --config=/dev/stdin --host "${from%:*}" --port "${from##*:}" ${user:+--username "$user" --authenticationDatabase admin} \
  ${TLS:+--ssl} ${trust:+--sslCAFile "$trust"} \
  --readPreference=secondaryPreferred --oplog --archive=/backup/dump.archive >&2 << END || give_up DumpFailed "mongodump of $name ended with $?$(why)${NEEDS:+: $NEEDS}"
password: "$(read_key password | sed 's/[\\"]/\\&/g')"
END
[ -s /backup/dump.archive ] || give_up DumpFailed "mongodump of $name wrote nothing"
printf '{"member":"%s","server":"%s","began":%s,"ended":%s}\n' "$name" "$version" "$began" "$(date +%s)" > /backup/source.json
