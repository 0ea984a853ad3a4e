#!/bin/sh
# Before a sentinel stops: with a node stops a primary, too, and this may be the sentinel that it asks for its hand-over.
# Stays until one that begins now has begun, and until it is over.
set -u
. "${0%/*}/ask.sh"

sleep "$STAY_SECONDS"
left=10
while [ $((left -= 1)) -gt 0 ]; do
  case $(sentinel "$POD_NAME" sentinel master "$GROUP" | values_of flags) in
    *failover_in_progress*) sleep 1 ;;
    *) exit 0 ;;
  esac
done
