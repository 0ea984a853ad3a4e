#!/bin/sh
# alive: the server answers, also while it loads or waits for its primary. ready: it serves, and as a replica it follows.
set -u

ask() { REDISCLI_AUTH=$(cat /passwords/probe) redis-cli ${TLS:+--tls --cacert "$TLS/ca.crt"} --user probe -h "$POD_NAME" -p 6379 "$@" 2>&1; }
is() { echo "$state" | grep -qx "$1"; }

answer=$(ask ping)
case $1:$answer in
  *:PONG | alive:LOADING* | alive:MASTERDOWN*) ;;
  *) echo "expected PONG, got: $answer" && exit 1 ;;
esac
[ "$1" = ready ] || exit 0
state=$(ask info replication | tr -d '\r')
is role:master && exit 0
is master_link_status:up && is master_sync_in_progress:0 && exit 0
echo "a replica that does not follow its primary" && exit 1
