#!/bin/sh
# Takes the data set of a member that follows well, else of the primary, into /backup/dump.rdb, and says of whom and when.
# Needs redis-cli, timeout and the usual few tools. The password reaches redis-cli in its environment only.
# Of others' (NEEDS says what their user must be allowed) a login may be missing, or be of no user, and Sentinels may name the members.
set -u

give_up() {  # REASON MESSAGE
  printf '{"reason":"%s","message":"%s"}' "$1" "$2" | tee /dev/termination-log >&2
  exit 1
}

read_key() { [ ! -r "/passwords/$1" ] || cat "/passwords/$1"; }

user=${LOGIN:-$(read_key username)} password=$(read_key password) trust=''
[ -z "${TLS:-}" ] || [ ! -r "$TLS/ca.crt" ] || trust="$TLS/ca.crt"

ask() {  # HOST PORT OPTION…
  host=$1 port=$2 && shift 2
  [ -z "$password" ] || export REDISCLI_AUTH="$password"
  $within redis-cli ${TLS:+--tls} ${trust:+--cacert "$trust"} ${password:+${user:+--user "$user"}} -h "$host" -p "$port" "$@"
}

member() { host=$1 && shift && ask "$host" "$PORT" "$@"; }  # HOST OPTION…

short() { case $1 in *[!0-9.]*) echo "${1%%.*}" ;; *) echo "$1" ;; esac; }  # of a name its first part, an address whole

fact() { echo "$facts" | sed -n "s/^$1://p"; }

follows() {  # whoever copies everything at the moment, or has not heard of its primary for ten seconds, does not
  [ "$(fact master_link_status)" = up ] && [ "$(fact master_sync_in_progress)" = 0 ] && [ "$(fact master_last_io_seconds_ago)" -le 10 ]
}

named() {  # the members by address, as the first Sentinel that knows the set names them
  for each in $MEMBERS; do
    found=$(within='timeout 5'; {
      ask "$each" "$SENTINEL" sentinel get-master-addr-by-name "$GROUP" | sed -n 1p
      ask "$each" "$SENTINEL" sentinel replicas "$GROUP" | sed -n '/^ip$/{n;p;}'
    } 2> /dev/null | tr -d '\r')
    case $found in '' | ERR* | NOAUTH* | NOPERM*) continue ;; esac
    echo "$found"
    return
  done
}

from='' primary='' within='' refused=''
[ -z "${SENTINEL:-}" ] || MEMBERS=$(named)
for each in $MEMBERS; do
  facts=$(within='timeout 5'; member "$each" info 2> /dev/null | tr -d '\r')
  case $facts in NOAUTH* | WRONGPASS* | NOPERM*) refused=$(short "$each") ;; esac
  [ "$(fact loading)" = 0 ] || continue
  [ "$(fact cluster_enabled)" != 1 ] || give_up DumpFailed "$(short "$each") is of a Redis Cluster, of which a member has a part only"
  case $(fact role) in
    slave) follows && from=$each version=$(fact redis_version) && break ;;
    master) primary=$each of=$(fact redis_version) ;;
  esac
done
if [ -z "$from" ]; then
  [ -n "$primary" ] || [ -z "$refused" ] || give_up DumpFailed "$refused refuses the login${NEEDS:+: $NEEDS}"
  [ -n "$primary" ] || give_up NoMember "no member answers that could be dumped"
  echo "no member follows the primary: the primary itself is dumped" >&2
  from=$primary version=$of
fi

began=$(date +%s)
echo "dumping $from" >&2
member "$from" --rdb /backup/dump.rdb >&2 || give_up DumpFailed "redis-cli --rdb ended with $? at $(short "$from")${NEEDS:+: $NEEDS}"
[ -s /backup/dump.rdb ] || give_up DumpFailed "redis-cli --rdb from $(short "$from") wrote nothing"
printf '{"member":"%s","server":"%s","began":%s,"ended":%s}\n' "$(short "$from")" "$version" "$began" "$(date +%s)" > /backup/source.json
