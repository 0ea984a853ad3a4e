#!/bin/sh
# Takes the data set of a member that follows well, else of the primary, into /backup/dump.rdb, and says of whom and when.
# Needs redis-cli, timeout and the usual few tools. The password reaches redis-cli in its environment only.
set -u

give_up() {  # REASON MESSAGE
  printf '{"reason":"%s","message":"%s"}' "$1" "$2" | tee /dev/termination-log >&2
  exit 1
}

member() {  # HOST OPTION…
  host=$1 && shift
  REDISCLI_AUTH=$(cat /passwords/backup) $within redis-cli ${TLS:+--tls --cacert "$TLS/ca.crt"} --user backup -h "$host" -p 6379 "$@"
}

fact() { echo "$facts" | sed -n "s/^$1://p"; }

follows() {  # whoever copies everything at the moment, or has not heard of its primary for ten seconds, does not
  [ "$(fact master_link_status)" = up ] && [ "$(fact master_sync_in_progress)" = 0 ] && [ "$(fact master_last_io_seconds_ago)" -le 10 ]
}

from='' primary='' within=''
for each in $MEMBERS; do
  facts=$(within='timeout 5'; member "$each" info 2> /dev/null | tr -d '\r')
  [ "$(fact loading)" = 0 ] || continue
  case $(fact role) in
    slave) follows && from=$each version=$(fact redis_version) && break ;;
    master) primary=$each of=$(fact redis_version) ;;
  esac
done
if [ -z "$from" ]; then
  [ -n "$primary" ] || give_up NoMember "no member answers that could be dumped"
  echo "no member follows the primary: the primary itself is dumped" >&2
  from=$primary version=$of
fi

began=$(date +%s)
echo "dumping $from" >&2
member "$from" --rdb /backup/dump.rdb >&2 || give_up DumpFailed "redis-cli --rdb from ${from%%.*} ended with $?"
[ -s /backup/dump.rdb ] || give_up DumpFailed "redis-cli --rdb from ${from%%.*} wrote nothing"
printf '{"member":"%s","server":"%s","began":%s,"ended":%s}\n' "${from%%.*}" "$version" "$began" "$(date +%s)" > /backup/source.json
