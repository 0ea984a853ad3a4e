# Read by the other scripts: how members and sentinels are asked. Needs redis-cli, timeout and the usual few tools.
# Passwords are read when they are needed, so that they can be replaced, and reach redis-cli in its environment only.
# Every question is over within two seconds.
me=$POD_NAME.$POD_DOMAIN

say() { echo "${0##*/}: $*" >&2; }

member() {  # HOST COMMAND…
  host=$1 && shift
  REDISCLI_AUTH=$(cat /passwords/keeper) timeout 2 redis-cli ${TLS:+--tls --cacert "$TLS/ca.crt"} --user keeper -h "$host" -p 6379 "$@" 2> /dev/null
}

sentinel() {  # HOST COMMAND…
  host=$1 && shift
  REDISCLI_AUTH=$(cat /passwords/quorum) timeout 2 redis-cli ${TLS:+--tls --cacert "$TLS/ca.crt"} --user quorum -h "$host" -p 26379 "$@" 2> /dev/null
}

values_of() { sed -n "/^$1\$/{n;p;}"; }  # of a reply that lists names and values line by line

votes() {  # who is primary, one line per sentinel that knows
  for each in $SENTINELS; do
    sentinel "$each" sentinel get-master-addr-by-name "$GROUP" | head -n 1 &
  done | grep -x "[a-z0-9-]*[.]$MEMBER_DOMAIN"
}

elected() {  # whom a majority of all sentinels names; nothing without a majority
  votes | sort | uniq -c | while read -r count name; do
    [ "$count" -lt "$MAJORITY" ] || echo "$name"
  done
}

renewed() {  # returns when the certificate is another one than when this began; fails when the server ends before
  began=$(cat "$TLS"/*.crt | cksum)
  while sleep 10 && kill -0 $$ 2> /dev/null; do
    [ "$(cat "$TLS"/*.crt | cksum)" = "$began" ] || return 0
  done
  return 1
}
