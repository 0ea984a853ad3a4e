#!/bin/sh
# alive: the sentinel answers. ready: it could have a replica promoted: it knows one, and enough sentinels to agree with.
set -u
. "${0%/*}/ask.sh"

case $1 in
  alive) answer=$(sentinel "$POD_NAME" ping) ;;
  *) answer=$(sentinel "$POD_NAME" sentinel ckquorum "$GROUP") ;;
esac
case $answer in PONG | OK*) ;; *) echo "${answer:-no answer}" && exit 1 ;; esac
[ "$1" = ready ] && [ "${MEMBERS#* }" != "$MEMBERS" ] || exit 0
[ "$(sentinel "$POD_NAME" sentinel master "$GROUP" | values_of num-slaves)" -gt 0 ] || { echo "no replica is known yet"; exit 1; }
