#!/bin/sh
# Starts a sentinel. Its state outlives it: written once, afterwards only the passwords are brought up to date.
set -u
umask 077
. "${0%/*}/ask.sh"
conf=/data/sentinel.conf

known() {  # the primary to begin with: another sentinel names it, or the only member that is one
  named=$(votes | sort -u)
  [ -n "$named" ] || named=$(
    for each in $MEMBERS; do
      [ "$(member "$each" role | head -n 1)" != master ] || echo "$each"
    done
  )
  [ "$(echo "$named" | grep -c .)" = 1 ] && echo "$named"
}

ports() {
  [ -n "${TLS:-}" ] || { echo port 26379; return; }
  printf '%s\n' "port 0" "tls-port 26379" "tls-replication yes" "tls-auth-clients no" \
    "tls-cert-file $TLS/tls.crt" "tls-key-file $TLS/tls.key" "tls-ca-cert-file $TLS/ca.crt"
}

fresh() {  # host names have to be allowed before the first one is read
  cat << EOF
$(ports)
bind * -::*
protected-mode no
dir /data
aclfile /secret/sentinel.acl
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $me
sentinel announce-port 26379
sentinel deny-scripts-reconfig yes
sentinel sentinel-user quorum
sentinel sentinel-pass -
sentinel monitor $GROUP $1 6379 $MAJORITY
sentinel auth-user $GROUP sentinel
sentinel auth-pass $GROUP -
sentinel down-after-milliseconds $GROUP $DOWN_AFTER
sentinel failover-timeout $GROUP $FAILOVER_TIMEOUT
sentinel parallel-syncs $GROUP 1
EOF
}

with_passwords() {
  while read -r line; do
    case $line in
      "sentinel sentinel-pass "*) echo "sentinel sentinel-pass $(cat /passwords/quorum)" ;;
      "sentinel auth-pass "*) echo "sentinel auth-pass $GROUP $(cat /passwords/sentinel)" ;;
      *) echo "$line" ;;
    esac
  done
}

if [ -s "$conf" ]; then
  with_passwords < "$conf" > "$conf.new"
else
  say "no state yet: looking for the primary"
  until primary=$(known); do sleep 1; done
  say "watching $primary"
  fresh "$primary" | with_passwords > "$conf.new"
fi
mv "$conf.new" "$conf"
# a sentinel reads its certificate only when it starts: one after the other
[ -z "${TLS:-}" ] || { renewed && sleep $((${POD_NAME##*-} * 30)) && say "ends, for its renewed certificate" && kill $$; } &
exec redis-server "$conf" --sentinel ${STORE_BIND:+--bind "$STORE_BIND"}
