#!/bin/sh
# Before a primary stops: holds writes, lets the replicas catch up, has one promoted, and goes when the sentinels agree.
# It never fails: where a hand-over is in doubt, writes go on until the server stops, which waits for its replicas too.
set -u
. "${0%/*}/ask.sh"

now() { date +%s; }
nap() { sleep 0.1 2> /dev/null || sleep 1; }

willing() {  # a sentinel to which the primary is a primary and nothing else: not down, not failing over
  for each in $SENTINELS; do
    (state=$(sentinel "$each" sentinel master "$GROUP")
    [ "$(echo "$state" | values_of flags)" != master ] || echo "$each") &
  done | head -n 1
}

number_of() { rest=${2##*"$1":} && echo "${rest%%[!0-9]*}"; }  # the number after NAME: in TEXT

caught_up() {  # how many members follow this one and have everything up to OFFSET; asked themselves, they answer at once
  for each in $MEMBERS; do
    [ "$each" = "$me" ] || follows "$each" "$1" &
  done | grep -c yes
}

follows() {
  state=$(member "$1" info replication)
  case $state in *"master_host:$me"*master_link_status:up*) ;; *) return 1 ;; esac
  [ "$(number_of slave_repl_offset "$state")" -ge "$2" ] && echo yes
}

candidates() { sentinel "$1" sentinel replicas "$GROUP" | values_of flags | grep -cx slave; }  # whom it could choose

refuse() {
  member "$POD_NAME" client unpause > /dev/null
  trap - EXIT
  say "no hand-over: $*"
  exit 0
}

[ "$(member "$POD_NAME" role | head -n 1)" = master ] || exit 0
[ "$(elected)" = "$me" ] || { say "no hand-over: the sentinels do not name this member"; exit 0; }
helper=$(willing)
[ -n "$helper" ] || { say "no hand-over: no sentinel is free for one"; exit 0; }

trap 'refuse interrupted' EXIT TERM INT
paused=$(now)
[ "$(member "$POD_NAME" client pause $((PAUSE_SECONDS * 1000)) write)" = OK ] || refuse "writes could not be held"
target=$(number_of master_repl_offset "$(member "$POD_NAME" info replication)")
[ -n "$target" ] || refuse "this member does not say how far it is"
until ready=$(caught_up "$target") && [ "$ready" -ge "$(candidates "$helper")" ]; do
  [ $(($(now) - paused)) -le "$CATCH_UP_SECONDS" ] || refuse "a replica that could be chosen did not catch up within $CATCH_UP_SECONDS s"
  nap
done
[ "$(sentinel "$helper" sentinel failover "$GROUP")" = OK ] || refuse "$helper found no replica to promote"
trap - EXIT TERM INT
until next=$(elected) && [ -n "$next" ] && [ "$next" != "$me" ]; do
  [ $(($(now) - paused)) -lt $((PAUSE_SECONDS - 2)) ] || { say "the sentinels have not agreed yet; writes stay held"; exit 0; }
  nap
done
member "$POD_NAME" client kill type normal > /dev/null  # they look for the primary at once
say "$next is the primary now"
