#!/bin/sh
# Starts a member as what the sentinels say it is, so that no empty or old member is ever taken for the primary.
set -u
. "${0%/*}/ask.sh"

is_empty() { [ ! -e /data/appendonlydir ] && [ ! -e /data/dump.rdb ]; }

is_formed() {  # the set has held data: the operator said so, or a sentinel has seen replicas
  [ ! -e /formed/since ] || return 0
  for each in $SENTINELS; do
    case $(sentinel "$each" sentinel master "$GROUP" | values_of num-slaves) in '' | 0) ;; *) return 0 ;; esac
  done
  return 1
}

is_alone() {  # no other member answers: those wait for a primary before they start
  for each in $MEMBERS; do
    [ "$each" = "$me" ] || [ -z "$(member "$each" ping)" ] || return 1
  done
}

become() {  # as primary, or as a replica of HOST
  [ -z "${TLS:-}" ] || reload &
  say "starting as ${1:+a replica of }${1:-the primary}"
  exec redis-server /config/redis.conf --replica-announce-ip "$me" ${1:+--replicaof "$1" 6379} ${STORE_BIND:+--bind "$STORE_BIND"}
}

reload() {  # a renewed certificate, without a restart: it is read whenever its setting is made
  while renewed; do
    set -- tls-cert-file "$TLS/tls.crt" tls-key-file "$TLS/tls.key" tls-ca-cert-file "$TLS/ca.crt"
    until [ "$(member "$POD_NAME" config set "$@")" = OK ]; do sleep 10; done
    say "the renewed certificate is in use"
  done
}

give_away() {  # to a member that has the data; a sentinel's OK means that one was found
  for each in $SENTINELS; do
    [ "$(sentinel "$each" sentinel failover "$GROUP")" != OK ] || break
    [ "$each" != "${SENTINELS##* }" ] || return 1
  done
  left=20
  while [ "$(elected)" = "$me" ] && [ $((left -= 1)) -gt 0 ]; do sleep 0.5; done
}

wait_for() {  # says once what for
  [ "$said" = "$*" ] || say "$*"
  said=$*
  sleep 1
}

said=
while true; do
  primary=$(elected)
  if [ -n "$primary" ] && [ "$primary" != "$me" ]; then
    become "$primary"
  elif [ -n "$primary" ] && is_empty && is_formed; then
    give_away || wait_for "the sentinels name this member, but its volume is empty, and no other can take over yet." \
      "If every volume is lost: delete the ConfigMap $FORMED and the sentinels' volumes to begin anew"
  elif [ -n "$primary" ]; then
    become ''
  elif [ "${POD_NAME##*-}" = 0 ] && [ ! -e /formed/since ] && [ -z "$(votes)" ] && is_alone; then
    become ''
  else
    wait_for "no majority of the sentinels names a primary: waiting for one"
  fi
done
